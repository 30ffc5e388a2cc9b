import { readFileSync, readdirSync } from "node:fs";
import type { MatrixContent } from "../../../src/core/push.ts";
import { parseNotify, type MatrixPush, type NotifyRequest } from "../../../src/doors/matrix/parse.ts";
import type { ParseContext } from "../../../src/http/door.ts";
import { HttpError } from "../../../src/http/errors.ts";
import type { JsonValue } from "../../../src/json.ts";
import { lifetimesMs, limits } from "../../http/listener.ts";

const receivedAtMs = Date.UTC(2026, 10, 20, 12);
const context: ParseContext = { limits, lifetimesMs, receivedAtMs, needsCleaning: false };
const cleaning: ParseContext = { ...context, needsCleaning: true };

function understood(body: unknown, with_ = context): NotifyRequest {
  const result = parseNotify(body as JsonValue, with_);
  if (result instanceof HttpError) throw new Error(`refused: ${result.code}`);
  return result;
}

function refusal(body: unknown): string {
  const result = parseNotify(body as JsonValue, context);
  return result instanceof HttpError ? result.code : "understood";
}

const device = { app_id: "org.harbour.chat", pushkey: "key-1" };

/** The one push of a notification with these fields for this device. */
function push(fields: object, deviceFields: object = {}, with_ = context): MatrixPush {
  const { pushes } = understood(
    { notification: { devices: [{ ...device, ...deviceFields }], ...fields } },
    with_,
  );
  expect(pushes).toHaveLength(1);
  return pushes[0] as MatrixPush;
}

function content(fields: object, deviceFields: object = {}, with_ = context): MatrixContent {
  return push(fields, deviceFields, with_).content;
}

function fixture(start: string): MatrixPush[] {
  const folder = new URL("fixtures/", import.meta.url);
  const name = readdirSync(folder).find((file) => file.startsWith(start)) ?? "";
  const text = readFileSync(new URL(name, folder), "utf8");
  return [...understood(JSON.parse(text), cleaning).pushes];
}

describe("the examples of matrix-push 9", () => {
  it.each([
    [
      "9-01",
      "event",
      "high",
      "message",
      { unread: 3, roomName: "Ingrid", sound: "default", highlight: false },
    ],
    ["9-02", "event", "high", "message", { type: "m.room.encrypted", unread: 1 }],
    ["9-03", "minimal", "high", "message", { unread: 2, roomId: "!market:quay.example" }],
    ["9-04", "minimal", "high", "message", { roomId: "!market:quay.example" }],
    ["9-05", "event", "high", "message", { membership: "invite", userIsTarget: true }],
    ["9-06", "event", "high", "message", { membership: "invite" }],
    ["9-07", "event", "high", "call", { type: "m.call.invite", sound: "ring" }],
    ["9-08", "counts", "high", "badge", { unread: 0 }],
    ["9-09", "counts", "high", "badge", { unread: 7 }],
    ["9-10", "event", "low", "message", { membership: "join", userIsTarget: false }],
    ["9-11", "event", "low", "message", { unread: 9 }],
    [
      "9-12",
      "event",
      "high",
      "message",
      { roomName: "🚢 Þjónusta «тест» ﷽", sender: "@zoë-no:harbour.example" },
    ],
    ["9-14", "minimal", "high", "message", { eventId: "$THIS_EVENT_IS_A_TEST" }],
    ["9-16", "minimal", "high", "message", { unread: 1 }],
    ["9-17", "event", "high", "message", { senderDisplayName: "Ingrid" }],
    ["9-18", "encrypted", "high", "message", { mac: "Vt3yQm9sLkE" }],
    ["9-19", "minimal", "low", "message", { unread: 3 }],
  ])("%s is of form %s, priority %s, urgency %s", (start, form, priority, urgency, fields) => {
    const [only, ...others] = fixture(start);
    expect(others).toEqual([]);
    expect(only?.content.form).toBe(form);
    expect(only?.priority).toBe(priority);
    expect(only?.urgency).toBe(urgency);
    expect(only?.content).toMatchObject(fields);
  });

  it("9.4: no count was sent, so there is none", () => {
    expect(fixture("9-04")[0]?.content).not.toHaveProperty("unread");
  });

  it("9.6: who the invite is for stays unknown", () => {
    expect(fixture("9-06")[0]?.content).not.toHaveProperty("userIsTarget");
  });

  it("9.12: every character of the body is intact", () => {
    const [only] = fixture("9-12");
    expect(only?.content.content?.["body"]).toBe(
      "Ses geldi mi? 👩🏽‍🚀🇮🇸 e\u0301té \u200fשלום\u200f — 你好，世界 \u{1fae1}",
    );
  });

  it("9.15: five devices are four pushes, and the repeated one has the first one's", () => {
    const folder = new URL("fixtures/", import.meta.url);
    const body: unknown = JSON.parse(readFileSync(new URL("9-15-many-devices.json", folder), "utf8"));
    const { pushes, devices } = understood(body);
    expect(pushes.map((one) => one.appId)).toEqual([
      "org.harbour.chat.ios.prod",
      "org.harbour.chat.ios.prod",
      "org.nobody.here",
      "org.harbour.chat.android",
    ]);
    expect(devices.map((one) => one.push)).toEqual([0, 1, 2, 0, 3]);
    expect(new Set(pushes.map((one) => one.id)).size).toBe(4);
  });

  it("9.16: the other account's push is another push", () => {
    const [a] = fixture("9-16");
    const body = JSON.parse(JSON.stringify(a?.content.data)) as Record<string, string>;
    expect(body["client_name"]).toBe("account-a");
    const b = push({ event_id: a?.content.eventId }, { data: { ...body, client_name: "account-b" } });
    const again = push({ event_id: a?.content.eventId }, { data: body });
    expect(again.dedupeOn).toBe(a?.dedupeOn);
    expect(b.dedupeOn).not.toBe(a?.dedupeOn);
  });
});

