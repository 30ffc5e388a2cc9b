import type { MatrixContent, Push } from "../../../src/core/push.ts";
import { createClientKeys } from "../../../src/simulator/webpush-crypto.ts";
import type {
  SimulatedEndpoint,
  UnifiedPushSimulator,
  UnifiedPushSimulatorOptions,
} from "../../../src/simulator/unifiedpush.ts";
import { countsContent, matrixContent, minimalContent } from "../../support/builders.ts";
import { pushToEndpoint, startUnifiedPush, type Rig, type RigOptions } from "../push-service/fixture.ts";

let rigs: Rig<UnifiedPushSimulator>[] = [];
afterEach(async () => {
  for (const rig of rigs) await rig.stop();
  rigs = [];
});
async function start(
  options: RigOptions<UnifiedPushSimulatorOptions> = {},
): Promise<Rig<UnifiedPushSimulator>> {
  const rig = await startUnifiedPush(options);
  rigs.push(rig);
  return rig;
}

/** The last message, as the app reads it. */
function lastOf(endpoint: SimulatedEndpoint): { readonly body: Buffer; readonly text: string } {
  const message = endpoint.messages.at(-1);
  if (message === undefined) throw new Error("nothing came");
  return message;
}

describe.each([
  ["in plain text", false],
  ["encrypted", true],
])("a push to a UnifiedPush app, %s", (_what, encrypted) => {
  it("is the homeserver's request without its devices (matrix-push 7.4)", async () => {
    const { simulator, outcome } = await start();
    const endpoint = simulator.register({ encrypted });
    expect(await outcome(pushToEndpoint(endpoint))).toEqual({ kind: "delivered", answer: { status: 200 } });
    expect(JSON.parse(lastOf(endpoint).text)).toEqual({
      notification: {
        event_id: "$e",
        room_id: "!r:e",
        type: "m.room.message",
        sender: "@s:e",
        sender_display_name: "Major Tom",
        room_name: "Mission Control",
        room_alias: "#a:e",
        prio: "high",
        counts: { unread: 2, missed_calls: 1 },
        content: { msgtype: "m.text", body: "hello", other: 1 },
      },
    });
    expect(lastOf(endpoint).body.includes("Major Tom")).toBe(!encrypted);
  });

  it.each<[string, MatrixContent, object]>([
    [
      "ids and counts alone for event_id_only",
      minimalContent(),
      { event_id: "$e", room_id: "!r:e", prio: "high", counts: { unread: 2 } },
    ],
    ["counts for a badge update", countsContent({ unread: 0 }), { prio: "high", counts: { unread: 0 } }],
    [
      "what is encrypted, as it is (MSC3013)",
      {
        kind: "matrix",
        form: "encrypted",
        ciphertext: "c",
        ephemeral: "e",
        mac: "m",
        data: {},
        defaultPayload: {},
      },
      { ciphertext: "c", ephemeral: "e", mac: "m", prio: "high" },
    ],
  ])("has %s", async (_form, content, notification) => {
    const { simulator, outcome } = await start();
    const endpoint = simulator.register({ encrypted });
    expect((await outcome(pushToEndpoint(endpoint, { content }))).kind).toBe("delivered");
    expect(JSON.parse(lastOf(endpoint).text)).toEqual({ notification });
  });

  it("is a body of exactly 4096 bytes at the limit, and shrunk beyond it", async () => {
    const { simulator, outcome } = await start();
    const endpoint = simulator.register({ encrypted });
    const withName = (length: number): Push =>
      pushToEndpoint(endpoint, { content: matrixContent({ roomName: "n".repeat(length) }) });
    await outcome(withName(1));
    const space = 4_096 - lastOf(endpoint).body.length;
    await outcome(withName(1 + space));
    expect(lastOf(endpoint).body).toHaveLength(4_096);
    expect(lastOf(endpoint).text).not.toContain("…");
    expect((await outcome(withName(2 + space))).kind).toBe("delivered");
    expect(lastOf(endpoint).body.length).toBeLessThanOrEqual(4_096);
    expect(JSON.parse(lastOf(endpoint).text).notification.room_name).toMatch(/^n+…$/);
  });

  it("loses the content first, then all but ids and counts (webpush.md 6)", async () => {
    const { simulator, outcome } = await start();
    const endpoint = simulator.register({ encrypted });
    const list = "x".repeat(5_000).split("");
    await outcome(pushToEndpoint(endpoint, { content: matrixContent({ content: { list } }) }));
    const { notification } = JSON.parse(lastOf(endpoint).text);
    expect(notification).toMatchObject({ event_id: "$e", sender_display_name: "Major Tom" });
    expect(notification).not.toHaveProperty("content");
    await outcome(pushToEndpoint(endpoint, { content: matrixContent({ type: "t".repeat(5_000) }) }));
    expect(JSON.parse(lastOf(endpoint).text).notification).toEqual({
      event_id: "$e",
      room_id: "!r:e",
      prio: "high",
      counts: { unread: 2, missed_calls: 1 },
    });
  });

  it("tells for how long it is good, how urgent it is, and that it may be encrypted", async () => {
    const { simulator, clock, outcome } = await start();
    const endpoint = simulator.register({ encrypted });
    await outcome(pushToEndpoint(endpoint, { priority: "low", expiresAtMs: clock.now() + 30_000 }));
    await outcome(pushToEndpoint(endpoint, { expiresAtMs: clock.now() + 7 * 24 * 60 * 60 * 1_000 }));
    const sent = simulator.recorder.requests.map(({ headers }) => ({
      ttl: headers["ttl"],
      urgency: headers["urgency"],
      encoding: headers["content-encoding"],
      authorization: headers["authorization"],
    }));
    expect(sent).toEqual([
      { ttl: "30", urgency: "low", encoding: "aes128gcm", authorization: undefined },
      { ttl: "86400", urgency: "high", encoding: "aes128gcm", authorization: undefined },
    ]);
  });

  it("is answered for each state of the endpoint", async () => {
    const { simulator, outcome } = await start();
    const endpoint = simulator.register({ encrypted });
    const outcomes: Record<string, object> = {
      gone: { kind: "rejected", reason: "unregistered" },
      unknown: { kind: "rejected", reason: "unregistered" },
      // ntfy, while nobody listens on the topic: the phone may be back later.
      nobody: { kind: "retryable", reason: "rate-limited", retryAfterMs: 900_000 },
      active: { kind: "delivered" },
    };
    for (const state of ["gone", "unknown", "nobody", "active"] as const) {
      endpoint.state = state;
      expect([state, await outcome(pushToEndpoint(endpoint))]).toEqual([
        state,
        expect.objectContaining(outcomes[state] ?? {}),
      ]);
    }
  });

  it("as too large goes once more in its smallest form", async () => {
    const { simulator, outcome, requests } = await start({ simulator: { maxBodyBytes: 240 } });
    const endpoint = simulator.register({ encrypted });
    expect((await outcome(pushToEndpoint(endpoint))).kind).toBe("delivered");
    expect(requests()).toBe(2);
    expect(JSON.parse(lastOf(endpoint).text)).toEqual({
      notification: { event_id: "$e", room_id: "!r:e", prio: "high", counts: { unread: 2, missed_calls: 1 } },
    });
  });
});

