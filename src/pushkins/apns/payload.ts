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
  const places = shortenable(alert);
  const texts = shortenTexts(
    places.map(({ text }) => text),
    excessBytes,
    jsonCost,
  );
  if (texts === undefined) return undefined;
  let shortened: JsonValue | undefined = alert;
  places.forEach(({ put }, index) => (shortened = put(shortened, texts[index] ?? "")));
  return { ...payload, aps: { ...aps, ...(shortened === undefined ? {} : { alert: shortened }) } };
}

interface Place {
  readonly text: string;
  readonly put: (alert: JsonValue | undefined, text: string) => JsonValue | undefined;
}

function shortenable(alert: JsonValue | undefined): readonly Place[] {
  if (typeof alert === "string") return [{ text: alert, put: (_alert, text) => text }];
  if (!isJsonObject(alert)) return [];
  const places: Place[] = [];
  const { body, "loc-args": locArgs } = alert;
  if (typeof body === "string") {
    places.push({ text: body, put: (to, text) => (isJsonObject(to) ? { ...to, body: text } : to) });
  }
  if (Array.isArray(locArgs)) {
    locArgs.forEach((arg: JsonValue, index) => {
      if (typeof arg !== "string") return;
      places.push({ text: arg, put: (to, text) => putLocArg(to, index, text) });
    });
  }
  return places;
}

function putLocArg(alert: JsonValue | undefined, index: number, text: string): JsonValue | undefined {
  if (!isJsonObject(alert) || !Array.isArray(alert["loc-args"])) return alert;
  const args = alert["loc-args"] as readonly JsonValue[];
  return { ...alert, "loc-args": args.with(index, text) };
}