describe("a body that is refused", () => {
  it.each([
    ["an array (7)", [], "not-an-object"],
    ["null (7)", null, "not-an-object"],
    ["a number (7)", 42, "not-an-object"],
    ["a string (7)", "notification", "not-an-object"],
    ["no notification (8)", {}, "no-notification"],
    ["notification null (8)", { notification: null }, "no-notification"],
    ["notification a list (8)", { notification: [] }, "no-notification"],
    ["no devices (17)", { notification: {} }, "no-devices"],
    ["devices an object (17)", { notification: { devices: { 0: device } } }, "no-devices"],
    ["no device (18)", { notification: { devices: [] } }, "no-devices"],
    ["a device without app_id (19)", { notification: { devices: [{ pushkey: "k" }] } }, "no-usable-device"],
    ["a device without pushkey (19)", { notification: { devices: [{ app_id: "a" }] } }, "no-usable-device"],
    [
      "ids that are no strings (19)",
      { notification: { devices: [{ app_id: 1, pushkey: {} }] } },
      "no-usable-device",
    ],
    [
      "devices that are no objects (19)",
      { notification: { devices: [null, 1, "x", []] } },
      "no-usable-device",
    ],
    ["101 devices (B15)", { notification: { devices: Array(101).fill(device) } }, "too-many-devices"],
  ])("%s", (_title, body, code) => {
    expect(refusal(body)).toBe(code);
  });

  it("counts and devices beside the notification are not looked at (2.4)", () => {
    expect(refusal({ notification: { id: "$e" }, devices: [device] })).toBe("no-devices");
  });
});

