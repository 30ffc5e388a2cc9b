import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import type { RecordedRequest } from "../../simulator/recorder.ts";

/** What existing apps say for Sygnal's keys, in English; `%1` is the first argument (sygnal-compat 10.4). */
const TEXTS: Readonly<Record<string, string>> = {
  MSG_FROM_USER: "%1 sent a message",
  MSG_FROM_USER_IN_ROOM: "%1 posted in %2",
  MSG_FROM_USER_WITH_CONTENT: "%1: %2",
  MSG_FROM_USER_IN_ROOM_WITH_CONTENT: "%1 in %2: %3",
  ACTION_FROM_USER: "* %1 %2",
  ACTION_FROM_USER_IN_ROOM: "%1: * %2 %3",
  IMAGE_FROM_USER: "%1 sent a picture: %2",
  IMAGE_FROM_USER_IN_ROOM: "%1 posted a picture in %3: %2",
  VOICE_CALL_FROM_USER: "Call from %1",
  VIDEO_CALL_FROM_USER: "Video call from %1",
  USER_INVITE_TO_CHAT: "%1 invites you to a chat",
  USER_INVITE_TO_NAMED_ROOM: "%1 invites you to %2",
};

const MAX_SHOWN = 72;

/** What the person who holds the phone would see of a push that the simulator took. */
export function phoneScreen({ headers, upstream, payload }: RecordedRequest): string {
  const shown = headers["apns-push-type"] === "voip" ? ringing(payload) : shownBy(upstream, payload);
  // What strangers wrote must not steer the terminal.
  const plain = shown.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u200e\u200f]/gu, " ");
  return plain.length > MAX_SHOWN ? `${Array.from(plain).slice(0, MAX_SHOWN).join("")}…` : plain;
}

function ringing(payload: JsonValue | undefined): string {
  const fields = isJsonObject(payload) ? payload : {};
  return `rings: ${asText(fields["UserDisplayName"]) ?? asText(fields["UserName"]) ?? "somebody"} calls`;
}

/** What an app does that is told of an event, or of something that it is to fetch. */
function toldText(fields: JsonObject): string | undefined {
  const { owner, message, phone, verb } = fields;
  if (typeof owner === "string" && typeof message === "string") {
    return `(the app hears of ${message}${typeof phone === "string" ? `, from ${phone}` : ""})`;
  }
  return typeof verb === "string" ? "(the app is woken and fetches what there is)" : undefined;
}

function shownBy(upstream: RecordedRequest["upstream"], payload: JsonValue | undefined): string {
  switch (upstream) {
    case "apns":
      return appleScreen(payload);
    case "fcm":
    case "oauth":
      return androidScreen(payload);
    case "webpush":
      return webScreen(payload);
    case "unifiedpush":
      return webScreen(isJsonObject(payload) ? payload["notification"] : undefined);
  }
}

/** A browser's app and one behind a distributor find the same keys, flat or in the notification. */
function webScreen(payload: JsonValue | undefined): string {
  const fields = isJsonObject(payload) ? payload : {};
  const content = isJsonObject(fields["content"]) ? fields["content"] : {};
  const counts = isJsonObject(fields["counts"]) ? fields["counts"] : fields;
  const body = asText(content["body"]);
  const { unread } = counts;
  const text = androidText({ ...fields, ...(body === undefined ? {} : { content_body: body }) });
  const count = typeof unread !== "number" ? "" : unread === 0 ? "[cleared]" : `[${unread} unread]`;
  return [text, count].filter((part) => part !== "").join(" ");
}

function appleScreen(payload: JsonValue | undefined): string {
  if (!isJsonObject(payload)) return "";
  const aps = isJsonObject(payload["aps"]) ? payload["aps"] : {};
  const alert = isJsonObject(aps["alert"]) ? aps["alert"] : {};
  const text = alertText(alert);
  const badge = aps["badge"] ?? payload["unread_count"];
  const parts = [
    text ??
      toldText(payload) ??
      (payload["event_id"] === undefined ? "" : "(the app fetches the event and shows it)"),
    typeof badge === "number" ? (badge === 0 ? "[badge cleared]" : `[badge ${badge}]`) : "",
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function alertText(alert: JsonObject): string | undefined {
  const plain = [alert["title"], alert["body"]].filter(
    (part): part is string => typeof part === "string" && part !== "",
  );
  if (plain.length > 0) return plain.join(": ");
  const key = alert["loc-key"];
  const args = Array.isArray(alert["loc-args"]) ? (alert["loc-args"] as readonly JsonValue[]) : [];
  const template = typeof key === "string" ? TEXTS[key] : undefined;
  return template?.replace(/%(\d)/g, (_match, place: string) => asText(args[Number(place) - 1]) ?? "");
}

function androidScreen(payload: JsonValue | undefined): string {
  const message = isJsonObject(payload) ? payload["message"] : undefined;
  const data = isJsonObject(message) && isJsonObject(message["data"]) ? message["data"] : {};
  const unread = asText(data["unread"]);
  const count = unread === undefined ? "" : unread === "0" ? "[cleared]" : `[${unread} unread]`;
  return [toldText(data) ?? androidText(data), count].filter((part) => part !== "").join(" ");
}

function androidText(data: JsonObject): string {
  const sender = asText(data["sender_display_name"]) ?? asText(data["sender"]) ?? "Somebody";
  const room = asText(data["room_name"]);
  const body = asText(data["content_body"]);
  if (data["ciphertext"] !== undefined) return "(the app decrypts the push and shows it)";
  if (data["membership"] === "invite") return `${sender} invites you to ${room ?? "a chat"}`;
  const who = room === undefined ? sender : `${sender} in ${room}`;
  if (body !== undefined) return `${who}: ${body}`;
  if (data["type"] === "m.room.encrypted") return `${who}: (the app decrypts it)`;
  return data["event_id"] === undefined ? "" : "(the app fetches the event and shows it)";
}

function asText(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
