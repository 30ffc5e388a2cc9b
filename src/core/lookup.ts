import { StoreError } from "../store/store.ts";

/**
 * The result of a lookup; a store that cannot be asked knows nothing, so the push goes on, at worst a second time
 * (reliability P15).
 */
export async function orUnknown<T>(lookup: Promise<T>, unknown: T): Promise<T> {
  try {
    return await lookup;
  } catch (error) {
    if (error instanceof StoreError) return unknown;
    throw error;
  }
}

/** Goes on with a value: at once where it is there, which is nearly always. */
export function whenKnown<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The store could not do it, which a door answers; anything else that is thrown is a bug. */
export function isStoreFailure(error: unknown): boolean {
  return error instanceof StoreError;
}
