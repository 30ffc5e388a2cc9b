import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";

/** The largest count a badge can show everywhere (matrix-push 2.2). */
const maxCount = 2_147_483_647;
/** Above this a `pushkey_ts` is in milliseconds: old Dendrite sent them so (matrix-push 2.3). */
const secondsAbove = 1e11;
/** The last time that a Date can hold, milliseconds since 1970. */
const lastTimeMs = 8.64e15;

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
  const cleaned = value.map(cleanJson);
  return cleaned.every((item, i) => item === value[i]) ? value : cleaned;
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

/** Reads optional fields of a stranger's object; a wrong type is an absent field (matrix-push 2). */
export interface FieldReader {
  /** A string, empty or not. */
  text(value: unknown): string | undefined;
  /** A string that is not empty. */
  identifier(value: unknown): string | undefined;
  object(value: unknown): JsonObject | undefined;
}

const trusting: FieldReader = {
  text: (value) => (typeof value === "string" ? value : undefined),
  identifier: (value) => (typeof value === "string" && value !== "" ? value : undefined),
  object: (value) => (isJsonObject(value) ? value : undefined),
};

const cleaning: FieldReader = {
  text: (value) => (typeof value === "string" ? cleanText(value) : undefined),
  identifier: (value) => (typeof value === "string" ? cleanText(value) || undefined : undefined),
  object: (value) => (isJsonObject(value) ? cleanObject(value) : undefined),
};

/** The reader for a body: one that cleans costs a walk over all of it, so it is used only where something may be unclean. */
export function fieldReader(needsCleaning: boolean): FieldReader {
  return needsCleaning ? cleaning : trusting;
}

/** True or false; anything else is absent. */
export function flag(value: unknown): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

/** A whole number from 0, clamped; anything else is as if absent (matrix-push 2.2, case 44). */
export function count(value: unknown): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) return undefined;
  // Adding turns -0 into 0.
  return Math.min(value, maxCount) + 0;
}

/** `pushkey_ts` as milliseconds since 1970; absent when it says nothing (matrix-push 2.3, case 29). */
export function pushkeyTime(value: unknown): number | undefined {
  if (typeof value !== "number" || value <= 0) return undefined;
  const ms = Math.floor(value > secondsAbove ? value : value * 1000);
  return ms > 0 && ms <= lastTimeMs ? ms : undefined;
}
