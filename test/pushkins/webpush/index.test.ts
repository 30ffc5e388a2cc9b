import { readFileSync } from "node:fs";
import type { Push } from "../../../src/core/push.ts";
import { parseNotify } from "../../../src/doors/matrix/parse.ts";
import { HttpError } from "../../../src/http/errors.ts";
import type { JsonObject } from "../../../src/json.ts";
import type { SimulatedSubscription } from "../../../src/simulator/webpush.ts";
import { countsContent, matrixContent, minimalContent } from "../../support/builders.ts";
import { limits, lifetimesMs } from "../../http/listener.ts";
import { startForwardProxy } from "../../support/forward-proxy.ts";
import { listen } from "../../support/upstream-server.ts";
import {
  patient,
  pushTo,
  simulatorCredentials,
  startWebPush,
  vapidKeyPair,
  type Rig,
  type RigOptions,
} from "../push-service/fixture.ts";
import type { WebPushSimulator, WebPushSimulatorOptions } from "../../../src/simulator/webpush.ts";

let rigs: Rig<WebPushSimulator>[] = [];
afterEach(async () => {
  for (const rig of rigs) await rig.stop();
  rigs = [];
});
async function start(options: RigOptions<WebPushSimulatorOptions> = {}): Promise<Rig<WebPushSimulator>> {
  const rig = await startWebPush(options);
  rigs.push(rig);
  return rig;
}

/** The last message, as its browser reads it. */
function lastOf(subscription: SimulatedSubscription) {
  const message = subscription.messages.at(-1);
  if (message === undefined) throw new Error("nothing came");
  return message;
}

