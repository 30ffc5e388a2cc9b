import type { JsonObject } from "../../../src/json.ts";
import type { MatrixContent, Push } from "../../../src/core/push.ts";
import { dataBytes } from "../../../src/pushkins/fcm/data.ts";
import { renderMatrix, type MatrixRendering } from "../../../src/pushkins/fcm/matrix.ts";
import { countsContent, matrixContent, minimalContent, push } from "../../support/builders.ts";
import { B, E, N, pushesOf, pushOf, startFcm, type FcmRig } from "./fcm-fixture.ts";

const usual: MatrixRendering = { sendBadgeCounts: true, countsPushes: true, layout: "sygnal" };

/** The data as an object, or why there is none. */
function render(
  content: MatrixContent,
  rendering: Partial<MatrixRendering> = {},
  overrides: Partial<Push> = {},
) {
  const data = renderMatrix(push({ content, ...overrides }), content, { ...usual, ...rendering });
  return "kind" in data ? data : Object.fromEntries(data);
}

describe("what is sent for Sygnal's golden vectors (sygnal-compat 20.2)", () => {
  let rig: FcmRig;
  beforeAll(async () => {
    rig = await startFcm({ config: { fcm_options: { android: { ttl: "60s" }, webpush: { a: "b" } } } });
  });
  afterAll(() => rig.stop());

  const message = (data: Record<string, string>, priority = "high"): JsonObject => ({
    // `ttl` is there in any case: better by rule. Here the configured one is the smaller.
    android: { ttl: "60s", priority },
    webpush: { a: "b" },
    token: "spqr",
    data,
  });
  const full = {
    event_id: "$e",
    type: "m.room.message",
    sender: "@s:e",
    room_name: "Mission Control",
    room_alias: "#a:e",
    sender_display_name: "Major Tom",
    room_id: "!r:e",
    content_msgtype: "m.text",
    content_body: "hello",
    prio: "high",
    unread: "2",
    missed_calls: "1",
  };
  const minimal = { event_id: "$e", room_id: "!r:e", prio: "high", unread: "2" };
  const withData = (default_payload: JsonObject): JsonObject => ({ data: { default_payload } });

  it.each<[string, JsonObject, JsonObject, JsonObject]>([
    ["N", N, {}, message(full)],
    ["N, low", { ...N, prio: "low" }, {}, message({ ...full, prio: "normal" }, "normal")],
    ["E", E, {}, message(minimal)],
    [
      "E, unread 0",
      { ...E, counts: { unread: 0 } },
      {},
      message({ event_id: "$e", room_id: "!r:e", prio: "high" }),
    ],
    [
      "B, without Sygnal's empty sender: a counts push has counts alone (matrix-push 3)",
      B,
      {},
      message({ prio: "high", unread: "2" }),
    ],
    [
      "B, unread 0: sent, so that the phone clears (matrix-push 7.2, case 43; G-10)",
      { ...B, counts: { unread: 0 } },
      {},
      message({ prio: "high", unread: "0" }),
    ],
    [
      "E with content: not passed on in the minimal form (matrix-push 3, case 35)",
      { ...E, content: { a: 1, b: true, c: { d: "e" }, e: "f", g: null, h: "" } },
      {},
      message(minimal),
    ],
    [
      "an event with that content",
      { ...E, type: "t", content: { a: 1, b: true, c: { d: "e" }, e: "f", g: null, h: "" } },
      {},
      message({ ...minimal, type: "t", content_e: "f", content_h: "" }),
    ],
    [
      "content that is no object counts as absent (matrix-push 2.1, case 47)",
      { ...E, type: "t", content: "str" },
      {},
      message({ ...minimal, type: "t" }),
    ],
    [
      "E with a default payload: the request's ids win, the number becomes text (case 31, 32; G-06)",
      E,
      withData({ room_id: "zz", unread: "9", content: { k: "v" }, n: 5 }),
      message({ ...minimal, content_k: "v", n: "5" }),
    ],
  ])("%s", async (_name, notification, device, expected) => {
    expect((await rig.outcome(pushOf(notification, device, rig.clock.now()))).kind).toBe("delivered");
    expect(rig.lastMessage()).toEqual(expected);
  });

  it.each<[string, JsonObject]>([
    ["only type set", { type: "m.room.message" }],
    ["ids empty and no counts", { type: "t", room_id: "", event_id: "", counts: {} }],
    ["ids empty and counts that are zero", { type: "t", room_id: "", event_id: "", counts: { unread: 0 } }],
    ["nothing at all", {}],
  ])("%s: nothing is sent, nothing rejected", (_name, notification) => {
    expect(rig.pushkin.render(pushOf(notification))).toEqual({ kind: "dropped", reason: "nothing-to-send" });
  });

  it("an id in the default payload is one (sygnal-compat 11.3, step 6)", async () => {
    const device = withData({ room_id: "!own:e" });
    expect((await rig.outcome(pushOf({ type: "t" }, device, rig.clock.now()))).kind).toBe("delivered");
    expect(rig.lastMessage()["data"]).toEqual({ type: "t", room_id: "!own:e", prio: "high" });
  });
});

