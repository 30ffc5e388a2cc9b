import type { JsonObject } from "../json.ts";
import { HttpError } from "./errors.ts";

/** More than any form here has; decoding costs time by the field. */
const maxFields = 1000;

/**
 * The fields of `application/x-www-form-urlencoded`, each a string; of a name that stands twice the last counts. A
 * percent sign that begins no byte, or bytes that are no UTF-8, are refused rather than guessed at.
 */
export function parseForm(text: string): JsonObject | HttpError {
  const fields: [string, string][] = [];
  let start = 0;
  while (start < text.length) {
    const found = text.indexOf("&", start);
    const end = found < 0 ? text.length : found;
    const field = text.slice(start, end);
    start = end + 1;
    if (field === "") continue;
    if (fields.length === maxFields) return new HttpError("too-many-keys");
    const equals = field.indexOf("=");
    const name = decode(equals < 0 ? field : field.slice(0, equals));
    const value = equals < 0 ? "" : decode(field.slice(equals + 1));
    if (name === undefined || value === undefined) return new HttpError("not-a-form");
    fields.push([name, value]);
  }
  // Defines, where assigning would set the prototype for a field `__proto__`.
  return Object.fromEntries(fields);
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
