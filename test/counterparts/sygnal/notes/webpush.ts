import { createHash } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../../src/json.ts";
import type { Turn } from "./apns.ts";
import { isFalsy, type Device, type Notification } from "./validate.ts";

const TRUTHY = [
  "room_id",
  "room_name",
  "room_alias",
  "membership",
  "event_id",
  "sender",
  "sender_display_name",
  "user_is_target",
  "type",
];

/** A Web Push of Sygnal: its headers depend on the request as well. */
export type WebPushTurn = Turn & { readonly endpoint?: string; readonly headers?: Record<string, string> };

/** The push for one subscription (sygnal-compat 12.1 to 12.3); whether the keys are good is seen when it is sent. */
export function webPushTurn(
  notification: Notification,
  device: Device,
  options: { readonly allowed?: readonly string[]; readonly ttl?: number } = {},
): WebPushTurn {
  const { fields } = notification;
  const { data, pushkey } = device;
  if (data === undefined) return { kind: "reject" };
  if (data["events_only"] === true && isFalsy(fields["event_id"])) return { kind: "nothing" };
  const { endpoint, auth } = data;
  if (pushkey === "" || typeof endpoint !== "string" || typeof auth !== "string") return { kind: "reject" };
  const { allowed = [] } = options;
  if (allowed.length > 0 && !allowed.includes(hostOf(endpoint).toLowerCase())) return { kind: "nothing" };
  const roomId = fields["room_id"];
  const isTopical = data["only_last_per_room"] === true && typeof roomId === "string" && roomId !== "";
  return {
    kind: "send",
    token: endpoint.split("/").at(-1) ?? "",
    payload: payloadOf(notification, data),
    endpoint,
    headers: {
      "content-encoding": "aes128gcm",
      ttl: String(options.ttl ?? 900),
      urgency: fields["prio"] === "low" ? "low" : "normal",
      ...(isTopical ? { topic: topicOf(roomId) } : {}),
    },
  };
}

function hostOf(endpoint: string): string {
  return /^[a-z]+:\/\/([^/?#]*)/i.exec(endpoint)?.[1] ?? "";
}

function payloadOf({ fields, unread, missedCalls }: Notification, data: JsonObject): JsonObject {
  const base = isJsonObject(data["default_payload"]) ? data["default_payload"] : {};
  const payload: Record<string, JsonValue> = { ...base };
  for (const key of TRUTHY) {
    const value = fields[key];
    if (value !== undefined && !isFalsy(value)) payload[key] = value;
  }
  if (unread !== undefined) payload["unread"] = unread;
  if (missedCalls !== undefined) payload["missed_calls"] = missedCalls;
  const { content } = fields;
  if (isJsonObject(content) && !isFalsy(content)) payload["content"] = contentOf(content);
  return payload;
}

function contentOf(content: JsonObject): JsonObject {
  const copy: Record<string, JsonValue> = { ...content };
  delete copy["formatted_body"];
  const { body, ciphertext } = copy;
  if (typeof body === "string" && [...body].length > 1000)
    copy["body"] = `${[...body].slice(0, 999).join("")}…`;
  if (typeof ciphertext === "string" && [...ciphertext].length > 2000) delete copy["ciphertext"];
  return copy;
}

/**
 * BLAKE2s with a digest of 22 bytes, which Node does not have: the comparison asks only whether there is a Topic, and
 * whether equal rooms have equal ones.
 */
export function topicOf(roomId: string): string {
  return `sygnal-${createHash("sha256").update(roomId).digest("base64url").slice(0, 20)}`;
}
