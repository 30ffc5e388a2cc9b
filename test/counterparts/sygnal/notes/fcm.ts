import { isJsonObject, type JsonObject, type JsonValue } from "../../../../src/json.ts";
import { defaultPayload, type Turn } from "./apns.ts";
import { hasLoneSurrogate } from "./python-json.ts";
import { isFalsy, type Device, type Notification } from "./validate.ts";

const MAX_FIELD_BYTES = 1024;
const FIELDS = [
  "event_id",
  "type",
  "sender",
  "room_name",
  "room_alias",
  "membership",
  "sender_display_name",
  "content",
  "room_id",
];

/** The message for one device on FCM's v1 API (sygnal-compat 11.2, 11.3). */
export function fcmTurn(
  notification: Notification,
  device: Device,
  options: { readonly fcm?: JsonObject; readonly badge?: boolean } = {},
): Turn {
  const base = defaultPayload(device);
  if (base === undefined) return { kind: "reject" };
  const { fields } = notification;
  const isLow = fields["prio"] === "low";
  const data: Record<string, JsonValue> = { ...base };
  for (const key of FIELDS) {
    const value = fields[key] ?? null;
    if (value === null) continue;
    if (typeof value === "string") data[key] = truncateField(value);
    else if (key === "content") data[key] = value;
  }
  flattenContent(data);
  data["prio"] = isLow ? "normal" : "high";
  const counts: Record<string, string> = {};
  if (options.badge !== false) {
    if ((notification.unread ?? 0) !== 0) counts["unread"] = String(notification.unread);
    if ((notification.missedCalls ?? 0) !== 0) counts["missed_calls"] = String(notification.missedCalls);
  }
  const isEmpty = Object.keys(counts).length === 0;
  if (isFalsy(data["room_id"]) && isFalsy(data["event_id"]) && isEmpty) return { kind: "nothing" };
  Object.assign(data, counts);
  if (hasLoneSurrogate(data)) return { kind: "fail", status: 500 };
  const android = isJsonObject(options.fcm?.["android"]) ? options.fcm["android"] : {};
  const message = {
    ...options.fcm,
    data,
    android: { ...android, priority: isLow ? "normal" : "high" },
    token: device.pushkey,
  };
  return { kind: "send", token: device.pushkey, payload: { message } };
}

/** Step 3: texts alone, each under a name of its own. */
function flattenContent(data: Record<string, JsonValue>): void {
  const { content } = data;
  if (!isJsonObject(content)) return;
  for (const [key, value] of Object.entries(content)) {
    if (typeof value === "string") data[`content_${key}`] = truncateField(value);
  }
  delete data["content"];
}

/** sygnal-compat 11.4. */
export function truncateField(text: string): string {
  if (Buffer.byteLength(text) <= MAX_FIELD_BYTES) return text;
  let kept = "";
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_FIELD_BYTES - 3) break;
    kept += character;
  }
  return `${kept}…`;
}
