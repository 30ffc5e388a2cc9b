import type { JsonObject } from "../../../../src/json.ts";
import type { Answer } from "../case.ts";
import { apnsTurn, lenientBase64, truncate } from "./apns.ts";
import { fcmTurn, truncateField } from "./fcm.ts";
import { pythonJson } from "./python-json.ts";
import { validate, type Notification } from "./validate.ts";
import { webPushTurn } from "./webpush.ts";

/*
 * What a running Sygnal 0.17.0 was seen to send and to answer. The notes are held to it, so that a comparison with them
 * says something.
 */

const N: JsonObject = {
  room_id: "!r:e",
  event_id: "$e",
  type: "m.room.message",
  sender: "@s:e",
  sender_display_name: "Major Tom",
  room_name: "Mission Control",
  room_alias: "#a:e",
  prio: "high",
  content: { msgtype: "m.text", body: "hello", other: 1 },
  counts: { unread: 2, missed_calls: 1 },
};
const E: JsonObject = { room_id: "!r:e", event_id: "$e", counts: { unread: 2 } };
const B: JsonObject = { id: "", type: null, sender: "", counts: { unread: 2 } };

const without = (base: JsonObject, ...keys: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(base).filter(([key]) => !keys.includes(key)));

function parsed(fields: JsonObject, data?: JsonObject): Notification {
  const device = { app_id: "a", pushkey: "spqr", ...(data === undefined ? {} : { data }) };
  const read = validate({ notification: { ...fields, devices: [device] } });
  if ("kind" in read) throw new Error("refused");
  return read;
}

function first(notification: Notification) {
  const [device] = notification.devices;
  if (device === undefined) throw new Error("no device");
  return device;
}

function apns(fields: JsonObject, data?: JsonObject, badge = true): unknown {
  const notification = parsed(fields, data);
  const turn = apnsTurn(notification, first(notification), badge);
  return turn.kind === "send" ? turn.payload : turn.kind;
}

const message = (key: string, ...args: string[]): JsonObject => ({
  aps: { alert: { "loc-key": key, "loc-args": args }, badge: 3 },
  room_id: "!r:e",
  event_id: "$e",
});
const content = (more: JsonObject): JsonObject => ({ ...N, content: more });
const member = { ...N, type: "m.room.member", membership: "join", user_is_target: true };

