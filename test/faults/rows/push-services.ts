import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createServer } from "node:net";
import type { Clock } from "../../../src/clock.ts";
import { systemClock } from "../../../src/clock.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import { message, type RunningGateway } from "../../support/with-gateway.ts";
import { drip } from "../../support/hostile-endpoints.ts";
import { listen } from "../../support/upstream-server.ts";
import type { Fault } from "../fault.ts";
import {
  alarms,
  asked,
  assertOk,
  browser,
  outcomes,
  phone,
  promised,
  startRawEndpoint,
  UP,
  WEB,
  withServices,
  type Device,
} from "../support/push-services.ts";
import { quantile, sleep, timed, until } from "../support/shared.ts";

type Notified = Awaited<ReturnType<RunningGateway["notify"]>>;

const notify = (gateway: RunningGateway, ...devices: readonly Device[]): Promise<Notified> =>
  gateway.notify(message(devices));

const error = (reason: string, more: object = {}): Answer => ({ kind: "error", reason, ...more });

/** How long the first waiting push was put off, as the store has it. */
function waitInStore(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const row = database
      .prepare("SELECT due_ms - queued_ms AS wait FROM outbox ORDER BY entry LIMIT 1")
      .get();
    return Number(row?.["wait"]);
  } finally {
    database.close();
  }
}

/** `exp` of a VAPID header. */
function expiryOf(authorization: string | undefined): number {
  const [, payload = ""] = /t=[\w-]+\.([\w-]+)\./.exec(authorization ?? "") ?? [];
  return Number((JSON.parse(Buffer.from(payload, "base64url").toString()) as { exp: unknown }).exp);
}

/** The system's clock, but the wall's hands stand elsewhere. */
function shifted(byMs: number): Clock {
  return Object.assign(Object.create(systemClock) as Clock, { now: () => systemClock.now() + byMs });
}