describe("devices", () => {
  it("an unusable one among good ones is left out (20)", () => {
    const { pushes, devices } = understood({
      notification: {
        event_id: "$e",
        devices: [{ app_id: "a" }, device, 7, { ...device, pushkey: "key-2" }],
      },
    });
    expect(pushes.map((one) => one.pushkey)).toEqual(["key-1", "key-2"]);
    expect(devices).toEqual([
      { pushkey: "key-1", push: 0 },
      { pushkey: "key-2", push: 1 },
    ]);
  });

  it.each([
    ["an empty pushkey (21)", { ...device, pushkey: "" }],
    ["a pushkey of 4097 bytes (22)", { ...device, pushkey: "k".repeat(4097) }],
    ["a pushkey of 4098 bytes in fewer characters", { ...device, pushkey: "é".repeat(2049) }],
    ["an app_id of 100 KiB (B08)", { ...device, app_id: "a".repeat(102_400) }],
  ])("%s is rejected without asking, the others are served", (_title, bad) => {
    const { pushes, devices } = understood({ notification: { event_id: "$e", devices: [bad, device] } });
    expect(pushes).toHaveLength(1);
    expect(devices).toEqual([{ pushkey: bad.pushkey }, { pushkey: "key-1", push: 0 }]);
  });

  it("identifiers of 4096 bytes are served", () => {
    const { pushes } = understood({
      notification: { event_id: "$e", devices: [{ app_id: "a".repeat(4096), pushkey: "é".repeat(2048) }] },
    });
    expect(pushes).toHaveLength(1);
  });

  it("the same device twice is one push, with other data it is two (25, 64)", () => {
    const { pushes, devices } = understood({
      notification: {
        event_id: "$e",
        devices: [
          { ...device, data: { a: 1 } },
          { ...device, data: { a: 1 }, tweaks: { sound: "x" } },
          { ...device, data: { a: 2 } },
          { ...device, app_id: "other", data: { a: 1 } },
        ],
      },
    });
    expect(pushes).toHaveLength(3);
    expect(devices.map((one) => one.push)).toEqual([0, 0, 1, 2]);
  });

  it.each([
    ["seconds", 1_783_944_012, 1_783_944_012_000],
    ["milliseconds", 1_783_944_012_345, 1_783_944_012_345],
    ["a fraction of seconds", 1_783_944_012.5, 1_783_944_012_500],
    ["zero", 0, undefined],
    ["negative", -5, undefined],
    ["text", "1783944012", undefined],
    ["true", true, undefined],
    ["null", null, undefined],
    ["absent", undefined, undefined],
    ["beyond time", 1e300, undefined],
    ["infinite, as 1e999 parses", Infinity, undefined],
  ])("pushkey_ts: %s (29)", (_title, sent, ms) => {
    expect(push({ event_id: "$e" }, { pushkey_ts: sent }).pushkeyTsMs).toBe(ms);
  });

  it.each([
    ["missing", undefined],
    ["null", null],
    ["a string", "x"],
    ["a list", [1]],
    ["a number", 5],
  ])("data %s is an empty object (27, B07)", (_title, data) => {
    expect(content({ event_id: "$e" }, { data }).data).toEqual({});
  });

  it.each([
    ["null", null],
    ["a list", []],
    ["of a sound that is no string", { sound: 3, highlight: "yes" }],
  ])("tweaks %s are ignored (28)", (_title, tweaks) => {
    const made = content({ type: "m.room.message" }, { tweaks });
    expect(made).not.toHaveProperty("sound");
    expect(made).not.toHaveProperty("highlight");
  });
});

describe("default_payload", () => {
  it("absent is empty", () => {
    expect(content({ event_id: "$e" }).defaultPayload).toEqual({});
    expect(content({ event_id: "$e" })).not.toHaveProperty("defaultPayloadInvalid");
  });

  it("an object is taken as it is", () => {
    const made = content({ event_id: "$e" }, { data: { default_payload: { cs: "s", aps: { x: 1 } } } });
    expect(made.defaultPayload).toEqual({ cs: "s", aps: { x: 1 } });
  });

  it("the text of an object is that object, cleaned whatever the body looked like (30)", () => {
    const made = content({ event_id: "$e" }, { data: { default_payload: '{"cs":"s\\u0000\\ud800"}' } });
    expect(made.defaultPayload).toEqual({ cs: "s\ufffd" });
    expect(made).not.toHaveProperty("defaultPayloadInvalid");
  });

  it.each([
    ["null", null],
    ["a list", []],
    ["a number", 3],
    ["a word", "x"],
    ["the text of a list", "[1]"],
    ["a text that is too deep", `${'{"a":'.repeat(40)}1${"}".repeat(40)}`],
  ])("%s is invalid, and empty (30)", (_title, value) => {
    const made = content({ event_id: "$e" }, { data: { default_payload: value } });
    expect(made.defaultPayloadInvalid).toBe(true);
    expect(made.defaultPayload).toEqual({});
  });
});