describe("the notes on APNs payloads", () => {
  const withContent = "MSG_FROM_USER_IN_ROOM_WITH_CONTENT";
  const inRoom = message("MSG_FROM_USER_IN_ROOM", "Major Tom", "Mission Control");
  it.each<[string, JsonObject, unknown]>([
    ["a message", N, message(withContent, "Major Tom", "Mission Control", "hello")],
    ["no room name", without(N, "room_name"), message(withContent, "Major Tom", "#a:e", "hello")],
    [
      "no room",
      without(N, "room_name", "room_alias"),
      message("MSG_FROM_USER_WITH_CONTENT", "Major Tom", "hello"),
    ],
    [
      "an emote",
      content({ msgtype: "m.emote", body: "waves" }),
      message("ACTION_FROM_USER_IN_ROOM", "Mission Control", "Major Tom", "waves"),
    ],
    [
      "a picture",
      content({ msgtype: "m.image", body: "cat.png" }),
      message("IMAGE_FROM_USER_IN_ROOM", "Major Tom", "cat.png", "Mission Control"),
    ],
    ["a picture without body", content({ msgtype: "m.image" }), inRoom],
    [
      "a picture with an empty body",
      content({ msgtype: "m.image", body: "" }),
      message("IMAGE_FROM_USER_IN_ROOM", "Major Tom", "", "Mission Control"),
    ],
    ["an empty body", content({ msgtype: "m.text", body: "" }), inRoom],
    ["a null body", content({ msgtype: "m.text", body: null }), inRoom],
    ["encrypted", { ...without(N, "content"), type: "m.room.encrypted" }, inRoom],
    ["a sticker", { ...N, type: "m.sticker" }, message("MSG_FROM_USER", "Major Tom")],
    ["somebody joins", member, { aps: { badge: 3 } }],
    ["somebody joins, no counts", without(member, "counts"), "nothing"],
    ["no type", without(N, "type"), { room_id: "!r:e", event_id: "$e", unread_count: 2, missed_calls: 1 }],
    ["no type, no event", without(N, "type", "event_id"), { aps: { badge: 3 } }],
    [
      "no sender",
      without(N, "sender", "sender_display_name"),
      message(withContent, " ", "Mission Control", "hello"),
    ],
    [
      "an empty display name",
      { ...N, sender_display_name: "" },
      message(withContent, "", "Mission Control", "hello"),
    ],
    ["ids", E, { room_id: "!r:e", event_id: "$e", unread_count: 2 }],
    ["a badge", B, { aps: { badge: 2 } }],
    ["a badge of zero", { ...B, counts: { unread: 0 } }, { aps: { badge: 0 } }],
    ["empty counts", { ...B, counts: {} }, "nothing"],
  ])("%s", (_title, fields, expected) => expect(apns(fields)).toEqual(expected));

  it("with a default payload", () => {
    const own = {
      aps: { sound: "default", badge: 9, "content-available": 1, alert: { title: "t", "loc-key": "OLD" } },
      room_id: "OVER",
      zz: 1,
    };
    expect(apns(N, { default_payload: own })).toEqual({
      aps: {
        sound: "default",
        badge: 3,
        "content-available": 1,
        alert: { title: "t", "loc-key": withContent, "loc-args": ["Major Tom", "Mission Control", "hello"] },
      },
      room_id: "!r:e",
      zz: 1,
      event_id: "$e",
    });
    expect(apns(B, { default_payload: own })).toEqual({ aps: { badge: 2 } });
    expect(apns(N, { default_payload: null })).toBe("reject");
  });

  it("without badges", () => expect(apns(B, undefined, false)).toBe("nothing"));

  it.each([
    [1, "aaa bbbb cc"],
    [2, "aaa bbb cc"],
    [3, "aa bbb cc"],
    [4, "aa bb cc"],
    [5, "a bb cc"],
    [6, "a b cc"],
    [7, "a b c"],
  ])("cut by %i", (less, expected) => {
    const payload = { aps: { alert: { "loc-args": ["aaaa", "bbbb", "cc"] } } };
    const size = Buffer.byteLength(pythonJson(payload));
    const cut = truncate(payload, size - less) as typeof payload;
    expect(cut.aps.alert["loc-args"].join(" ")).toBe(expected);
  });

  it("device tokens", () => {
    expect(lenientBase64("spqr")).toBe("b29aab");
    expect(lenientBase64("-_-_")).toBe("");
    expect(lenientBase64("abcde")).toBeUndefined();
  });
});

describe("the notes on FCM messages", () => {
  const options = { fcm: { android: { ttl: "60s" }, webpush: { a: "b" } } };
  const fcm = (fields: JsonObject, data?: JsonObject): unknown => {
    const notification = parsed(fields, data);
    const turn = fcmTurn(notification, first(notification), options);
    return turn.kind === "send" ? turn.payload["message"] : turn.kind;
  };
  const ids = { event_id: "$e", room_id: "!r:e", prio: "high", unread: "2" };

  it("a message", () =>
    expect(fcm(N)).toEqual({
      android: { ttl: "60s", priority: "high" },
      webpush: { a: "b" },
      token: "spqr",
      data: {
        ...ids,
        type: "m.room.message",
        sender: "@s:e",
        room_name: "Mission Control",
        room_alias: "#a:e",
        sender_display_name: "Major Tom",
        content_msgtype: "m.text",
        content_body: "hello",
        missed_calls: "1",
      },
    }));
  it.each<[string, JsonObject, JsonObject | undefined, unknown]>([
    ["low", { ...E, prio: "low" }, undefined, { ...ids, prio: "normal" }],
    ["ids", E, undefined, ids],
    ["ids and zero", { ...E, counts: { unread: 0 } }, undefined, without(ids, "unread")],
    ["a badge", B, undefined, { sender: "", prio: "high", unread: "2" }],
    [
      "content of all kinds",
      { ...E, content: { a: 1, b: true, c: { d: "e" }, e: "f", g: null, h: "" } },
      undefined,
      { ...ids, content_e: "f", content_h: "" },
    ],
    ["content a text", { ...E, content: "str" }, undefined, { ...ids, content: "str" }],
    [
      "a default payload",
      E,
      { default_payload: { room_id: "zz", unread: "9", content: { k: "v" }, n: 5 } },
      { ...ids, content_k: "v", n: 5 },
    ],
  ])("%s", (_title, fields, data, expected) => expect(fcm(fields, data)).toMatchObject({ data: expected }));
  it("a badge of zero is not sent", () => expect(fcm({ ...B, counts: { unread: 0 } })).toBe("nothing"));
  it.each([
    ["x".repeat(1_025), `${"x".repeat(1_021)}…`],
    [`${"x".repeat(1_020)}🦉🦉`, `${"x".repeat(1_020)}…`],
    ["é".repeat(513), `${"é".repeat(510)}…`],
    ["x".repeat(1_024), "x".repeat(1_024)],
  ])("a long field", (text, expected) => expect(truncateField(text)).toBe(expected));
});

