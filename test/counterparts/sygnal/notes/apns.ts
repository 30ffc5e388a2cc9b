import { isJsonObject, type JsonObject, type JsonValue } from "../../../../src/json.ts";
import { hasLoneSurrogate, pythonJson } from "./python-json.ts";
import { isFalsy, type Device, type Notification } from "./validate.ts";

/** What an app does with one device: a push, nothing, a rejection, or a status for the whole request. */
export type Turn =
  | { readonly kind: "send"; readonly token: string; readonly payload: JsonObject }
  | { readonly kind: "nothing" | "reject" }
  | { readonly kind: "fail"; readonly status: 500 | 502 };

const MAX_PAYLOAD_BYTES = 4096;
const fail: Turn = { kind: "fail", status: 500 };

/** The push for one device (sygnal-compat 10.2, 10.3, 10.5); `badge` is the option `send_badge_counts`. */
export function apnsTurn(notification: Notification, device: Device, badge = true): Turn {
  const base = defaultPayload(device);
  if (base === undefined) return { kind: "reject" };
  const { fields } = notification;
  const isMinimal = !isFalsy(fields["event_id"]) && isFalsy(fields["type"]);
  const payload = isMinimal ? minimal(notification, base, badge) : full(notification, device, base, badge);
  if (payload === "nothing") return { kind: "nothing" };
  if (payload === "error") return fail;
  const fitting = truncate(payload);
  if (fitting === undefined || hasLoneSurrogate(fitting)) return fail;
  const token = lenientBase64(device.pushkey);
  return token === undefined ? fail : { kind: "send", token, payload: fitting };
}

/** `undefined`: not an object (step A). */
export function defaultPayload({ data }: Device): JsonObject | undefined {
  if (isFalsy(data) || data === undefined || !Object.hasOwn(data, "default_payload")) return {};
  const payload = data["default_payload"];
  return isJsonObject(payload) ? payload : undefined;
}

function minimal(notification: Notification, base: JsonObject, badge: boolean): JsonObject {
  const { fields, unread, missedCalls } = notification;
  return {
    ...base,
    ...(isFalsy(fields["room_id"]) ? {} : { room_id: fields["room_id"] as JsonValue }),
    event_id: fields["event_id"] as JsonValue,
    ...(badge && unread !== undefined ? { unread_count: unread } : {}),
    ...(badge && missedCalls !== undefined ? { missed_calls: missedCalls } : {}),
  };
}

function full(
  notification: Notification,
  device: Device,
  base: JsonObject,
  sendBadge: boolean,
): JsonObject | "nothing" | "error" {
  const { fields, unread, missedCalls } = notification;
  const alert = alertOf(fields);
  if (alert === "error") return "error";
  const hasCounts = unread !== undefined || missedCalls !== undefined;
  const badge = sendBadge && hasCounts ? (unread ?? 0) + (missedCalls ?? 0) : undefined;
  if (alert === undefined && badge === undefined) return "nothing";
  const own = isFalsy(fields["type"]) || isFalsy(device.data) ? {} : base;
  const aps = own["aps"] ?? {};
  if (!isJsonObject(aps)) return "error";
  const ownAlert = aps["alert"] ?? {};
  if (alert !== undefined && !isJsonObject(ownAlert)) return "error";
  return {
    ...own,
    aps: {
      ...aps,
      ...(alert === undefined
        ? {}
        : { alert: { ...(ownAlert as JsonObject), "loc-key": alert.key, "loc-args": alert.args } }),
      ...(badge === undefined ? {} : { badge }),
    },
    ...(alert === undefined || isFalsy(fields["room_id"]) ? {} : { room_id: fields["room_id"] as JsonValue }),
    ...(alert === undefined || isFalsy(fields["event_id"])
      ? {}
      : { event_id: fields["event_id"] as JsonValue }),
  };
}

interface Alert {
  readonly key: string;
  readonly args: JsonValue[];
}

/** sygnal-compat 10.4; `undefined`: badge only. */
function alertOf(fields: JsonObject): Alert | undefined | "error" {
  const { type, content } = fields;
  if (isFalsy(type)) return undefined;
  const sender = senderOf(fields);
  const known = roomOf(fields);
  if (sender === undefined || known === "error") return "error";
  const room = known.name;
  const named = (key: string, ...args: JsonValue[]): Alert => ({ key, args });
  switch (typeof type === "string" ? type : "other") {
    case "m.room.message":
    case "m.room.encrypted":
      return messageAlert(content, sender, room);
    case "m.call.invite": {
      const offer = isJsonObject(content) ? content["offer"] : undefined;
      if (!isFalsy(offer) && !isJsonObject(offer))
        return typeof offer === "string" && !offer.includes("sdp")
          ? named("VOICE_CALL_FROM_USER", sender)
          : "error";
      const sdp = isJsonObject(offer) ? offer["sdp"] : undefined;
      const isVideo = typeof sdp === "string" && sdp.includes("m=video");
      return named(isVideo ? "VIDEO_CALL_FROM_USER" : "VOICE_CALL_FROM_USER", sender);
    }
    case "m.room.member":
      if (isFalsy(fields["user_is_target"]) || fields["membership"] !== "invite") return undefined;
      return room === undefined
        ? named("USER_INVITE_TO_CHAT", sender)
        : named("USER_INVITE_TO_NAMED_ROOM", sender, room);
    default:
      return named("MSG_FROM_USER", sender);
  }
}