describe("the form", () => {
  it.each([
    ["encrypted before all else", { ciphertext: "c", event_id: "$e", type: "t" }, {}, "encrypted"],
    ["an empty ciphertext is none", { ciphertext: "", event_id: "$e", type: "t" }, {}, "event"],
    ["an event id alone", { event_id: "$e" }, {}, "minimal"],
    ["the 2015 name of the event id", { id: "$e" }, {}, "minimal"],
    [
      "event_id_only with a type",
      { event_id: "$e", type: "t" },
      { data: { format: "event_id_only" } },
      "minimal",
    ],
    ["an unknown format (34)", { event_id: "$e", type: "t" }, { data: { format: "full_event" } }, "event"],
    ["a type without an event id", { type: "t" }, {}, "event"],
    ["event_id_only without an event id", { type: "t" }, { data: { format: "event_id_only" } }, "event"],
    ["counts alone", { counts: { unread: 1 } }, {}, "counts"],
    ["missed calls alone", { counts: { missed_calls: 1 } }, {}, "counts"],
    ["Synapse's badge update (41)", { id: "", type: null, sender: "", counts: { unread: 0 } }, {}, "counts"],
    ["nothing at all (45)", {}, {}, "nothing"],
    ["counts that say nothing", { counts: { unread: -1 } }, {}, "nothing"],
    ["a room alone", { room_id: "!r" }, {}, "nothing"],
  ])("%s", (_title, fields, deviceFields, form) => {
    expect(content(fields, deviceFields).form).toBe(form);
  });

  it("minimal carries ids, counts and the app's own, and nothing else (35)", () => {
    const made = content(
      {
        event_id: "$e",
        room_id: "!r",
        type: "m.room.message",
        sender: "@s",
        sender_display_name: "S",
        room_name: "R",
        room_alias: "#r",
        membership: "join",
        user_is_target: true,
        content: { body: "secret" },
        counts: { unread: 2, missed_calls: 1 },
      },
      {
        data: { format: "event_id_only", default_payload: { cs: "1" } },
        tweaks: { sound: "s", highlight: true },
      },
    );
    expect(made).toEqual({
      kind: "matrix",
      form: "minimal",
      eventId: "$e",
      roomId: "!r",
      unread: 2,
      missedCalls: 1,
      data: { format: "event_id_only", default_payload: { cs: "1" } },
      defaultPayload: { cs: "1" },
    });
  });

  it("encrypted carries the three strings and clear counts (MSC3013)", () => {
    const made = content({
      ciphertext: "c",
      ephemeral: "e",
      mac: "m",
      is_counts_only: false,
      counts: { unread: 2 },
      event_id: "$e",
      room_name: "R",
    });
    expect(made).toEqual({
      kind: "matrix",
      form: "encrypted",
      ciphertext: "c",
      ephemeral: "e",
      mac: "m",
      isCountsOnly: false,
      unread: 2,
      data: {},
      defaultPayload: {},
    });
  });
});

