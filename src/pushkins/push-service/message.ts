import type { Push } from "../../core/push.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { jsonCost, shortenTexts } from "../truncate.ts";

/** RFC 8030 5.3. */
export type Urgency = "very-low" | "low" | "normal" | "high";

/** 28 days, the least of what the big services take (webpush.md 1). */
const MAX_TTL_SECONDS = 2_419_200;

/** A call or a message must wake a sleeping phone; a count that changed need not. */
export function urgencyOf(push: Push): Urgency {
  if (push.priority === "low") return "low";
  return push.urgency === "badge" ? "normal" : "high";
}

/** What remains of the push's life, or the app's `ttl` when that is less (design, Settled points). Seconds. */
export function ttlSeconds(expiresAtMs: number, nowMs: number, configuredSeconds: number): number {
  const remaining = Math.floor((expiresAtMs - nowMs) / 1_000);
  return Math.max(0, Math.min(remaining, configuredSeconds, MAX_TTL_SECONDS));
}

/** A payload, and where in it there are texts that may be shortened. */
export interface Draft {
  readonly payload: JsonObject;
  readonly texts: readonly (readonly string[])[];
}

/**
 * The first draft that fits as JSON in UTF-8, its texts shortened where it was too long (matrix-push case 33).
 * Undefined when none does.
 */
export function fitDrafts(drafts: readonly (() => Draft)[], maxBytes: number): string | undefined {
  for (const make of drafts) {
    const { payload, texts } = make();
    const body = JSON.stringify(payload);
    const excess = Buffer.byteLength(body) - maxBytes;
    if (excess <= 0) return body;
    const shortened = shorten(payload, texts, excess);
    if (shortened !== undefined) return shortened;
  }
  return undefined;
}

function shorten(
  payload: JsonObject,
  paths: readonly (readonly string[])[],
  excessBytes: number,
): string | undefined {
  const places = paths.flatMap((path) => {
    const text = at(payload, path);
    return typeof text === "string" ? [{ path, text }] : [];
  });
  const texts = shortenTexts(
    places.map(({ text }) => text),
    excessBytes,
    jsonCost,
  );
  if (texts === undefined) return undefined;
  const shortened = places.reduce<JsonValue>(
    (value, { path }, index) => withText(value, path, texts[index] ?? ""),
    payload,
  );
  return JSON.stringify(shortened);
}

function at(value: JsonValue | undefined, [key, ...rest]: readonly string[]): JsonValue | undefined {
  if (key === undefined) return value;
  return isJsonObject(value) && Object.hasOwn(value, key) ? at(value[key], rest) : undefined;
}

function withText(value: JsonValue | undefined, path: readonly string[], text: string): JsonValue {
  const [key, ...rest] = path;
  if (key === undefined || !isJsonObject(value)) return text;
  return { ...value, [key]: withText(value[key], rest, text) };
}