describe("a UnifiedPush pushkey", () => {
  const { p256dh, auth } = createClientKeys().handedOut;

  it.each<[string, string, object]>([
    ["no URL", "spqr", {}],
    ["a URL of another scheme", "ftp://push.example.net/up", {}],
    ["a file", "file:///etc/passwd", {}],
    ["a URL of more than 1,000 bytes", `https://push.example.net/${"u".repeat(1_000)}`, {}],
    ["a URL with a key that is no point", "https://push.example.net/up", { p256dh: "AAAA", auth }],
    ["a URL with a key and no auth", "https://push.example.net/up", { p256dh }],
    ["a URL with an auth and no key", "https://push.example.net/up", { auth }],
    ["a URL with an auth that is no text", "https://push.example.net/up", { p256dh, auth: 7 }],
  ])("that is %s is rejected before anything is sent", async (_what, pushkey, data) => {
    const { pushkin } = await start();
    const content = matrixContent({ data: data as MatrixContent["data"] });
    expect(pushkin.render(pushToEndpoint({ endpoint: pushkey }, { content }))).toEqual({
      kind: "rejected",
      reason: "invalid-pushkey",
    });
  });

  const dropped = { kind: "dropped", reason: "endpoint-not-allowed" };

  it("that leads to a private address gets nothing, and is not rejected (case 40)", async () => {
    const { simulator, outcome } = await start({ outbound: { allow_addresses: [] } });
    const { endpoint } = simulator.register();
    for (const url of [
      endpoint,
      endpoint.replace("localhost", "127.0.0.1"),
      "http://192.168.1.1/up",
      "https://10.0.0.1/up",
    ]) {
      expect([url, await outcome(pushToEndpoint({ endpoint: url }))]).toEqual([url, dropped]);
    }
    expect(simulator.connections.total).toBe(0);
  });

  it("that is on no allowed host gets nothing, and is not rejected", async () => {
    const { simulator, pushkin } = await start({ config: { allowed_endpoints: ["ntfy.sh"] } });
    expect(pushkin.render(pushToEndpoint(simulator.register()))).toEqual(dropped);
  });
});

describe("a plain http endpoint of one's own", () => {
  it("is reached only when http and its address are both allowed", async () => {
    const { createServer } = await import("node:http");
    const bodies: string[] = [];
    const server = createServer((req, res) => {
      req.setEncoding("utf8").on("data", (text: string) => bodies.push(text));
      req.on("end", () => res.end("{}"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      const push = pushToEndpoint({ endpoint: `http://127.0.0.1:${port}/up` });
      const closed = await start({ outbound: { allow_http: false } });
      expect(await closed.outcome(push)).toEqual({ kind: "dropped", reason: "endpoint-not-allowed" });
      const open = await start({ outbound: { allow_http: true } });
      expect((await open.outcome(push)).kind).toBe("delivered");
      expect(JSON.parse(bodies.join(""))).toMatchObject({ notification: { event_id: "$e" } });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
