import type { JsonObject } from "../../../src/json.ts";
import { fitPayload, fitPayloads, leanPayload } from "../../../src/pushkins/apns/payload.ts";

const alert = (...locArgs: readonly string[]): JsonObject => ({
  aps: { alert: { "loc-key": "K", "loc-args": locArgs } },
});
const size = (payload: JsonObject): number => Buffer.byteLength(JSON.stringify(payload));

describe("fitPayload", () => {
  it("leaves a payload that fits as it is, to the last byte", () => {
    const payload = alert("x".repeat(50), "🦊");
    expect(fitPayload(payload, size(payload))).toBe(JSON.stringify(payload));
  });

  it("shortens the longest text first and keeps the order of the arguments", () => {
    const payload = alert("aaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb", "c");
    const text = fitPayload(payload, size(payload) - 8);
    expect(JSON.parse(text ?? "")).toEqual(alert("aaaaaaaaaa", "bbbbbbbbb…", "c"));
  });

  it("counts the bytes of escapes", () => {
    const payload = alert('"\\\n\u0001'.repeat(500));
    for (let limit = 100; limit < 200; limit += 1) {
      const text = fitPayload(payload, limit);
      expect(Buffer.byteLength(text ?? "")).toBeLessThanOrEqual(limit);
      expect(Buffer.byteLength(text ?? "")).toBeGreaterThan(limit - 10);
      expect(JSON.parse(text ?? "")).toHaveProperty("aps.alert.loc-key", "K");
    }
  });

  it.each([
    ["no aps", { big: "x".repeat(200) }],
    ["no alert", { aps: { badge: 1 }, big: "x".repeat(200) }],
    ["an alert without texts", { aps: { alert: { title: "x".repeat(200) } } }],
    ["an alert of another type", { aps: { alert: 7 }, big: "x".repeat(200) }],
    ["texts that are too short to give enough", { aps: { alert: { body: "abc" } }, big: "x".repeat(200) }],
  ] as readonly [string, JsonObject][])("with %s there is nothing to shorten", (_what, payload) => {
    expect(fitPayload(payload, 100)).toBeUndefined();
  });
});

describe("fitPayloads", () => {
  it("takes the first that fits and builds none after it", () => {
    const built: number[] = [];
    const build = (number: number, length: number) => () => {
      built.push(number);
      return { aps: { badge: number }, big: "x".repeat(length) };
    };
    const fitted = fitPayloads([build(1, 200), build(2, 50), build(3, 0)], 100);
    expect(JSON.parse(fitted?.body ?? "")).toMatchObject({ aps: { badge: 2 } });
    expect(built).toEqual([1, 2]);
  });

  it.each([
    ["an alert", { aps: { alert: "x" } }, "alert"],
    ["a badge alone (design, Settled points)", { aps: { badge: 0 } }, "alert"],
    ["a sound alone", { aps: { sound: "default" } }, "alert"],
    ["no aps", { event_id: "$e" }, "alert"],
    ["an aps that is no object", { aps: "x" }, "alert"],
    ["an empty aps", { aps: {} }, "alert"],
    ["content-available and an alert", { aps: { "content-available": 1, alert: "x" } }, "alert"],
    [
      "content-available and mutable-content",
      { aps: { "content-available": 1, "mutable-content": 1 } },
      "alert",
    ],
    ["content-available alone", { aps: { "content-available": 1 }, event_id: "$e" }, "background"],
  ] as readonly [string, JsonObject, string][])("%s has push type %s", (_what, payload, pushType) => {
    expect(fitPayloads([() => payload], 4096)?.pushType).toBe(pushType);
  });
});

describe("leanPayload", () => {
  it.each([
    [
      {
        event_id: "$e",
        room_id: "!r",
        unread_count: 0,
        missed_calls: 2,
        cs: "x",
        aps: {
          badge: 0,
          sound: "s",
          alert: { "loc-key": "K", "loc-args": ["x"], title: "t" },
          "mutable-content": 1,
        },
      },
      {
        event_id: "$e",
        room_id: "!r",
        unread_count: 0,
        missed_calls: 2,
        aps: { badge: 0, "mutable-content": 1, alert: { "loc-key": "K" } },
      },
    ],
    [{ event_id: "$e", x: 1 }, { event_id: "$e" }],
    [{ aps: { "content-available": 1 }, ciphertext: "x" }, { aps: { "content-available": 1 } }],
    [{ aps: "x" }, {}],
  ])("%j becomes %j", (full, lean) => {
    expect(JSON.parse(leanPayload(JSON.stringify(full)))).toEqual(lean);
  });
});
