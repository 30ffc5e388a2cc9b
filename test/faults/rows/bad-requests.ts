import assert from "node:assert/strict";
import { connect } from "node:net";
import { findTiedGlobs } from "../../../src/core/app-router.ts";
import { ANDROID, IOS, message, type RunningGateway } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { repeatedEvents } from "../support/repeated-events.ts";
import { expectRefused } from "../support/refused-start.ts";
import { freshAndroid, freshIos, sharedGateway, until, withGateway } from "../support/shared.ts";

/** An answer of the gateway. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Posts any body to a gateway. */
export async function post(
  gateway: RunningGateway,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(gateway.url, { method: "POST", body, headers });
  return { status: response.status, body: await response.json() };
}

const json = (value: unknown): string => JSON.stringify(value);

function expectError(answer: Answer, status: number, errcode?: string): void {
  assert.equal(answer.status, status);
  assert.ok(typeof answer.body === "object" && answer.body !== null && "errcode" in answer.body);
  if (errcode !== undefined) assert.equal(answer.body.errcode, errcode);
}

/** None of these may reach an upstream or be a 5xx. */
async function refuseAll(
  bodies: readonly (string | Uint8Array<ArrayBuffer>)[],
  status: number,
  errcode?: string,
): Promise<string> {
  const gateway = await sharedGateway();
  const asked = gateway.asked();
  for (const body of bodies) expectError(await post(gateway, body), status, errcode);
  // The same connection pool serves on.
  assert.equal((await gateway.notify(message([{ app_id: IOS, pushkey: freshIos() }]))).status, 200);
  assert.equal(gateway.asked(), asked + 1);
  return `${bodies.length} bodies, ${status}, 0 upstream calls`;
}

/** The one accepted request since `before`. */
function lastPayload(gateway: RunningGateway): unknown {
  return gateway.simulators.recorder.accepted.at(-1)?.payload;
}

async function delivered(gateway: RunningGateway, notification: unknown, count = 1): Promise<void> {
  const asked = gateway.simulators.recorder.counts.accepted;
  const answer = await gateway.notify(notification);
  assert.deepEqual([answer.status, answer.body], [200, { rejected: [] }]);
  assert.equal(gateway.simulators.recorder.counts.accepted, asked + count);
}

/** The status line of a raw request. */
async function rawStatus(port: number, text: string): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  let received = "";
  socket.on("data", (chunk) => (received += String(chunk)));
  socket.write(text, "latin1");
  try {
    await until("an answer", () => /^HTTP\/1\.1 (\d+)/.test(received) || socket.closed, 5_000);
  } finally {
    socket.destroy();
  }
  return Number(/^HTTP\/1\.1 (\d+)/.exec(received)?.[1] ?? 0);
}

