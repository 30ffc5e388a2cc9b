import type { JsonValue } from "../../../../src/json.ts";

/** JSON as Python writes it without ASCII escapes: a space after `,` and `:` (sygnal-compat 10.1). */
export function pythonJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).filter(([, each]) => each !== undefined);
    return `{${fields.map(([key, each]) => `${JSON.stringify(key)}: ${pythonJson(each)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

/** A text that Python cannot write as UTF-8. */
export function hasLoneSurrogate(value: JsonValue | undefined): boolean {
  return /\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])/i.test(JSON.stringify(value ?? null));
}
