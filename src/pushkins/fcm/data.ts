import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { shortenTexts, utf8Cost } from "../truncate.ts";

/** FCM counts keys and values and stops at 4096; the rest is room for what it adds (fcm.md 2). */
export const MAX_DATA_BYTES = 4_000;

/** More could not fit in any case. */
const MAX_CONTENT_TEXTS = 100;

/** A data message's map: FCM takes strings only. */
export type Data = Map<string, string>;

/** A layout's data on top of the app's own keys. */
export interface Layout {
  readonly data: Data;
  /** Keys of texts that may be shortened. */
  readonly texts: readonly string[];
  /** Keys that the app can do without when space is short. */
  readonly optional: readonly string[];
}

/** Keys that FCM refuses (fcm.md 2); a push with one of them would be answered 400. */
function isReserved(key: string): boolean {
  return (
    key === "" ||
    key === "from" ||
    key === "message_type" ||
    key === "collapse_key" ||
    key.startsWith("google") ||
    key.startsWith("gcm")
  );
}

/**
 * The app's own keys as FCM takes them (matrix-push 7.2, case 31): text as it is, numbers and booleans as text,
 * objects and arrays as JSON text, `aps` and reserved names left out. A `content` object is spread like an event's.
 */
export function flattenDefaultPayload(payload: JsonObject): Data {
  const data: Data = new Map();
  for (const [key, value] of Object.entries(payload)) {
    if (key === "aps" || isReserved(key) || value === null) continue;
    if (key === "content" && isJsonObject(value)) {
      for (const [name, text] of contentTexts(value)) data.set(name, text);
    } else data.set(key, asText(value));
  }
  return data;
}

/** The string values of a content object under `content_<key>` (sygnal-compat 11.3); of very many, the first. */
export function* contentTexts(content: JsonObject): Generator<[string, string]> {
  let left = MAX_CONTENT_TEXTS;
  for (const [key, value] of Object.entries(content)) {
    if (typeof value !== "string") continue;
    yield [`content_${key}`, value];
    left -= 1;
    if (left === 0) return;
  }
}

function asText(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** UTF-8 bytes of all keys and values, which is what FCM limits. */
export function dataBytes(data: Data): number {
  let bytes = 0;
  for (const [key, value] of data) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  return bytes;
}

/**
 * The data within FCM's limit, the texts under `texts` shortened where it was too much; undefined when that does not
 * suffice. Changes the map it is given.
 */
export function fitData(data: Data, texts: readonly string[]): Data | undefined {
  const excess = dataBytes(data) - MAX_DATA_BYTES;
  if (excess <= 0) return data;
  const keys = texts.filter((key) => data.has(key));
  const shortened = shortenTexts(
    keys.map((key) => data.get(key) ?? ""),
    excess,
    utf8Cost,
  );
  if (shortened === undefined) return undefined;
  keys.forEach((key, index) => data.set(key, shortened[index] ?? ""));
  return data;
}