describe("a push to a browser", () => {
  it("is read back by the browser's own keys", async () => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    expect(await outcome(pushTo(subscription))).toEqual({ kind: "delivered", answer: { status: 201 } });
    const { text } = lastOf(subscription);
    expect(JSON.parse(text ?? "")).toMatchObject({ event_id: "$e", content: { body: "hello" }, unread: 2 });
  });

  it("passes a service that checks everything, in each vendor's manner", async () => {
    for (const dialect of ["mozilla", "apple", "google"] as const) {
      const { simulator, outcome, vapid } = await start({ simulator: { dialect } });
      const subscription = simulator.subscribe({ applicationServerKey: vapid.publicKey });
      const push = pushTo(subscription, {}, { only_last_per_room: true });
      expect([dialect, (await outcome(push)).kind]).toEqual([dialect, "delivered"]);
    }
  });

  it("in both styles of subscription is the same (matrix-push 7.3)", async () => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    const { endpoint, keys } = subscription;
    const standard = (text: string): string => Buffer.from(text, "base64url").toString("base64");
    const whole = (pushkey: unknown): Push =>
      pushTo(subscription, { pushkey: JSON.stringify(pushkey) }, { endpoint: null, auth: null });
    const pushes = [
      pushTo(subscription),
      pushTo({ endpoint, keys: { p256dh: standard(keys.p256dh), auth: standard(keys.auth) } }),
      whole({ endpoint, expirationTime: null, keys }),
      whole({ endpoint, ...keys }),
      pushTo(
        subscription,
        { pushkey: `  ${JSON.stringify({ endpoint, keys })}` },
        { endpoint: null, auth: null },
      ),
    ];
    for (const push of pushes) expect((await outcome(push)).kind).toBe("delivered");
    const texts = subscription.messages.map(({ text }) => text);
    expect(texts).toHaveLength(pushes.length);
    expect(new Set(texts).size).toBe(1);
  });

  it("of the homeserver's example reaches its browser (matrix-push 9.19)", async () => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    const file = new URL("../../doors/matrix/fixtures/9-19-webpush.json", import.meta.url);
    const parsedFile = JSON.parse(readFileSync(file, "utf8")) as { notification: JsonObject };
    const [device] = parsedFile.notification["devices"] as readonly JsonObject[];
    const notification = {
      ...parsedFile.notification,
      devices: [
        {
          ...device,
          pushkey: subscription.keys.p256dh,
          data: {
            ...(device?.["data"] as JsonObject),
            endpoint: subscription.endpoint,
            auth: subscription.keys.auth,
          },
        },
      ],
    };
    const parsed = parseNotify(
      { notification },
      { limits, lifetimesMs, receivedAtMs: Date.now(), needsCleaning: false },
    );
    if (parsed instanceof HttpError) throw parsed;
    const [push] = parsed.pushes;
    if (push === undefined) throw new Error("no push");
    expect((await outcome(push)).kind).toBe("delivered");
    const { text, urgency, topic, ttl } = lastOf(subscription);
    expect(JSON.parse(text ?? "")).toEqual({
      session_id: "7731",
      room_id: "!market:quay.example",
      event_id: "$wEbYxLmRqWkPnBsHgDcJfUoAeIi0TyNxVuKrSwE4pZst",
      unread: 3,
    });
    expect({ urgency, ttl }).toEqual({ urgency: "low", ttl: 900 });
    expect(topic).toMatch(/^[A-Za-z0-9_-]{32}$/);
  });

  it("keeps of each room the last for a browser that is away", async () => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    for (const [roomId, eventId] of [
      ["!a:e", "$1"],
      ["!a:e", "$2"],
      ["!b:e", "$3"],
    ] as const) {
      const content = minimalContent({ roomId, eventId });
      await outcome(pushTo(subscription, { content }, { only_last_per_room: true }));
    }
    expect(subscription.messages).toHaveLength(3);
    const events = subscription.waiting.map(({ text }) => JSON.parse(text ?? "").event_id);
    expect(events).toEqual(["$2", "$3"]);
  });

  it.each<[string, Parameters<typeof pushTo>[1], string]>([
    ["high for a message", {}, "high"],
    ["high for a call", { urgency: "call" }, "high"],
    ["low for low priority", { priority: "low" }, "low"],
    ["normal for a count", { urgency: "badge", content: countsContent() }, "normal"],
  ])("has Urgency %s", async (_what, overrides, urgency) => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    await outcome(pushTo(subscription, overrides));
    expect(lastOf(subscription).urgency).toBe(urgency);
  });

  it("is kept for the app's ttl, or for what remains of the push's life when that is less", async () => {
    const { simulator, clock, send } = await start({ config: { ttl: 600 } });
    const subscription = simulator.subscribe();
    for (const [lifeMs, ttl] of [
      [24 * 60 * 60 * 1_000, 600],
      [30_000, 30],
      [1_500, 1],
      [400, 0],
    ] as const) {
      await send(pushTo(subscription, { expiresAtMs: clock.now() + lifeMs }));
      expect(lastOf(subscription).ttl).toBe(ttl);
    }
  });

  it("is a body of exactly 4096 bytes at the limit, and no longer beyond it", async () => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    const withSpace = (length: number): Push =>
      pushTo(subscription, { content: matrixContent({ defaultPayload: { fill: "f".repeat(length) } }) });
    await outcome(withSpace(0));
    const frame = lastOf(subscription).text?.length ?? 0;
    const fill = 3_993 - frame;
    await outcome(withSpace(fill));
    expect(lastOf(subscription).body).toHaveLength(4_096);
    expect(JSON.parse(lastOf(subscription).text ?? "").content.body).toBe("hello");
    // One more: the text gives way, the body stays within the limit.
    expect((await outcome(withSpace(fill + 1))).kind).toBe("delivered");
    expect(lastOf(subscription).body.length).toBeLessThanOrEqual(4_096);
    expect(JSON.parse(lastOf(subscription).text ?? "")).toMatchObject({ event_id: "$e" });
  });

  it("to Mozilla's service is small enough for its way to Android", async () => {
    const { pushkin } = await start();
    const push = pushTo(
      {
        endpoint: "https://updates.push.services.mozilla.com/wpush/v2/abc",
        keys: (await start()).simulator.subscribe().keys,
      },
      {
        content: matrixContent({
          defaultPayload: { fill: "f".repeat(2_000) },
          content: { body: "b".repeat(1_000) },
        }),
      },
    );
    const message = pushkin.render(push);
    if (!("body" in message)) throw new Error("not rendered");
    expect(Buffer.byteLength(message.body)).toBeLessThanOrEqual(2_700);
  });
});

