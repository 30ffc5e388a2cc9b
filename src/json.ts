/** A JSON object as parsed: its keys and values are a stranger's, so it is read field by field and never merged. */
export type JsonObject = { readonly [key: string]: JsonValue };
/** Any JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** True for `{…}`, false for arrays and null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Well-formed Unicode without NUL, which PostgreSQL cannot store; lone surrogates become U+FFFD (cases 15, 53). */
export function cleanText(text: string): string {
  const wellFormed = text.toWellFormed();
  return wellFormed.includes("\0") ? wellFormed.replaceAll("\0", "") : wellFormed;
}

/** The same value when all its strings and keys are clean, else a clean copy. The caller has bounded its depth. */
export function cleanJson(value: JsonValue): JsonValue {
  if (typeof value === "string") return cleanText(value);
  if (typeof value !== "object" || value === null) return value;
  if (isJsonObject(value)) return cleanObject(value);
  return cleanList(value);
}

/** Copies only when something is unclean: very many lists in a list must cost little (H08). */
function cleanList(list: readonly JsonValue[]): readonly JsonValue[] {
  let cleaned: JsonValue[] | undefined;
  for (let i = 0; i < list.length; i += 1) {
    const item = list[i] ?? null;
    const clean = cleanJson(item);
    if (clean !== item) (cleaned ??= [...list])[i] = clean;
  }
  return cleaned ?? list;
}

/** `cleanJson` for an object. */
export function cleanObject(value: JsonObject): JsonObject {
  let changed = false;
  const entries = Object.entries(value).map(([key, item]): [string, JsonValue] => {
    const cleanKey = cleanText(key);
    const cleanItem = cleanJson(item);
    if (cleanKey !== key || cleanItem !== item) changed = true;
    return [cleanKey, cleanItem];
  });
  // Defines, where assigning would set the prototype for a key `__proto__`.
  return changed ? Object.fromEntries(entries) : value;
}