describe("the app's own keys (matrix-push 7.2)", () => {
  const own = (defaultPayload: JsonObject, overrides: Partial<MatrixContent> = {}) =>
    render(minimalContent({ ...overrides, defaultPayload }));
  const base = { event_id: "$e", room_id: "!r:e", prio: "high", unread: "2" };

  it.each<[string, JsonObject, Record<string, string>]>([
    ["text as it is", { cs: "secret", empty: "" }, { cs: "secret", empty: "" }],
    ["numbers as text", { a: 5, b: -1.5, c: 1e21 }, { a: "5", b: "-1.5", c: "1e+21" }],
    ["booleans as text", { a: true, b: false }, { a: "true", b: "false" }],
    ["objects as JSON text", { a: { b: [1, { c: null }] } }, { a: '{"b":[1,{"c":null}]}' }],
    ["arrays as JSON text", { a: ["x", 1] }, { a: '["x",1]' }],
    ["null left out", { a: null }, {}],
    ["aps left out", { aps: { alert: "x", "content-available": 1 } }, {}],
    [
      "what FCM reserves left out",
      {
        from: "a",
        message_type: "b",
        collapse_key: "c",
        "google.x": "d",
        googlex: "e",
        gcm: "f",
        "gcm.n": "g",
      },
      {},
    ],
    ["a key without a name left out", { "": "x" }, {}],
    ["a content list as JSON text", { content: [1] }, { content: "[1]" }],
  ])("%s", (_name, payload, expected) => {
    expect(own(payload)).toEqual({ ...base, ...expected });
  });

  it("a key __proto__ is a key like any other (B21)", () => {
    const payload = JSON.parse('{"__proto__":{"room_id":"!evil:e"},"constructor":"x"}') as JsonObject;
    const data = own(payload) as Record<string, string>;
    expect(Object.entries(data)).toContainEqual(["__proto__", '{"room_id":"!evil:e"}']);
    expect(data).toMatchObject({ room_id: "!r:e", constructor: "x" });
  });

  it("an event's content takes the place of the app's own", () => {
    const content = matrixContent({ defaultPayload: { content: { k: "v" } } });
    expect(render(content)).not.toHaveProperty("content_k");
    expect(own({ content: { k: "v", n: 1 } })).toEqual({ ...base, content_k: "v" });
  });

  it("a default payload that is none rejects the pushkey (case 30)", () => {
    expect(render(matrixContent({ defaultPayloadInvalid: true }))).toEqual({
      kind: "rejected",
      reason: "invalid-pushkey",
    });
  });
});

describe("counts", () => {
  it("beside an event go out when they are not zero", () => {
    expect(render(minimalContent({ unread: 0, missedCalls: 3 }))).toMatchObject({ missed_calls: "3" });
    expect(render(minimalContent({ unread: 0 }))).not.toHaveProperty("unread");
  });

  it("are not sent with send_badge_counts: false", () => {
    const data = render(matrixContent(), { sendBadgeCounts: false });
    expect(data).not.toHaveProperty("unread");
    expect(data).not.toHaveProperty("missed_calls");
    expect(data).toMatchObject({ event_id: "$e" });
  });

  it.each([
    ["counts_pushes: false", { countsPushes: false }],
    ["send_badge_counts: false", { sendBadgeCounts: false }],
  ])("alone are not wanted with %s", (_name, rendering) => {
    expect(render(countsContent(), rendering)).toEqual({ kind: "dropped", reason: "not-wanted" });
  });
});

describe("an encrypted push (matrix-push 8, MSC3013)", () => {
  it("passes the three strings on unchanged, however long", () => {
    const content: MatrixContent = {
      kind: "matrix",
      form: "encrypted",
      ciphertext: "c".repeat(3000),
      ephemeral: "e",
      mac: "m",
      data: {},
      defaultPayload: {},
    };
    const sealed = { ciphertext: "c".repeat(3000), ephemeral: "e", mac: "m", prio: "high" };
    expect(render(content)).toEqual(sealed);
    expect(render({ ...content, unread: 0 })).toEqual(sealed);
    expect(render({ ...content, unread: 0, isCountsOnly: true })).toEqual({ ...sealed, unread: "0" });
    expect(render({ ...content, ciphertext: "c".repeat(5000) })).toEqual({
      kind: "dropped",
      reason: "too-large",
    });
  });
});