describe("a subscription that can never work", () => {
  const missing: readonly (readonly [string, (s: SimulatedSubscription) => Push])[] = [
    ["without endpoint", (s) => pushTo(s, {}, { endpoint: null })],
    ["without auth", (s) => pushTo(s, {}, { auth: null })],
    ["with an endpoint that is no text", (s) => pushTo(s, {}, { endpoint: { url: s.endpoint } })],
    ["with an empty endpoint", (s) => pushTo(s, {}, { endpoint: "" })],
    ["with plain http", (s) => pushTo(s, {}, { endpoint: s.endpoint.replace("https:", "http:") })],
    ["with ftp", (s) => pushTo(s, {}, { endpoint: "ftp://push.example.net/x" })],
    ["with a file", (s) => pushTo(s, {}, { endpoint: "file:///etc/passwd" })],
    ["with a socket's path", (s) => pushTo(s, {}, { endpoint: "unix:/run/docker.sock" })],
    [
      "with a URL of 3,000 characters",
      (s) => pushTo(s, {}, { endpoint: `${s.endpoint}/${"x".repeat(3_000)}` }),
    ],
    [
      "with a key that is no point",
      (s) => pushTo(s, { pushkey: s.keys.p256dh.replace(/.{20}$/, "A".repeat(20)) }),
    ],
    ["with a key of another length", (s) => pushTo(s, { pushkey: "AAAA" })],
    ["with an auth of another length", (s) => pushTo(s, {}, { auth: "AAAA" })],
    ["in broken JSON", (s) => pushTo(s, { pushkey: `{"endpoint":"${s.endpoint}"` })],
    ["in JSON without keys", (s) => pushTo(s, { pushkey: JSON.stringify({ endpoint: s.endpoint }) })],
    [
      "in JSON with keys of another type",
      (s) => pushTo(s, { pushkey: JSON.stringify({ endpoint: s.endpoint, keys: 7 }) }),
    ],
  ];

  it.each(missing)("%s is rejected before anything is sent", async (_what, make) => {
    const { simulator, pushkin, requests } = await start();
    expect(pushkin.render(make(simulator.subscribe()))).toEqual({
      kind: "rejected",
      reason: "invalid-pushkey",
    });
    expect(requests()).toBe(0);
  });
});

describe("an endpoint that is not allowed", () => {
  const dropped = { kind: "dropped", reason: "endpoint-not-allowed" };

  it("by allowed_endpoints gets nothing, and nothing is rejected (case 39)", async () => {
    const { simulator, pushkin, outcome } = await start({
      config: { allowed_endpoints: ["*.push.apple.com"] },
    });
    expect(pushkin.render(pushTo(simulator.subscribe()))).toEqual(dropped);
    const other = await start({ config: { allowed_endpoints: ["LOCAL*"] } });
    expect((await other.outcome(pushTo(other.simulator.subscribe()))).kind).toBe("delivered");
    expect(outcome).toBeDefined();
  });

  it("by its address gets nothing, and nothing is rejected (case 40)", async () => {
    const { simulator, outcome, requests } = await start({ outbound: { allow_addresses: [] } });
    const subscription = simulator.subscribe();
    const { port } = new URL(subscription.endpoint);
    const at = (endpoint: string): Push => pushTo({ ...subscription, endpoint });
    for (const host of [
      "localhost",
      "localhost.",
      "127.0.0.1",
      "0x7f.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "x.localhost",
    ]) {
      expect([host, await outcome(at(`https://${host}:${port}/send/${subscription.id}`))]).toEqual([
        host,
        dropped,
      ]);
    }
    expect(await outcome(at(`https://user:password@localhost:${port}/send/x`))).toEqual(dropped);
    expect(requests()).toBe(0);
    expect(simulator.connections.total).toBe(0);
  });

  it("answers as soon as one that cannot be reached: neither is tried again while its sender waits", async () => {
    const { outcome, simulator } = await start({ outbound: { allow_addresses: ["127.0.0.2/32"] } });
    const { keys } = simulator.subscribe();
    const startedMs = performance.now();
    const unreachable = await outcome(pushTo({ endpoint: "https://127.0.0.2:9/x", keys }));
    const forbidden = await outcome(pushTo({ endpoint: "https://127.0.0.3:9/x", keys }));
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(unreachable).toMatchObject({ kind: "retryable", reason: "connect", retryAfterMs: 10_000 });
    expect(forbidden).toEqual(dropped);
  });
});