describe("the notes on Web Push", () => {
  const data = { endpoint: "https://push.example.net/send/1", auth: "a" };
  const web = (fields: JsonObject, more: JsonObject = {}): unknown => {
    const notification = parsed(fields, { ...data, ...more });
    const turn = webPushTurn(notification, first(notification));
    return turn.kind === "send" ? turn.payload : turn.kind;
  };
  it("a message", () =>
    expect(web(N)).toEqual({ ...without(N, "prio", "counts"), unread: 2, missed_calls: 1 }));
  it("badges", () => {
    expect(web(B)).toEqual({ unread: 2 });
    expect(web({ ...B, counts: { unread: 0 } })).toEqual({ unread: 0 });
    expect(web(B, { events_only: true })).toBe("nothing");
  });
  it("what says nothing is left out", () => {
    expect(web({ ...E, user_is_target: false, content: {} })).toEqual({
      room_id: "!r:e",
      event_id: "$e",
      unread: 2,
    });
    expect(web({ ...E, user_is_target: true, content: "x" })).toMatchObject({ user_is_target: true });
  });
});

describe("the notes on what is refused", () => {
  const device = { app_id: "a", pushkey: "k" };
  it.each<[unknown, number, string]>([
    [[], 400, "Invalid notification: expecting object in 'notification' key"],
    [null, 500, "Processing Failed"],
    [{ notification: {} }, 400, "Expected list in 'devices' key"],
    [{ notification: { devices: [], counts: null } }, 500, "Processing Failed"],
    [{ notification: { devices: [], counts: { unread: "1" } } }, 400, "unread is of invalid type"],
    [
      { notification: { devices: [], counts: { missed_calls: 1.5 } } },
      400,
      "missed_calls is of invalid type",
    ],
    [{ notification: { devices: [null] } }, 500, "Processing Failed"],
    [{ notification: { devices: [{ pushkey: "k" }] } }, 400, "Device with missing or non-string app_id"],
    [{ notification: { devices: [{ app_id: "a" }] } }, 400, "Device with missing or non-string pushkey"],
    [{ notification: { devices: [{ ...device, pushkey_ts: "1" }] } }, 400, "pushkey_ts is of invalid type"],
    [{ notification: { devices: [{ ...device, data: null }] } }, 400, "data is of invalid type"],
    [{ notification: { devices: [{ ...device, tweaks: null }] } }, 400, "tweaks is of invalid type"],
    [{ notification: { devices: [{ ...device, tweaks: { sound: 1 } }] } }, 400, "sound is of invalid type"],
    [{ notification: { devices: [] } }, 400, "No devices in notification"],
  ])("%j", (body, status, text) => {
    const answer = validate(body as JsonObject) as Extract<Answer, { kind: "answer" }>;
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(text);
  });
});