export const pushServiceFaults: readonly Fault[] = [
  {
    number: "B18",
    fault: "Web Push: bad P-256 point, auth, endpoint",
    tier: 1,
    ci: true,
    run: () =>
      withServices({}, async (gateway) => {
        const offCurve = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 7)]).toString("base64url");
        const good = browser(gateway);
        const { endpoint, auth } = good.data as { endpoint: string; auth: string };
        const web = (pushkey: string, data: object): Device => ({ app_id: WEB, pushkey, data });
        const bad: readonly Device[] = [
          web(offCurve, { endpoint, auth }),
          web(good.pushkey.slice(0, -4), { endpoint, auth }),
          web(`A${good.pushkey.slice(1)}`, { endpoint, auth }),
          web("spqr", { endpoint, auth }),
          ...[7, 15, 17, 32].map((length, i) =>
            web(browser(gateway).pushkey, { endpoint, auth: Buffer.alloc(length, i).toString("base64url") }),
          ),
          web(browser(gateway).pushkey, { endpoint }),
          web(browser(gateway).pushkey, { endpoint, auth: 7 }),
          ...[
            undefined,
            7,
            "",
            "push",
            "/send/x",
            "ftp://push.example/",
            "http://push.example/x",
            "https://",
            "javascript:1",
          ].map((other) =>
            web(browser(gateway).pushkey, { auth, ...(other === undefined ? {} : { endpoint: other }) }),
          ),
          web('{"endpoint":"https://a.example/"}', {}),
          web(`{"endpoint":`, {}),
          ...["spqr", "ftp://push.example/", `https://push.example/${"x".repeat(1_000)}`].map((pushkey) => ({
            app_id: UP,
            pushkey,
          })),
          { app_id: UP, pushkey: `${phone(gateway).pushkey}&k`, data: { p256dh: offCurve, auth } },
        ];
        // A living subscription now and then: a run of twenty malformed ones would be held for a wrong setting (P4).
        let living = 0;
        for (const some of [bad.slice(0, 12), bad.slice(12)]) {
          for (const device of some) {
            const answer = await notify(gateway, device);
            assert.deepEqual(
              [answer.status, answer.body],
              [200, { rejected: [device.pushkey] }],
              JSON.stringify(device),
            );
          }
          assert.equal(asked(gateway), living);
          assertOk(await notify(gateway, good));
          living += 1;
          assert.equal(asked(gateway), living);
        }
        const attempts = (await gateway.metrics())
          .split("\n")
          .filter((line) => /^signalbox_attempts_total\{.*\} [1-9]/.test(line));
        assert.deepEqual(
          attempts.map((line) => line.split(" ").at(-1)),
          [String(living)],
        );
        return `${bad.length} subscriptions rejected, 0 attempts; ${living} living ones between served`;
      }),
  },
  {
    number: "H20",
    fault: "CRLF, ../, %00, spaces towards push services",
    tier: 1,
    run: () =>
      withServices({}, async (gateway) => {
        const evil = [
          "\r\nx-injected: 1",
          "\n\nGET / HTTP/1.1\r\n\r\n",
          "/../../admin",
          "%00%0d%0aX: 1",
          " ",
          "\u0000",
          "?a=b#c",
          "é",
          "🙂",
          "\u2028",
        ];
        for (const text of evil) {
          const { p256dh, auth } = gateway.simulators.webPush.subscribe().keys;
          const at = gateway.simulators.webPush.subscribe().endpoint;
          const data = { auth, only_last_per_room: true };
          await gateway.notify(
            message(
              [
                { app_id: WEB, pushkey: p256dh, data: { ...data, endpoint: at + text } },
                { ...browser(gateway), data: { ...browser(gateway).data, only_last_per_room: true } },
                { app_id: WEB, pushkey: p256dh + text, data: { ...data, endpoint: at } },
                { app_id: UP, pushkey: phone(gateway).pushkey + text },
              ],
              { event_id: `$e${text}`, room_id: `!r${text}:e` },
            ),
          );
        }
        const { requests } = gateway.simulators.recorder;
        const topics = requests.flatMap(({ headers }) => headers["topic"] ?? []);
        assert.ok(topics.length >= evil.length, `${topics.length} topics`);
        for (const topic of topics) assert.match(topic, /^[A-Za-z0-9_-]{32}$/);
        const names = new Set(requests.flatMap(({ headers }) => Object.keys(headers)));
        for (const { headers, method, path } of requests) {
          assert.equal(method, "POST");
          assert.match(path, /^\/[!-~]*$/);
          assert.doesNotMatch(path.split("?")[0] ?? "", /\.\.|#/);
          assert.match(headers["ttl"] ?? "", /^\d+$/);
        }
        const known = [
          "accept",
          "accept-encoding",
          "authorization",
          "connection",
          "content-encoding",
          "content-length",
          "content-type",
          "host",
          "topic",
          "ttl",
          "urgency",
          "user-agent",
        ];
        assert.deepEqual(
          [...names].filter((name) => !known.includes(name)),
          [],
        );
        return `${evil.length} texts in 4 places, ${requests.length} requests, every one clean`;
      }),
  },
  {
    number: "UW01",
    fault: "200, 201, 202, 204",
    tier: 1,
    ci: true,
    run: () =>
      withServices({}, async (gateway) => {
        let sent = 0;
        for (const status of [200, 201, 202, 204]) {
          for (const upstream of ["webpush", "unifiedpush"] as const) {
            gateway.simulators.script.add({
              upstream,
              times: 1,
              accepted: true,
              answer: { kind: "raw", status, body: "" },
            });
            assertOk(
              await notify(gateway, upstream === "webpush" ? browser(gateway) : phone(gateway)),
              String(status),
            );
            sent += 1;
            assert.equal(asked(gateway), sent, `${status} was asked again`);
          }
        }
        assert.deepEqual(
          [await outcomes(gateway, WEB, "delivered"), await outcomes(gateway, UP, "delivered")],
          [4, 4],
        );
        return `${sent} delivered, each asked once`;
      }),
  },
  {
    number: "UW02",
    fault: "404, 410",
    tier: 1,
    ci: true,
    run: () =>
      withServices({}, async (gateway) => {
        for (const state of ["gone", "unknown"] as const) {
          const subscription = gateway.simulators.webPush.subscribe();
          const registration = gateway.simulators.unifiedPush.register();
          subscription.state = state;
          registration.state = state;
          const { endpoint, keys } = subscription;
          const devices = [
            { app_id: WEB, pushkey: keys.p256dh, data: { endpoint, auth: keys.auth } },
            { app_id: UP, pushkey: registration.endpoint },
          ];
          const rejected = devices.map(({ pushkey }) => pushkey).toSorted();
          const said = async (): Promise<readonly string[]> =>
            ((await notify(gateway, ...devices)).body as { rejected: string[] }).rejected.toSorted();
          assert.deepEqual(await said(), rejected, state);
          const before = asked(gateway);
          assert.deepEqual(await said(), rejected, `${state}, again`);
          assert.equal(asked(gateway), before);
        }
        return "rejected, and again without asking";
      }),
  },
  {
    number: "UW03",
    fault: "400, 401, 403 (VAPID mismatch)",
    tier: 1,
    run: async () => {
      const held: string[] = [];
      const answers: readonly (readonly [Answer, "circuit" | "held" | "dropped"])[] = [
        [error("BAD_CRYPTO"), "dropped"],
        [error("BAD_TTL"), "dropped"],
        [error("BAD_VAPID"), "circuit"],
        [error("BAD_VAPID", { status: 403 }), "circuit"],
        [{ kind: "raw", status: 403, body: "" }, "circuit"],
        [{ kind: "raw", status: 400, body: '{"reason":"VapidPkHashMismatch"}' }, "held"],
        [
          {
            kind: "raw",
            status: 403,
            body: "the key in the authorization header do not correspond to the credentials used",
          },
          "held",
        ],
      ];
      for (const [answer, expected] of answers) {
        await withServices({}, async (gateway) => {
          gateway.simulators.script.add({ upstream: "webpush", answer });
          const what = JSON.stringify(answer);
          for (let i = 0; i < 8; i += 1) assertOk(await notify(gateway, browser(gateway)), what);
          assert.equal(await outcomes(gateway, WEB, "rejected", "unregistered"), 0, what);
          const [waiting, requests] = [await promised(gateway, WEB), asked(gateway)];
          if (expected === "dropped") {
            assert.deepEqual(
              [waiting, requests, await alarms(gateway, WEB, "refused-by-upstream")],
              [0, 8, 8],
              what,
            );
          } else if (expected === "held") {
            assert.deepEqual([waiting, requests, await alarms(gateway, WEB, "held")], [8, 8, 8], what);
          } else {
            // A 401 is asked once more with a new header; then nobody is asked.
            assert.ok(requests <= 2, `${what}: ${requests} requests`);
            assert.equal(waiting, 8, what);
            assert.ok((await alarms(gateway, WEB, "credentials")) > 0, what);
          }
          held.push(expected);
        });
      }
      return `0 of ${answers.length * 8} rejected; our credentials: circuit open; one subscription's key: held; our request: dropped with an alarm`;
    },
  },
  {
    number: "UW04",
    fault: "429 with Retry-After, 500-504, ntfy's 507",
    tier: 1,
    waits: "idle",
    limitMs: 240_000,
    run: async () => {
      const waits: string[] = [];
      const statuses: readonly (readonly [number, string | undefined, number])[] = [
        [429, "45", 45_000],
        [429, undefined, 10_000],
        [500, undefined, 0],
        [502, undefined, 0],
        [503, "120", 120_000],
        [504, undefined, 0],
        [507, undefined, 900_000],
      ];
      for (const [status, retryAfter, leastMs] of statuses) {
        await withServices({}, async (gateway) => {
          const { script } = gateway.simulators;
          const headers = retryAfter === undefined ? {} : { headers: { "retry-after": retryAfter } };
          script.add({ upstream: "unifiedpush", answer: { kind: "raw", status, body: "", ...headers } });
          const times: number[] = [];
          for (let i = 0; i < 8; i += 1) {
            const [failing, other] = await Promise.all([
              notify(gateway, phone(gateway)),
              timed(() => notify(gateway, browser(gateway))),
            ]);
            assertOk(failing, String(status));
            assertOk(other.value, String(status));
            times.push(other.ms);
          }
          assert.equal(await promised(gateway, UP), 8, String(status));
          assert.equal(await outcomes(gateway, WEB, "delivered"), 8, `${status}: the other host`);
          const waitMs = waitInStore(gateway.storeFile);
          assert.ok(waitMs >= leastMs, `${status}: due after ${waitMs} ms`);
          assert.ok(quantile(times, 0.5) < 500, `${status}: the other host took ${quantile(times, 0.5)} ms`);
          if (leastMs > 0) waits.push(`${status}: ${Math.round(waitMs / 1_000)} s`);
          else {
            script.clear();
            await until(
              `${status}: delivered later`,
              async () => (await promised(gateway, UP)) === 0,
              60_000,
            );
            assert.equal(await promised(gateway, UP, "handed"), 8);
          }
        });
      }
      return `all kept, 0 rejected, 500-504 handed over later, the other host served at once (${waits.join(", ")})`;
    },
  },
  {
    number: "UW06",
    fault: "an answer of 1 byte/5 s",
    tier: 1,
    waits: "idle",
    run: () =>
      withServices({}, async (gateway) => {
        const open: number[] = [];
        const server = await startRawEndpoint((socket) => {
          const fromMs = performance.now();
          socket.on("close", () => open.push(performance.now() - fromMs));
          drip(socket, "HTTP/1.1 201 Created\r\n", 5_000);
        });
        const endpoint = `https://localhost:${server.port}/`;
        try {
          const { value, ms } = await timed(() =>
            notify(gateway, browser(gateway, endpoint), { app_id: UP, pushkey: endpoint }),
          );
          assertOk(value);
          assert.ok(ms < 2_000, `answered after ${ms} ms`);
          await until("both were cut", () => open.length === 2, 12_000);
          const longest = Math.max(...open);
          assert.ok(longest <= 10_000, `open for ${longest} ms`);
          return `cut after ${(longest / 1_000).toFixed(1)} s, the caller answered after ${(ms / 1_000).toFixed(1)} s`;
        } finally {
          await server.close();
        }
      }),
  },
  {
    number: "UW07",
    fault: "one host dead with 10,000 subscriptions",
    tier: 1,
    limitMs: 120_000,
    run: () =>
      withServices({ config: { log: { setup: { root: { level: "WARNING" } } } } }, async (gateway) => {
        const connects: number[] = [];
        const dead = await listen(
          createServer((socket) => {
            connects.push(performance.now());
            socket.resetAndDestroy();
          }),
        );
        try {
          const times: number[] = [];
          let sent = 0;
          let open = false;
          const fromMs = performance.now();
          let openMs = 0;
          while (sent < 10_000) {
            const devices = Array.from({ length: 100 }, () => ({
              app_id: UP,
              pushkey: `https://localhost:${dead.port}/${(sent += 1)}`,
            }));
            const [answer, other] = await Promise.all([
              notify(gateway, ...devices),
              timed(() => notify(gateway, phone(gateway))),
            ]);
            assertOk(answer);
            assertOk(other.value);
            times.push(other.ms);
            if (!open) [open, openMs] = [true, performance.now()];
          }
          const fill = performance.now() - fromMs;
          await sleep(20_000 - Math.min(10_000, performance.now() - openMs));
          const seconds = (performance.now() - openMs) / 1_000;
          const probes = connects.filter((atMs) => atMs > openMs + 100).length;
          const first = connects.length - probes;
          assert.ok(first >= 5 && first <= 100 + 1, `${first} connections before the circuit was open`);
          assert.ok(probes >= 1 && probes <= Math.ceil(seconds / 4), `${probes} connections in ${seconds} s`);
          assert.equal(await promised(gateway, UP), 10_000);
          assert.equal(await promised(gateway, UP, "accepted"), 10_000);
          const p50 = quantile(times, 0.5);
          return `10,000 kept in ${(fill / 1_000).toFixed(0)} s; ${first} connections, then ${probes} in ${seconds.toFixed(0)} s; the other host p50 ${p50.toFixed(0)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms, 0 lost`;
        } finally {
          await dead.close();
        }
      }),
  },
  {
    number: "UW09",
    fault: "VAPID exp with a clock that differs; 413",
    tier: 1,
    ci: true,
    run: async () => {
      const HOUR_S = 3_600;
      for (const hours of [-2, 2]) {
        await withServices({ simulators: { clock: shifted(hours * HOUR_S * 1_000) } }, async (gateway) => {
          assertOk(await notify(gateway, browser(gateway)));
          assert.equal(await outcomes(gateway, WEB, "delivered"), 1, `the service's clock is ${hours} h off`);
          const lifeS =
            expiryOf(gateway.simulators.recorder.requests.at(-1)?.headers["authorization"]) -
            Date.now() / 1_000;
          assert.ok(lifeS > 12 * HOUR_S - 60 && lifeS <= 12 * HOUR_S, `exp in ${lifeS} s`);
        });
      }
      return withServices({}, async (gateway) => {
        const { recorder, script } = gateway.simulators;
        for (const [upstream, make, app] of [
          ["webpush", browser, WEB],
          ["unifiedpush", phone, UP],
        ] as const) {
          const from = recorder.requests.length;
          script.add({ upstream, times: 1, answer: error("TOO_LARGE") });
          assertOk(await notify(gateway, make(gateway)));
          const sizes = recorder.requests.slice(from).map(({ headers }) => Number(headers["content-length"]));
          assert.equal(sizes.length, 2, upstream);
          assert.ok((sizes[1] ?? 0) < (sizes[0] ?? 0), `${upstream}: ${sizes.join(", ")}`);
          assert.equal(await outcomes(gateway, app, "delivered"), 1);
          script.add({ upstream, times: 2, answer: error("TOO_LARGE") });
          assertOk(await notify(gateway, make(gateway)));
          assert.equal(recorder.requests.length, from + 4, "shrunk more than once");
          assert.equal(await outcomes(gateway, app, "dropped", "too-large"), 1);
        }
        return "exp in 12 h, taken with clocks 2 h off; 413: shrunk once, then dropped";
      });
    },
  },
];