describe("a push that the service refuses", () => {
  it("with 401 goes again once with a new token", async () => {
    const { simulator, outcome, requests } = await start();
    const push = pushTo(simulator.subscribe());
    simulator.script.add({ answer: { kind: "error", reason: "BAD_VAPID" }, times: 1 });
    expect((await outcome(push)).kind).toBe("delivered");
    expect(requests()).toBe(2);
    const tokens = simulator.recorder.requests.map(({ headers }) => headers["authorization"]);
    expect(new Set(tokens).size).toBe(2);
    simulator.script.add({ answer: { kind: "error", reason: "BAD_VAPID" } });
    // It has been taken here before, so it is this subscription's matter.
    expect(await outcome(push)).toMatchObject({ kind: "retryable", reason: "held", alarm: true });
    expect(requests()).toBe(4);
  });

  it("with 401 from the first on is refused for our credentials", async () => {
    const { simulator, outcome, requests } = await start();
    simulator.script.add({ answer: { kind: "error", reason: "BAD_VAPID" } });
    const refused = await outcome(pushTo(simulator.subscribe()));
    expect(refused).toMatchObject({ kind: "retryable", reason: "credentials", alarm: true });
    expect(requests()).toBe(2);
  });

  it.each(["mozilla", "apple", "google"] as const)(
    "for a subscription of another key (%s) rejects nothing",
    async (dialect) => {
      const { simulator, outcome } = await start({ simulator: { dialect } });
      await outcome(pushTo(simulator.subscribe()));
      const foreign = simulator.subscribe({ applicationServerKey: vapidKeyPair().publicKey });
      expect(await outcome(pushTo(foreign))).toMatchObject({
        kind: "retryable",
        reason: "held",
        alarm: true,
      });
      expect(foreign.messages).toEqual([]);
    },
  );

  it("for its Topic goes once more without", async () => {
    const { simulator, outcome, requests } = await start({ simulator: { dialect: "apple" } });
    const subscription = simulator.subscribe();
    simulator.script.add({ answer: { kind: "error", reason: "BAD_TOPIC" }, times: 1 });
    expect((await outcome(pushTo(subscription, {}, { only_last_per_room: true }))).kind).toBe("delivered");
    expect(lastOf(subscription).topic).toBeUndefined();
    simulator.script.add({ answer: { kind: "error", reason: "BAD_TOPIC" } });
    expect(await outcome(pushTo(subscription))).toMatchObject({
      kind: "dropped",
      reason: "refused-by-upstream",
    });
    expect(requests()).toBe(3);
  });

  it("as too large goes once more in its smallest form", async () => {
    const { simulator, outcome, requests } = await start({ simulator: { maxBodyBytes: 220 } });
    const subscription = simulator.subscribe();
    expect((await outcome(pushTo(subscription))).kind).toBe("delivered");
    expect(JSON.parse(lastOf(subscription).text ?? "")).toEqual({
      room_id: "!r:e",
      event_id: "$e",
      unread: 2,
      missed_calls: 1,
    });
    expect(requests()).toBe(2);
    const tiny = await start({ simulator: { maxBodyBytes: 10 } });
    const answer = await tiny.outcome(pushTo(tiny.simulator.subscribe()));
    expect(answer).toMatchObject({ kind: "dropped", reason: "too-large", answer: { status: 413 } });
    expect(tiny.requests()).toBe(2);
  });

  it.each([
    ["gone", 410],
    ["unknown", 404],
  ] as const)("because the subscription is %s rejects it", async (state, status) => {
    const { simulator, outcome } = await start();
    const subscription = simulator.subscribe();
    subscription.state = state;
    expect(await outcome(pushTo(subscription))).toMatchObject({
      kind: "rejected",
      reason: "unregistered",
      answer: { status },
    });
  });

  it("for its rate or for an outage is tried again (Sygnal loses those)", async () => {
    const { simulator, outcome } = await start();
    const push = pushTo(simulator.subscribe());
    for (const reason of ["TOO_MANY", "UNAVAILABLE"]) {
      simulator.script.add({ answer: { kind: "error", reason, retryAfter: "120" }, times: 1 });
      expect(await outcome(push)).toMatchObject({ kind: "retryable", retryAfterMs: 120_000 });
    }
    expect((await outcome(push)).kind).toBe("delivered");
  });
});

