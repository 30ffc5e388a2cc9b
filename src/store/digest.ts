import { StoreError } from "./store.ts";

const digestForm = /^[0-9a-f]{64}$/;

/**
 * Refuses what is no digest: a pushkey that got here by a slip must not be written. The value is not repeated in the
 * message. Undefined when all is well.
 */
export function notADigest(value: string): StoreError | undefined {
  return digestForm.test(value)
    ? undefined
    : new StoreError("internal", "not a digest of 64 lower-case hex digits");
}

/** Throws the refusal of the first that is no digest: in async methods, so that it is a rejection. */
export function checkDigests(...digests: readonly string[]): void {
  for (const digest of digests) {
    const problem = notADigest(digest);
    if (problem !== undefined) throw problem;
  }
}