function messageAlert(
  content: JsonValue | undefined,
  sender: string,
  room: string | undefined,
): Alert | "error" {
  if (!isJsonObject(content)) {
    const both = JSON.stringify(content ?? null);
    const hasBoth = both.includes("msgtype") && both.includes("body");
    if (!isFalsy(content) && hasBoth) return "error";
  }
  const fields = isJsonObject(content) ? content : {};
  const hasContent = Object.hasOwn(fields, "msgtype") && Object.hasOwn(fields, "body");
  const { msgtype } = fields;
  const body = fields["body"] ?? null;
  const inRoom = (key: string): string => (room === undefined ? key : `${key}_IN_ROOM`);
  if (hasContent && msgtype === "m.image")
    return { key: inRoom("IMAGE_FROM_USER"), args: [sender, body, ...(room === undefined ? [] : [room])] };
  if (!hasContent || isFalsy(body))
    return { key: inRoom("MSG_FROM_USER"), args: [sender, ...(room === undefined ? [] : [room])] };
  if (msgtype === "m.emote")
    return {
      key: inRoom("ACTION_FROM_USER"),
      args: room === undefined ? [sender, body] : [room, sender, body],
    };
  return {
    key: `${inRoom("MSG_FROM_USER")}_WITH_CONTENT`,
    args: [sender, ...(room === undefined ? [] : [room]), body],
  };
}

/** The room's name, if it has one; a name that is no text is a crash. */
type Room = { readonly name?: string } | "error";

/** `undefined`: not a text, which is a crash. */
function senderOf({ sender, sender_display_name: name }: JsonObject): string | undefined {
  if (isFalsy(sender) && isFalsy(name)) return " ";
  const chosen = name ?? sender;
  return typeof chosen === "string" ? cut(chosen) : undefined;
}

function roomOf({ room_name: name, room_alias: alias }: JsonObject): Room {
  const chosen = isFalsy(name) ? (isFalsy(alias) ? undefined : alias) : name;
  if (chosen === undefined) return {};
  return typeof chosen === "string" ? { name: cut(chosen) } : "error";
}

const cut = (text: string): string => [...text].slice(0, 1024).join("");

/** sygnal-compat 10.5: one code point after the other, of the longest text; `undefined` when nothing is left to cut. */
export function truncate(payload: JsonObject, maxBytes = MAX_PAYLOAD_BYTES): JsonObject | undefined {
  let size = Buffer.byteLength(pythonJson(payload));
  if (size <= maxBytes) return payload;
  const copy = structuredClone(payload) as { aps?: { alert?: unknown } };
  const places = placesOf(copy);
  if (places === undefined) return undefined;
  const texts = places.map(({ text }) => [...text]);
  const bytes = places.map(({ text }) => Buffer.byteLength(text));
  while (size > maxBytes) {
    const longest = bytes.indexOf(Math.max(...bytes));
    const last = texts[longest]?.pop();
    if (last === undefined) return undefined;
    bytes[longest] = (bytes[longest] ?? 0) - Buffer.byteLength(last);
    size -= Buffer.byteLength(JSON.stringify(last)) - 2;
  }
  places.forEach(({ put }, index) => put((texts[index] ?? []).join("")));
  return copy as JsonObject;
}

interface Place {
  readonly text: string;
  readonly put: (text: string) => void;
}

/** The texts that may be cut, in their order; `undefined` when one of them is no text. */
function placesOf(payload: { aps?: { alert?: unknown } }): readonly Place[] | undefined {
  const { aps } = payload;
  if (aps === undefined) return undefined;
  if (typeof aps.alert === "string") return [{ text: aps.alert, put: (text) => (aps.alert = text) }];
  if (typeof aps.alert !== "object" || aps.alert === null) return [];
  const alert = aps.alert as { body?: unknown; "loc-args"?: unknown[] };
  const args = alert["loc-args"] ?? [];
  const places: Place[] = [];
  if (typeof alert.body === "string") places.push({ text: alert.body, put: (text) => (alert.body = text) });
  for (const [index, arg] of args.entries()) {
    if (typeof arg !== "string") return undefined;
    places.push({ text: arg, put: (text) => (args[index] = text) });
  }
  return places;
}

/** Python's: characters that are none of the alphabet are dropped; wrong padding is an error (sygnal-compat 10.2). */
export function lenientBase64(pushkey: string): string | undefined {
  const kept = pushkey.replace(/[^A-Za-z0-9+/=]/g, "");
  const data = kept.replace(/=.*$/s, "");
  const padding = kept.length - data.length;
  const odd = data.length % 4;
  if (odd === 1 || (odd === 2 && padding < 2) || (odd === 3 && padding < 1)) return undefined;
  return Buffer.from(data, "base64").toString("hex");
}