describe("fields", () => {
  it.each([
    ["-1", -1, undefined],
    ["1.5", 1.5, undefined],
    ["text", "3", undefined],
    ["true", true, undefined],
    ["null", null, undefined],
    ["10^12", 1e12, 2_147_483_647],
    ["1e308", 1e308, 2_147_483_647],
    ["infinite, as 1e999 parses", Infinity, undefined],
    ["-0", -0, 0],
    ["0 (43)", 0, 0],
  ])("unread %s (44)", (_title, sent, unread) => {
    expect(content({ event_id: "$e", counts: { unread: sent } }).unread).toBe(unread);
  });

  it.each([
    ["missing", undefined],
    ["null", null],
    ["empty", {}],
    ["a list", [1]],
    ["a number", 3],
  ])("counts %s with an event say nothing about the badge (42)", (_title, counts) => {
    const made = content({ event_id: "$e", counts });
    expect(made.form).toBe("minimal");
    expect(made).not.toHaveProperty("unread");
    expect(made).not.toHaveProperty("missedCalls");
  });

  it.each([
    [undefined, "high"],
    ["urgent", "high"],
    [5, "high"],
    ["high", "high"],
    ["low", "low"],
  ])("prio %p is %s (46)", (prio, priority) => {
    expect(push({ event_id: "$e", prio }).priority).toBe(priority);
  });

  it("of a wrong type are absent (47)", () => {
    const made = content({
      event_id: "$e",
      type: "m.room.message",
      room_name: 7,
      room_alias: [],
      content: "x",
      sender: {},
      sender_display_name: true,
      user_is_target: "yes",
      membership: 1,
      room_id: {},
    });
    expect(made).toEqual({
      kind: "matrix",
      form: "event",
      eventId: "$e",
      type: "m.room.message",
      data: {},
      defaultPayload: {},
    });
  });

  it("content.body and content.offer go on as they are (48, 49)", () => {
    const made = content({ type: "m.call.invite", content: { body: 5, offer: "x" } });
    expect(made.content).toEqual({ body: 5, offer: "x" });
  });

  it("empty identifiers are absent, an empty sender and empty names are not", () => {
    const made = content({ type: "t", event_id: "", room_id: "", sender: "", room_name: "", membership: "" });
    expect(made).toEqual({
      kind: "matrix",
      form: "event",
      type: "t",
      sender: "",
      roomName: "",
      data: {},
      defaultPayload: {},
    });
  });

  it("event_id wins over id", () => {
    expect(content({ event_id: "$new", id: "$old" }).eventId).toBe("$new");
  });

  it("membership falls back to that in the content (50)", () => {
    expect(content({ type: "m.room.member", content: { membership: "invite" } }).membership).toBe("invite");
    expect(
      content({ type: "m.room.member", membership: "join", content: { membership: "invite" } }).membership,
    ).toBe("join");
  });

  it("counts are dropped for a pusher that leaves the badge to its app (MSC4076)", () => {
    const data = { "org.matrix.msc4076.disable_badge_count": true };
    expect(content({ event_id: "$e", counts: { unread: 3 } }, { data })).not.toHaveProperty("unread");
    expect(content({ counts: { unread: 3 } }, { data }).form).toBe("nothing");
    expect(
      content(
        { counts: { unread: 3 } },
        { data: { ...data, "org.matrix.msc4076.disable_badge_count": "true" } },
      ).unread,
    ).toBe(3);
  });

  it("unknown fields at every level are ignored (B06)", () => {
    const made = push(
      { event_id: "$e", x: 1, counts: { rooms: {} } },
      { y: 2, notify_via: "z", tweaks: { z: 3 } },
    );
    expect(Object.keys(made.content).sort()).toEqual(["data", "defaultPayload", "eventId", "form", "kind"]);
  });
});