export const badRequests: readonly Fault[] = [
  {
    number: "B01",
    fault: "empty body, truncated JSON, not JSON",
    tier: 1,
    ci: true,
    run: () =>
      refuseAll(
        ["", " ", '{"notification":', "hello", '{"a":NaN}', "{'a':1}", '{"a":"\0"}', "{}{}"],
        400,
        "M_NOT_JSON",
      ),
  },
  {
    number: "B02",
    fault: "JSON but not an object",
    tier: 1,
    ci: true,
    run: () => refuseAll(["[]", "null", "42", '"x"', "true", "-0"], 400, "M_BAD_JSON"),
  },
  {
    number: "B03",
    fault: "notification missing or not an object",
    tier: 1,
    ci: true,
    run: () =>
      refuseAll(
        ["{}", ...[null, [], "x", 1, true].map((notification) => json({ notification }))],
        400,
        "M_BAD_JSON",
      ),
  },
  {
    number: "B04",
    fault: "devices missing, not a list, empty",
    tier: 1,
    ci: true,
    run: () =>
      refuseAll(
        [{}, ...[null, {}, "x", 1, []].map((devices) => ({ devices }))].map((notification) =>
          json({ notification: { event_id: "$e", ...notification } }),
        ),
        400,
        "M_BAD_JSON",
      ),
  },
  {
    number: "B05",
    fault: "one of several devices without app_id or pushkey",
    tier: 1,
    ci: true,
    async run() {
      const gateway = await sharedGateway();
      const bad = [
        { app_id: IOS },
        { pushkey: "x" },
        { app_id: 1, pushkey: "x" },
        { app_id: IOS, pushkey: null },
        { app_id: IOS, pushkey: ["x"] },
        {},
        "x",
        null,
      ];
      for (const device of bad) {
        await delivered(
          gateway,
          message([
            { app_id: IOS, pushkey: freshIos() },
            device as object,
            { app_id: ANDROID, pushkey: freshAndroid() },
          ]),
          2,
        );
      }
      const asked = gateway.asked();
      expectError(await post(gateway, json({ notification: message(bad as object[]) })), 400, "M_BAD_JSON");
      assert.equal(gateway.asked(), asked);
      return `${bad.length} bad devices, the good beside them served`;
    },
  },
  {
    number: "B06",
    fault: "unknown fields at every level",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const unknown = { "org.example.x": { deep: [1, { y: null }] }, "": 1, 数: "字" };
      const device = {
        app_id: IOS,
        pushkey: freshIos(),
        ...unknown,
        data: { ...unknown },
        tweaks: { ...unknown },
      };
      const notification = message([device], {
        ...unknown,
        counts: { unread: 1, ...unknown },
        content: { body: "hi", ...unknown },
      });
      const recorded = gateway.simulators.recorder.counts.accepted;
      assert.equal((await post(gateway, json({ notification, ...unknown }))).status, 200);
      assert.equal(gateway.simulators.recorder.counts.accepted, recorded + 1);
      return "ignored at 5 levels";
    },
  },
  {
    number: "B07",
    fault: "optional fields of a wrong type or range",
    tier: 1,
    ci: true,
    async run() {
      const gateway = await sharedGateway();
      const odd = ["3", -1, 1e308, 2 ** 53, 1.5, null, [], {}, true, "", "x".repeat(1_000)];
      let tried = 0;
      const attempt = async (overrides: object, device: object = {}): Promise<void> => {
        tried += 1;
        await delivered(
          gateway,
          message([{ app_id: IOS, pushkey: freshIos(), ...device }], overrides as Record<string, unknown>),
        );
      };
      for (const value of odd) {
        for (const field of [
          "prio",
          "content",
          "room_name",
          "room_alias",
          "sender",
          "sender_display_name",
          "membership",
          "user_is_target",
          "counts",
        ]) {
          await attempt({ [field]: value });
        }
        await attempt({ counts: { unread: value, missed_calls: value } });
        await attempt({}, { pushkey_ts: value });
        await attempt({}, { tweaks: value });
        await attempt({}, { tweaks: { sound: value, highlight: value } });
        await attempt({}, { data: value });
      }
      return `${tried} requests, all served`;
    },
  },
  {
    number: "B08",
    fault: "app_id and pushkey longer than the spec has them",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const good = (): object => ({ app_id: IOS, pushkey: freshIos() });
      // Within the margin FCM is asked; beyond it nobody is, and the others are served.
      await delivered(gateway, message([{ app_id: ANDROID, pushkey: freshAndroid("k".repeat(600)) }]));
      await delivered(gateway, message([{ app_id: ANDROID, pushkey: freshAndroid("k".repeat(4_000)) }]));
      const figures: string[] = [];
      for (const bytes of [4_097, 100 * 1_024]) {
        const pushkey = "k".repeat(bytes);
        const before = gateway.asked();
        const answer = await post(
          gateway,
          json({ notification: message([good(), { app_id: ANDROID, pushkey }]) }),
        );
        assert.deepEqual([answer.status, answer.body], [200, { rejected: [pushkey] }]);
        const long = await gateway.notify(message([good(), { app_id: "a".repeat(bytes), pushkey: "k" }]));
        assert.deepEqual([long.status, long.body], [200, { rejected: ["k"] }]);
        assert.equal(gateway.asked(), before + 2);
        figures.push(String(bytes));
      }
      return `accepted to 4,000 bytes, rejected at ${figures.join(" and ")}`;
    },
  },
  {
    number: "B09",
    fault: "invalid UTF-8, lone surrogates, NUL in every string",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const dirty = "a\\ud800b\\u0000c\\udfff";
      const fields = [
        "type",
        "sender",
        "room_name",
        "room_alias",
        "sender_display_name",
        "event_id",
        "room_id",
        "membership",
        "prio",
      ];
      const text = fields.map((field) => `"${field}":"${dirty}"`).join(",");
      const device = `{"app_id":"${IOS}","pushkey":"${freshIos()}","data":{"x":"${dirty}"},"tweaks":{"sound":"${dirty}"}}`;
      const body = `{"notification":{${text},"content":{"msgtype":"m.text","body":"${dirty}"},"devices":[${device}]}}`;
      const answer = await post(gateway, body);
      assert.deepEqual([answer.status, answer.body], [200, { rejected: [] }]);
      const sent = gateway.simulators.recorder.accepted.at(-1)?.body ?? "";
      assert.ok(sent.includes("a"));
      assert.ok(!/\\u0000|\\ud8|\\udf|\0/i.test(sent), "the payload is not clean");
      // In a pushkey it can be no token of APNs, and FCM gets it cleaned.
      const keyed = `{"notification":{"event_id":"$x","devices":[{"app_id":"${ANDROID}","pushkey":"${dirty}${freshAndroid()}"}]}}`;
      assert.equal((await post(gateway, keyed)).status, 200);
      const bytes = Buffer.from(
        `{"notification":{"event_id":"??","devices":[{"app_id":"${IOS}","pushkey":"x"}]}}`,
      );
      bytes[bytes.indexOf("??")] = 0xff;
      expectError(await post(gateway, new Uint8Array(bytes)), 400, "M_NOT_JSON");
      return `${fields.length + 4} string fields, payload clean; broken UTF-8 is 400`;
    },
  },
  {
    number: "B11",
    fault: "Content-Type missing, odd, with tab or leading space",
    tier: 1,
    ci: true,
    async run() {
      const gateway = await sharedGateway();
      const port = Number(new URL(gateway.url).port);
      const types = [
        undefined,
        "text/plain",
        "application/json\ta",
        "  application/json",
        "application/json; charset=latin1",
        "application/json; charset=",
        "multipart/form-data",
        "; ;",
        "x".repeat(2_000),
      ];
      for (const type of types) {
        const send = (body: string): Promise<number> =>
          rawStatus(
            port,
            `POST /_matrix/push/v1/notify HTTP/1.1\r\nHost: x\r\n${type === undefined ? "" : `Content-Type:${type}\r\n`}` +
              `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
          );
        assert.equal(
          await send(json({ notification: message([{ app_id: IOS, pushkey: freshIos() }]) })),
          200,
        );
        assert.equal(await send(json({ notification: { devices: [{ app_id: 1 }] } })), 400);
        assert.equal(await send("[]"), 400);
      }
      return `${types.length} variants, the same validation on each`;
    },
  },
  {
    number: "B12",
    fault: "Content-Encoding gzip, br, nonsense",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const port = Number(new URL(gateway.url).port);
      const codings = ["gzip", "br", "deflate", "nonsense", "identity, gzip", "zstd"];
      for (const coding of codings) {
        // The body never comes: an answer without it shows that it was not read.
        const status = await rawStatus(
          port,
          `POST /_matrix/push/v1/notify HTTP/1.1\r\nHost: x\r\nContent-Encoding: ${coding}\r\nContent-Length: 400000\r\n\r\n`,
        );
        assert.equal(status, 415);
      }
      return `${codings.length} codings, 415 before the body`;
    },
  },
  {
    number: "B13",
    fault: "wrong method, unknown path, trailing slash, HEAD, OPTIONS",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const base = new URL(gateway.url).origin;
      for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"]) {
        assert.equal((await fetch(gateway.url, { method })).status, 405, method);
      }
      const paths = [
        "/",
        "/x",
        "/_matrix",
        "/_matrix/push/v1",
        "/_matrix/push/v1/notify/x",
        "/_MATRIX/push/v1/notify",
        "/%zz",
      ];
      for (const path of paths) {
        const answer = await fetch(`${base}${path}`, { method: "POST", body: "{}" });
        assert.equal(answer.status, 404, path);
        assert.equal(((await answer.json()) as { errcode: string }).errcode, "M_UNRECOGNIZED");
      }
      const slash = await fetch(`${gateway.url}/`, {
        method: "POST",
        body: json({ notification: message([{ app_id: IOS, pushkey: freshIos() }]) }),
      });
      assert.equal(slash.status, 200);
      return `6 methods 405, ${paths.length} paths 404, trailing slash served`;
    },
  },
  {
    number: "B15",
    fault: "101 and more devices in one request",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const devices = (count: number): object[] =>
        Array.from({ length: count }, () => ({ app_id: IOS, pushkey: freshIos() }));
      await delivered(gateway, message(devices(100)), 100);
      const asked = gateway.asked();
      for (const count of [101, 1_000, 3_000]) {
        expectError(await post(gateway, json({ notification: message(devices(count)) })), 400, "M_TOO_LARGE");
      }
      assert.equal(gateway.asked(), asked);
      return "100 served; 101, 1,000, 3,000 refused, 0 upstream calls";
    },
  },
  {
    number: "B16",
    fault: "an unknown app_id among known ones",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const answer = await gateway.notify(
        message([
          { app_id: IOS, pushkey: freshIos() },
          { app_id: "org.nobody", pushkey: "unknown-1" },
          { app_id: ANDROID, pushkey: freshAndroid() },
        ]),
      );
      assert.deepEqual([answer.status, answer.body], [200, { rejected: ["unknown-1"] }]);
      return "1 of 3 in rejected";
    },
  },
  {
    number: "B17",
    fault: "an app_id that matches two globs",
    tier: 1,
    run: () =>
      withGateway(
        {
          cold: true,
          apps: ({ ios }) => ({
            "com.glob.*": { ...ios, topic: "a.prefix" },
            "com.glob.chat.*": { ...ios, topic: "a.longer.prefix" },
            "com.glob.chat.exact": { ...ios, topic: "an.exact.name" },
            "*.prod": { ...ios, topic: "a.suffix" },
            "*.ios.prod": { ...ios, topic: "a.longer.suffix" },
            "*.ios.dev": { ...ios, topic: "disjoint" },
          }),
        },
        async (gateway) => {
          const cases = {
            "com.glob.x": "a.prefix",
            "com.glob.chat.x": "a.longer.prefix",
            "com.glob.chat.exact": "an.exact.name",
            "com.glob.x.prod": "a.prefix",
            "net.x.prod": "a.suffix",
            "net.x.ios.prod": "a.longer.suffix",
            "net.x.ios.dev": "disjoint",
          };
          for (const [appId, topic] of Object.entries(cases)) {
            await delivered(gateway, message([{ app_id: appId, pushkey: freshIos() }]));
            assert.equal(gateway.simulators.recorder.accepted.at(-1)?.headers["apns-topic"], topic, appId);
          }
          assert.deepEqual(findTiedGlobs(["a.*", "b.*", "*.ios.prod", "*.ios.dev"]), []);
          const refusal = await expectRefused({
            apps: { "a*b*c": { type: "apns" }, "a*d*c": { type: "apns" } },
          });
          assert.match(refusal, /a\*b\*c/);
          return `${Object.keys(cases).length} app ids, tied globs refused at start`;
        },
      ),
  },
  {
    number: "B19",
    fault: "APNs pushkey not base64 or hex, 1 byte, 10 KB",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const asked = gateway.asked();
      const keys = [
        "not a token!",
        "YWJj*",
        "a",
        "abcde",
        "/3/device/../x",
        "%00",
        "é",
        "x".repeat(10_240),
        "=",
        "AA",
      ];
      let rejected = 0;
      for (const pushkey of keys) {
        const answer = await gateway.notify(message([{ app_id: IOS, pushkey }]));
        assert.deepEqual([answer.status, answer.body], [200, { rejected: [pushkey] }], pushkey.slice(0, 20));
        rejected += 1;
      }
      assert.equal(gateway.asked(), asked);
      return `${rejected} rejected, 0 upstream calls`;
    },
  },
  {
    number: "B20",
    fault: "payload over 4,096 bytes, multi-byte characters at the cut",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const texts = [
        "海".repeat(20_000),
        "👨‍👩‍👧‍👦".repeat(2_000),
        '\\"\u2028'.repeat(6_000),
        "é".repeat(9_999),
        "<b>&</b>".repeat(7_000),
      ];
      let largest = 0;
      for (const text of texts) {
        for (let shift = 0; shift < 4; shift += 1) {
          const devices = [
            { app_id: IOS, pushkey: freshIos() },
            { app_id: ANDROID, pushkey: freshAndroid() },
          ];
          const notification = message(devices, {
            content: { msgtype: "m.text", body: "x".repeat(shift) + text },
          });
          await delivered(gateway, notification, 2);
          for (const request of gateway.simulators.recorder.accepted.slice(-2)) {
            assert.ok(request.payload !== undefined, "not JSON");
            assert.ok(!request.body.includes("\ufffd"), "not UTF-8");
            if (request.upstream === "apns") largest = Math.max(largest, Buffer.byteLength(request.body));
          }
        }
      }
      assert.ok(largest <= 4_096);
      const answers = gateway.simulators.recorder.counts.answers;
      assert.ok(!Object.keys(answers).some((answer) => answer.includes("413")));
      return `${texts.length * 4} texts, at most ${largest} bytes, no 413`;
    },
  },
  {
    number: "B21",
    fault: "default_payload: not an object, with aps, __proto__, 100 KB",
    tier: 1,
    async run() {
      const gateway = await sharedGateway();
      const send = async (payload: string): Promise<void> => {
        const device = `{"app_id":"${IOS}","pushkey":"${freshIos()}","data":{"default_payload":${payload}}}`;
        const answer = await post(
          gateway,
          `{"notification":{"event_id":"$real","room_id":"!real:e","devices":[${device}]}}`,
        );
        assert.equal(answer.status, 200, payload.slice(0, 60));
      };
      for (const payload of ["[]", "1", '"x"', "null", "true"]) await send(payload);
      await send('{"aps":{"alert":"mine","mutable-content":1},"event_id":"$forged","room_id":"!forged:e"}');
      const merged = lastPayload(gateway) as {
        aps?: Record<string, unknown>;
        event_id?: string;
        room_id?: string;
      };
      assert.equal(merged.event_id, "$real");
      assert.equal(merged.room_id, "!real:e");
      assert.equal(merged.aps?.["mutable-content"], 1);
      await send('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
      const large = JSON.stringify({ aps: { alert: "x" }, filler: "x".repeat(100_000) });
      await send(large);
      const last = gateway.simulators.recorder.requests.at(-1);
      assert.ok(Buffer.byteLength(last?.body ?? "") <= 4_096 || !last?.body.includes("filler"));
      assert.equal(gateway.simulators.recorder.counts.answers["apns 413 PayloadTooLarge"] ?? 0, 0);
      return "8 payloads; ids win, nothing polluted, no 413";
    },
  },
  {
    number: "B23",
    fault: "badge-only notify, and several while the upstream is down",
    tier: 1,
    waits: true,
    run: () =>
      withGateway({ config: { delivery: { answer_within: "300ms" } } }, async (gateway) => {
        const counts = (unread: number, pushkey: string): object => ({
          counts: { unread },
          devices: [{ app_id: IOS, pushkey }],
        });
        await delivered(gateway, counts(7, freshIos()));
        assert.deepEqual(lastPayload(gateway), { aps: { badge: 7 } });
        const [rule = 0] = gateway.simulators.script.add({
          upstream: "apns",
          answer: { kind: "error", reason: "ServiceUnavailable" },
        });
        const device = freshIos("b5");
        for (let unread = 1; unread <= 5; unread += 1) {
          assert.equal((await gateway.notify(counts(unread, device))).status, 200);
        }
        gateway.simulators.script.remove(rule);
        await until(
          "the badge",
          async () => (await gateway.metric(`signalbox_outbox_pushes{app="${IOS}",state="pending"}`)) === 0,
        );
        const badges = gateway.simulators.recorder.accepted
          .filter(({ token }) => token?.startsWith("b5"))
          .map(({ payload }) => (payload as { aps: { badge: number } }).aps.badge);
        assert.deepEqual(badges, [5]);
        return "5 waiting became 1, the newest";
      }),
  },
  {
    number: "B25",
    fault: "the same event repeated, 50 at once, after a restart, after 24 h",
    tier: 1,
    run: repeatedEvents,
  },
];