describe("the way to the service", () => {
  it("uses few connections for many pushes", async () => {
    const { simulator, outcome } = await start();
    const subscriptions = Array.from({ length: 60 }, () => simulator.subscribe());
    const kinds = await Promise.all(subscriptions.map(async (each) => (await outcome(pushTo(each))).kind));
    expect(new Set(kinds)).toEqual(new Set(["delivered"]));
    expect(simulator.connections.total).toBeLessThanOrEqual(16);
  });

  it("a host that does not answer holds nobody else's pushes", async () => {
    const slow = await start();
    const { pushkin, simulator } = slow;
    const other = await start();
    simulator.script.add({ answer: { kind: "hang" } });
    const stuck = Array.from({ length: 100 }, () => {
      const push = pushTo(simulator.subscribe());
      return pushkin.attempt(slow.message(push), { push, signal: patient });
    });
    await simulator.recorder.waitUntil(({ counts }) => counts.requests >= 16);
    // The same app, another host (the other simulator's certificate is of the same authority).
    const push = pushTo(other.simulator.subscribe());
    const { outcome } = await pushkin.attempt(slow.message(push), { push, signal: patient });
    expect(outcome.kind).toBe("delivered");
    expect(slow.requests()).toBe(16);
    await pushkin.close(AbortSignal.abort());
    const outcomes = (await Promise.all(stuck)).map((ended) => ended.outcome);
    const overloaded = { kind: "retryable", reason: "overloaded" };
    // Sixteen were under way and sixty-four waited when the pushkin closed; the others were turned away at once.
    expect(outcomes.filter((each) => JSON.stringify(each) === JSON.stringify(overloaded))).toHaveLength(20);
  });

  it("endpoint sends everything there instead, with the subscription's path", async () => {
    const target = await start();
    const subscription = target.simulator.subscribe();
    const { outcome } = await start({
      config: { endpoint: target.simulator.url },
      outbound: { allow_addresses: [] },
    });
    const elsewhere = { ...subscription, endpoint: `https://push.example.net/send/${subscription.id}` };
    // Its token is for the service that the subscription names, which this one does not know it is.
    expect(await outcome(pushTo(elsewhere))).toMatchObject({ kind: "retryable", answer: { status: 401 } });
    expect(target.simulator.recorder.requests.at(-1)?.path).toBe(`/send/${subscription.id}`);
  });

  it("names the endpoint's host as its upstream", async () => {
    const { pushkin, simulator, message } = await start();
    const push = pushTo(simulator.subscribe());
    expect(pushkin.upstreamOf(message(push))).toBe(`localhost:${simulator.port}`);
  });

  it("behind a proxy asks it for a checked address, never for a name (H30)", async () => {
    const proxy = await startForwardProxy();
    try {
      const { simulator, outcome } = await start({ proxy: proxy.url });
      const { port } = simulator;
      expect((await outcome(pushTo(simulator.subscribe()))).kind).toBe("delivered");
      expect(proxy.asked.map(({ target }) => target)).toEqual([`127.0.0.1:${port}`]);
      const guarded = await start({ proxy: proxy.url, outbound: { allow_addresses: [] } });
      const forbidden = await guarded.outcome(pushTo(guarded.simulator.subscribe()));
      expect(forbidden).toEqual({ kind: "dropped", reason: "endpoint-not-allowed" });
      expect(proxy.asked).toHaveLength(1);
    } finally {
      await proxy.close();
    }
  });
});

describe.each(["node", "lean"] as const)("upstream.http2_to_push_services, by %s,", (http2) => {
  it("sends side by side over one connection", async () => {
    const { simulator, outcome } = await start({ http2 });
    const subscriptions = Array.from({ length: 60 }, () => simulator.subscribe());
    const kinds = await Promise.all(subscriptions.map(async (each) => (await outcome(pushTo(each))).kind));
    expect(new Set(kinds)).toEqual(new Set(["delivered"]));
    expect(simulator.connections.open.map(({ session }) => session !== undefined)).toEqual([true]);
  });

  it("keeps to the same rules about addresses (H15, H16)", async () => {
    const { simulator, outcome } = await start({
      http2,
      outbound: { allow_addresses: ["127.0.0.2/32"] },
    });
    const { endpoint, id, keys } = simulator.subscribe();
    for (const host of ["localhost", "127.0.0.1", "[::1]", "x.localhost"]) {
      const url = `https://${host}:${new URL(endpoint).port}/send/${id}`;
      const answer = await outcome(pushTo({ endpoint: url, keys }));
      expect([host, answer]).toEqual([host, { kind: "dropped", reason: "endpoint-not-allowed" }]);
    }
    expect(simulator.connections.total).toBe(0);
  });

  it("is left aside for a service that does not speak it", async () => {
    const { createServer } = await import("node:https");
    const { server: tls } = simulatorCredentials();
    let version = "";
    const server = createServer({ key: tls.keyPem, cert: tls.certPem }, (req, res) => {
      version = req.httpVersion;
      req.resume().on("end", () => res.writeHead(201).end());
    });
    const listening = await listen(server);
    try {
      const { simulator, outcome } = await start({ http2 });
      const { keys } = simulator.subscribe();
      for (let i = 0; i < 3; i += 1) {
        const answer = await outcome(pushTo({ endpoint: `https://localhost:${listening.port}/x`, keys }));
        expect(answer).toMatchObject({ kind: "delivered", answer: { status: 201 } });
      }
      expect(version).toBe("1.1");
    } finally {
      await listening.close();
    }
  });
});
