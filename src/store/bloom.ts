import type { Digest } from "./store.ts";

/** 2^24 bits: three bytes of a digest are exactly one probe, and a million digests answer "maybe" to 0.2 % of strangers. */
const filterBytes = 2 ** 21;
const probes = 4;
/** What a filter looks at of a digest, from its beginning. */
export const bloomBytes = probes * 3;

/**
 * Says of most digests that they surely were never added. Digests are keyed and uniformly random already, so their own
 * first bytes are the probes and nothing is hashed. Nothing can be taken out: what was removed or has expired goes on
 * being "maybe" until the next start, or until all is cleared.
 */
export interface Bloom {
  /** Its first `bloomBytes` bytes will do, in hex of either case. */
  add(digest: Digest): void;
  /** False = surely never added. */
  mayHave(digest: Digest): boolean;
  /** Takes all out. Only for whoever alone adds, at a moment when nothing is left to be found. */
  clear(): void;
}

/** Memory for one filter, shared between threads: one thread fills it, others ask. */
export function bloomMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(filterBytes);
}

/** A filter on such memory; what another thread has added counts. */
export function createBloom(memory: SharedArrayBuffer): Bloom {
  const words = new Int32Array(memory);
  const set = (bit: number): void => void Atomics.or(words, bit >>> 5, 1 << (bit & 31));
  return {
    add(digest) {
      for (let i = 0; i < probes; i += 1) set(parseInt(digest.slice(i * 6, i * 6 + 6), 16));
    },
    mayHave(digest) {
      for (let i = 0; i < probes; i += 1) {
        const bit = parseInt(digest.slice(i * 6, i * 6 + 6), 16);
        if ((Atomics.load(words, bit >>> 5) & (1 << (bit & 31))) === 0) return false;
      }
      return true;
    },
    clear: () => void words.fill(0),
  };
}