describe("cleaning", () => {
  it("lone surrogates are replaced and NUL removed, in every string and key (15, 53, B09)", () => {
    const body = JSON.parse(
      '{"notification":{"event_id":"$e\\u0000","type":"t","room_name":"a\\ud800b","sender":"s\\u0000",' +
        '"content":{"body":"x\\udc00y","list":["\\u0000z",{"k\\u0000":"v"}],"n":1},' +
        '"devices":[{"app_id":"a\\u0000","pushkey":"p\\u0000q","data":{"format":"f\\ud83d"},"tweaks":{"sound":"\\u0000s"}}]}}',
    ) as unknown;
    const { pushes, devices } = understood(body, cleaning);
    expect(pushes[0]).toMatchObject({
      appId: "a",
      pushkey: "pq",
      content: {
        eventId: "$e",
        roomName: "a\ufffdb",
        sender: "s",
        content: { body: "x\ufffdy", list: ["z", { k: "v" }], n: 1 },
        data: { format: "f\ufffd" },
        sound: "s",
      },
    });
    // The homeserver knows its pushkey only as it sent it.
    expect(devices[0]?.pushkey).toBe("p\0q");
  });

  it("a pushkey of NULs only is as an empty one", () => {
    const { pushes, devices } = understood(
      { notification: { devices: [{ ...device, pushkey: "\0" }] } },
      cleaning,
    );
    expect(pushes).toEqual([]);
    expect(devices).toEqual([{ pushkey: "\0" }]);
  });

  it("control characters and direction marks stay (53)", () => {
    const name = "a\u0001\u200f\u202eb\u007f";
    expect(content({ type: "t", room_name: name }, {}, cleaning).roomName).toBe(name);
  });

  it("clean content is passed on as it was parsed, uncopied", () => {
    const event = { body: "x", nested: { list: [1, "é"] } };
    expect(content({ type: "t", content: event }, {}, cleaning).content).toBe(event);
    expect(content({ type: "t", content: event }).content).toBe(event);
  });

  it("keys named __proto__ and constructor stay keys, and change no prototype (13)", () => {
    const body = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"notification":{"type":"t","__proto__":{"type":"u"},' +
        '"content":{"__proto__":{"polluted":"\\u0000x"},"constructor":1},"devices":[{"app_id":"a","pushkey":"p",' +
        '"data":{"__proto__":{"format":"event_id_only"}}}]}}',
    ) as unknown;
    const { pushes } = understood(body, cleaning);
    const made = pushes[0]?.content;
    expect(made?.form).toBe("event");
    expect(Object.getPrototypeOf(made?.content)).toBe(Object.prototype);
    expect(Object.keys(made?.content ?? {})).toEqual(["__proto__", "constructor"]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe("time", () => {
  it.each([
    ["a call", { type: "m.call.invite", event_id: "$e" }, "call", 30_000],
    ["a ring", { type: "m.rtc.notification", content: { notification_type: "ring" } }, "call", 30_000],
    [
      "an unstable ring",
      { type: "org.matrix.msc4075.rtc.notification", content: { notification_type: "ring" } },
      "call",
      30_000,
    ],
    [
      "a call that only notifies",
      { type: "m.rtc.notification", content: { notification_type: "notification" } },
      "message",
      86_400_000,
    ],
    ["a message", { type: "m.room.message" }, "message", 86_400_000],
    ["counts", { counts: { unread: 0 } }, "badge", 3_600_000],
    ["sealed counts", { ciphertext: "c", is_counts_only: true }, "badge", 3_600_000],
  ])("%s expires by its urgency", (_title, fields, urgency, lifetimeMs) => {
    const made = push(fields);
    expect(made.urgency).toBe(urgency);
    expect(made.receivedAtMs).toBe(receivedAtMs);
    expect(made.expiresAtMs).toBe(receivedAtMs + lifetimeMs);
  });

  it("a call stays one for a pusher that gets ids only", () => {
    const made = push({ type: "m.call.invite", event_id: "$e" }, { data: { format: "event_id_only" } });
    expect(made.urgency).toBe("call");
    expect(made.content).not.toHaveProperty("type");
  });
});

describe("repeats", () => {
  it("are known by event id and pusher data; counts, sealed and empty pushes are never repeats (5.1, 5.2)", () => {
    const prio = "high";
    const base = push({ event_id: "$e", prio }, { data: { a: 1 } }).dedupeOn;
    expect(base).toBe('["$e",{"a":1}]');
    const again = push({ event_id: "$e", prio, counts: { unread: 4 } }, { data: { a: 1 }, pushkey_ts: 5 });
    expect(again.dedupeOn).toBe(base);
    expect(push({ event_id: "$f", prio }, { data: { a: 1 } }).dedupeOn).not.toBe(base);
    for (const fields of [
      { counts: { unread: 1 } },
      { ciphertext: "c", event_id: "$e" },
      {},
      { type: "t" },
    ]) {
      expect(push(fields)).not.toHaveProperty("dedupeOn");
    }
  });

  const at = (seconds: number, fields: object, deviceFields: object = {}) =>
    push({ event_id: "$e", ...fields }, deviceFields, {
      ...context,
      receivedAtMs: receivedAtMs + seconds * 1000,
    }).dedupeOn;

  it.each([
    ["Element Android's", {}, {}],
    ["Element X's", { room_id: "!r" }, { data: { default_payload: { cs: "made up" } } }],
  ])("an app's own test is a new one after ten seconds: %s (3.1)", (_title, fields, deviceFields) => {
    expect(at(9, fields, deviceFields)).toBe(at(0, fields, deviceFields));
    expect(at(10, fields, deviceFields)).not.toBe(at(0, fields, deviceFields));
  });

  it.each([
    ["of Synapse or Dendrite, ids only", { counts: { unread: 1 } }, { data: { format: "event_id_only" } }],
    ["of Tuwunel, ids only and nothing unread", {}, { data: { format: "event_id_only" } }],
    ["with a priority", { prio: "high" }, {}],
    ["with a count of nothing", { counts: { unread: 0 } }, {}],
    ["with a type", { type: "m.room.message" }, {}],
  ])("a homeserver's push stays the same: %s", (_title, fields, deviceFields) => {
    expect(at(86_000, fields, deviceFields)).toBe(at(0, fields, deviceFields));
  });
});
