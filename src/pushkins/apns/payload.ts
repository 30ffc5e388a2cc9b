import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { jsonCost, shortenTexts } from "../truncate.ts";

/** apns.md 1: bytes of the JSON as sent. */
export const MAX_PAYLOAD_BYTES = 4096;
/** apns.md 8. */
export const MAX_VOIP_PAYLOAD_BYTES = 5120;

/** What a renderer offers: the fullest payload first, each later one with less in it. Built only when needed. */
export type Payloads = readonly (() => JsonObject)[];

/** A payload as it goes out. */
export interface FittedPayload {
  readonly body: string;
  readonly pushType: string;
}

/** The first of the payloads that fits, or undefined when none does. */
export function fitPayloads(payloads: Payloads, maxBytes: number): FittedPayload | undefined {
  for (const build of payloads) {
    const payload = build();
    const body = fitPayload(payload, maxBytes);
    if (body !== undefined) return { body, pushType: pushTypeOf(payload) };
  }
  return undefined;
}

/** What is left when APNs finds a payload too large although it is within the limit: ids, counts and the alert's key. */
export function leanPayload(body: string): string {
  const payload = JSON.parse(body) as JsonObject;
  const kept = ["event_id", "room_id", "unread_count", "missed_calls"].filter(
    (key) => payload[key] !== undefined,
  );
  const aps = isJsonObject(payload["aps"]) ? payload["aps"] : undefined;
  const alert = isJsonObject(aps?.["alert"]) ? aps["alert"] : undefined;
  const leanAps: JsonObject = {
    ...(aps?.["badge"] === undefined ? {} : { badge: aps["badge"] }),
    ...(aps?.["mutable-content"] === undefined ? {} : { "mutable-content": aps["mutable-content"] }),
    ...(aps?.["content-available"] === undefined ? {} : { "content-available": aps["content-available"] }),
    ...(typeof alert?.["loc-key"] === "string" ? { alert: { "loc-key": alert["loc-key"] } } : {}),
  };
  return JSON.stringify({
    ...Object.fromEntries(kept.map((key) => [key, payload[key]])),
    ...(aps === undefined ? {} : { aps: leanAps }),
  });
}

/** The push type that goes with a payload when the app has none set (design, Settled points). */
function pushTypeOf(payload: JsonObject): string {
  const aps = payload["aps"];
  if (!isJsonObject(aps)) return "alert";
  const keys = Object.keys(aps);
  return keys.length === 1 && keys[0] === "content-available" ? "background" : "alert";
}

/**
 * The payload as JSON text within the limit, texts of the alert shortened where it was too long (sygnal-compat
 * 10.5). Undefined when that does not suffice.
 */
export function fitPayload(payload: JsonObject, maxBytes: number): string | undefined {
  const text = JSON.stringify(payload);
  const excess = Buffer.byteLength(text) - maxBytes;
  if (excess <= 0) return text;
  const shortened = shortenAlert(payload, excess);
  return shortened === undefined ? undefined : JSON.stringify(shortened);
}

/** The alert itself, or its `body` and each of its `loc-args`. */
function shortenAlert(payload: JsonObject, excessBytes: number): JsonObject | undefined {
  const aps = payload["aps"];
  if (!isJsonObject(aps)) return undefined;
  const { alert } = aps;
  const texts = shortenTexts(textsOf(alert), excessBytes, jsonCost);
  if (alert === undefined || texts === undefined) return undefined;
  return { ...payload, aps: { ...aps, alert: withTexts(alert, texts) } };
}

/** The texts that may be shortened; `withTexts` puts them back in the same order. */
function textsOf(alert: JsonValue | undefined): readonly string[] {
  if (typeof alert === "string") return [alert];
  if (!isJsonObject(alert)) return [];
  const { body, "loc-args": args } = alert;
  return [body, ...(Array.isArray(args) ? (args as readonly JsonValue[]) : [])].filter(isText);
}

function withTexts(alert: JsonValue, texts: readonly string[]): JsonValue {
  const left = texts.values();
  const next = (old: JsonValue): JsonValue => (isText(old) ? (left.next().value ?? old) : old);
  if (!isJsonObject(alert)) return next(alert);
  const { body, "loc-args": args } = alert;
  return {
    ...alert,
    ...(body === undefined ? {} : { body: next(body) }),
    ...(Array.isArray(args) ? { "loc-args": (args as readonly JsonValue[]).map(next) } : {}),
  };
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === "string";
}
