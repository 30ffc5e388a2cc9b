import { cleanObject, cleanText, isJsonObject, type JsonObject } from "../../json.ts";

/** The largest count a badge can show everywhere (matrix-push 2.2). */
const maxCount = 2_147_483_647;
/** Above this a `pushkey_ts` is in milliseconds: old Dendrite sent them so (matrix-push 2.3). */
const secondsAbove = 1e11;
/** The last time that a Date can hold, milliseconds since 1970. */
const lastTimeMs = 8.64e15;

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