describe("size (matrix-push 9.13, case 33, 52; B20, G-07)", () => {
  const bodyOf = (body: string): MatrixContent => matrixContent({ content: { msgtype: "m.text", body } });

  it.each<[string, string]>([
    ["x".repeat(1025), `${"x".repeat(1021)}…`],
    [`${"x".repeat(1020)}🦉🦉`, `${"x".repeat(1020)}…`],
    ["é".repeat(513), `${"é".repeat(510)}…`],
    ["x".repeat(1024), "x".repeat(1024)],
  ])("a field keeps 1024 bytes (sygnal-compat 11.4) %#", (body, expected) => {
    expect(render(bodyOf(body))).toMatchObject({ content_body: expected });
  });

  const many = (count: number, value: JsonObject[string]): JsonObject =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value]));

  it.each<[string, MatrixContent]>([
    ["a body of 60 000 bytes of 海", bodyOf("海".repeat(20_000))],
    ["a body of emoji families", bodyOf("👨‍👩‍👧‍👦".repeat(2000))],
    ["a body of flags after one letter", bodyOf(`x${"🇩🇪".repeat(500)}`)],
    ["a body of control characters", bodyOf("\u0001".repeat(5000))],
    ["a body of quotes", bodyOf('"\\'.repeat(5000))],
    [
      "four fields of 1 KB",
      matrixContent({
        roomName: "r".repeat(1024),
        roomAlias: "a".repeat(1024),
        senderDisplayName: "s".repeat(1024),
        content: { msgtype: "m.text", body: "b".repeat(1024) },
      }),
    ],
    ["eight fields of two-byte letters", matrixContent({ content: many(8, "é".repeat(700)) })],
    ["a thousand content keys", matrixContent({ content: many(1000, "text") })],
    ["a content key of 50 KB", matrixContent({ content: { ["k".repeat(50_000)]: "v" } })],
    ["a default payload of 100 KB in one text", minimalContent({}, { big: "x".repeat(100_000) })],
    ["a default payload of 100 KB in one list", minimalContent({}, { big: Array(50_000).fill(1) })],
    ["a default payload of 10 000 keys", minimalContent({}, many(10_000, 1))],
    [
      "a default payload that just does not fit beside long names",
      matrixContent({ roomName: "r".repeat(900), defaultPayload: { big: "x".repeat(3400) } }),
    ],
  ])("%s stays within the limit, keeps its ids, and FCM takes it", async (_name, content) => {
    const rig = await startFcm();
    try {
      for (const layout of ["sygnal", "hedwig"] as const) {
        const data = renderMatrix(push({ content }), content, { ...usual, layout });
        if ("kind" in data) throw new Error(data.reason);
        expect(dataBytes(data)).toBeLessThanOrEqual(4000);
        expect(Object.fromEntries(data)).toMatchObject({ event_id: "$e", room_id: "!r:e" });
        for (const value of data.values()) expect(value.isWellFormed()).toBe(true);
        const pushkin = await rig.another({ payload_layout: layout });
        const each = push({ content });
        const message = pushkin.render(each);
        if (!("body" in message)) throw new Error("not rendered");
        const context = {
          push: { ...each, expiresAtMs: rig.clock.now() + 60_000 },
          signal: AbortSignal.timeout(5000),
        };
        expect((await pushkin.attempt(message, context)).outcome).toMatchObject({ kind: "delivered" });
        expect(rig.lastMessage()["data"]).toEqual(Object.fromEntries(data));
      }
    } finally {
      await rig.stop();
    }
  });

  it("texts are shortened before the app's own keys go", () => {
    const content = matrixContent({
      roomName: "r".repeat(1024),
      senderDisplayName: "s".repeat(1024),
      defaultPayload: { cs: "x".repeat(2500) },
    });
    const data = render(content) as Record<string, string>;
    expect(data["cs"]).toHaveLength(2500);
    expect(data["room_name"]).toMatch(/^r+…$/);
    expect(data["sender_display_name"]).toMatch(/^s+…$/);
    expect(data["content_body"]).toBe("hello");
  });

  it("what never fits goes without the app's own keys and texts: ids and counts (case 33)", () => {
    expect(render(matrixContent({ defaultPayload: { cs: "x".repeat(5000) } }))).toEqual({
      event_id: "$e",
      room_id: "!r:e",
      type: "m.room.message",
      sender: "@s:e",
      prio: "high",
      unread: "2",
      missed_calls: "1",
    });
  });

  it("a cut never tears a character apart", () => {
    const family = "👨‍👩‍👧‍👦";
    const data = render(bodyOf(family.repeat(100))) as Record<string, string>;
    const kept = (data["content_body"] ?? "").slice(0, -1);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept).toBe(family.repeat(kept.length / family.length));
  });

  it("ids that cannot fit drop the push", () => {
    const long = "x".repeat(2000);
    const ids = { eventId: long, roomId: long, type: long, sender: long, membership: long };
    expect(render(matrixContent(ids))).toEqual({ kind: "dropped", reason: "too-large" });
  });

  it.each(["sygnal", "hedwig"] as const)(
    "a hundred devices that share a content of 100 000 keys cost next to nothing (%s)",
    (layout) => {
      const devices = Array.from({ length: 100 }, (_, i) => ({ app_id: "a", pushkey: `k${i}` }));
      const pushes = pushesOf({ ...N, content: many(100_000, "some text"), devices });
      expect(pushes).toHaveLength(100);
      const startedMs = performance.now();
      for (const each of pushes) renderMatrix(each, each.content, { ...usual, layout });
      const tookMs = performance.now() - startedMs;
      // About 50 ms on an idle machine; each device for itself would take seconds.
      expect(tookMs).toBeLessThan(1_000);
    },
  );
});
