import type { MatrixContent } from "../../core/push.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { shortenTexts, truncateText, utf8Cost } from "../truncate.ts";

/** FCM counts keys and values and stops at 4096; the rest is room for what it adds (fcm.md 2). */
export const MAX_DATA_BYTES = 4_000;

/** More could not fit in any case. */
const MAX_CONTENT_TEXTS = 100;

/** Bytes that one field may have (sygnal-compat 11.4). */
export const MAX_FIELD_BYTES = 1024;

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
 * objects and arrays as JSON text, `aps` and reserved names left out. A `content` object is spread like an event's,
 * whose content takes its place.
 */
export function flattenDefaultPayload(payload: JsonObject, hasContent: boolean): Data {
  const data: Data = new Map();
  for (const [key, value] of Object.entries(payload)) {
    if (key === "aps" || isReserved(key) || value === null || (key === "content" && hasContent)) continue;
    if (key === "content" && isJsonObject(value)) {
      for (const [name, text] of contentTexts(value)) data.set(name, text);
    } else data.set(key, asText(value));
  }
  return data;
}

/** A data field: key and value. */
type Field = readonly [string, string];

/** The string values of a content object under `content_<key>` (sygnal-compat 11.3), shortened; of very many, the first. */
export function contentTexts(content: JsonObject): readonly Field[] {
  const known = knownTexts.get(content);
  if (known !== undefined) return known;
  const texts: Field[] = [];
  // Not Object.entries: most of very many are never looked at.
  for (const key in content) {
    const value = content[key];
    if (typeof value !== "string") continue;
    texts.push([`content_${key}`, truncateText(value, MAX_FIELD_BYTES)]);
    if (texts.length === MAX_CONTENT_TEXTS) break;
  }
  knownTexts.set(content, texts);
  return texts;
}

/** The devices of one request share its content: a large one is walked through once, not once per device. */
const knownTexts = new WeakMap<JsonObject, readonly Field[]>();

/** A JSON value as the string that FCM takes. */
export function asText(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What is encrypted to the app, whole: a part of it is worth nothing (matrix-push 8, MSC3013). */
export function setSealed(
  data: Data,
  content: Pick<MatrixContent, "ciphertext" | "ephemeral" | "mac">,
): void {
  if (content.ciphertext !== undefined) data.set("ciphertext", content.ciphertext);
  if (content.ephemeral !== undefined) data.set("ephemeral", content.ephemeral);
  if (content.mac !== undefined) data.set("mac", content.mac);
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
