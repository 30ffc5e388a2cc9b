import { hash } from "node:crypto";
import type { Digest } from "../store/store.ts";

/** Slots that a digest may take; beside each other in memory. */
const WAYS = 8;
/** Four words of the key, owner, flags, and a time of eight bytes. */
const SLOT_WORDS = 8;
const OWNER = 4;
const FLAGS = 5;
const TIME = 3;
/** A lock is held for a microsecond. One whose holder does not run just now is waited for, but not for long. */
const SPINS = 200;
const WAITS = 5;
const WAIT_MS = 1;

/** Memory for so many entries: a power of two, 8 at least. 36 bytes each, taken from the machine as they are used. */
export function tableMemory(entries: number): SharedArrayBuffer {
  const sets = entries / WAYS;
  return new SharedArrayBuffer(lockBytes(sets) + entries * SLOT_WORDS * 4);
}

function lockBytes(sets: number): number {
  return Math.max(8, sets * 4);
}

function setsOf(memory: SharedArrayBuffer): number {
  // 36 bytes an entry, but for a table of one set, whose lock is padded.
  return Math.max(1, Math.floor(memory.byteLength / (WAYS * SLOT_WORDS * 4 + 4)));
}

/** What is known under one digest. Only to be used within the call that gives it. */
export interface Slot {
  /** Number of the thread that has it, from 1; 0 = none. Such an entry is never pushed out. */
  owner: number;
  flags: number;
  /** Milliseconds, of whatever clock; where there is no room the entry with the smallest is pushed out. */
  time: number;
}

/**
 * A table in memory that all threads of the process share: bounded, by digest, an older entry pushed out where there
 * is no room. A lock for every eight entries makes each use of one atomic.
 */
export class SharedTable implements Slot {
  readonly #locks: Int32Array;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #mark: number;
  readonly #sets: number;
  #slot = 0;

  /** @param thread this thread's index, from 0 */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#sets = setsOf(memory);
    const bytes = lockBytes(this.#sets);
    this.#locks = new Int32Array(memory, 0, this.#sets);
    this.#words = new Int32Array(memory, bytes);
    this.#times = new Float64Array(memory, bytes);
    this.#mark = thread + 1;
  }

  get owner(): number {
    return this.#words[this.#slot + OWNER] ?? 0;
  }

  set owner(owner: number) {
    this.#words[this.#slot + OWNER] = owner;
  }

  get flags(): number {
    return this.#words[this.#slot + FLAGS] ?? 0;
  }

  set flags(flags: number) {
    this.#words[this.#slot + FLAGS] = flags;
  }

  get time(): number {
    return this.#times[this.#slot / 2 + TIME] ?? 0;
  }

  set time(time: number) {
    this.#times[this.#slot / 2 + TIME] = time;
  }

  /** This thread, as an owner. */
  get self(): number {
    return this.#mark;
  }

  /**
   * Lends the entry of a digest; undefined where there is none, or it cannot be had.
   *
   * @param use must not wait, throw, or use the table
   */
  find<R>(digest: Digest, use: (slot: Slot) => R): R | undefined {
    return this.#lend(digest, false, use);
  }

  /** The same, with a new entry of zeros where there is none; undefined where there is no room, or it cannot be had. */
  put<R>(digest: Digest, use: (slot: Slot) => R): R | undefined {
    return this.#lend(digest, true, use);
  }

  /** A thread has ended: what it had is nobody's, and so are the locks that it held. */
  abandon(thread: number): void {
    const mark = thread + 1;
    const free = (words: Int32Array, at: number): void => {
      // Only what is there is written to: memory that nobody has used yet is not taken from the machine for this.
      if (Atomics.load(words, at) === mark) Atomics.compareExchange(words, at, mark, 0);
    };
    for (let set = 0; set < this.#sets; set += 1) free(this.#locks, set);
    for (let at = OWNER; at < this.#words.length; at += SLOT_WORDS) free(this.#words, at);
  }

  #lend<R>(digest: Digest, make: boolean, use: (slot: Slot) => R): R | undefined {
    const key = [word(digest, 0), word(digest, 1), word(digest, 2), word(digest, 3)] as const;
    const set = (key[0] >>> 0) % this.#sets;
    if (!this.#lock(set)) return undefined;
    try {
      const slot = this.#slotOf(set, key, make);
      if (slot === undefined) return undefined;
      this.#slot = slot;
      return use(this);
    } finally {
      Atomics.store(this.#locks, set, 0);
    }
  }

  #slotOf(set: number, key: readonly [number, number, number, number], make: boolean): number | undefined {
    const words = this.#words;
    const first = set * WAYS * SLOT_WORDS;
    let oldest: number | undefined;
    let oldestTime = Infinity;
    for (let at = first; at < first + WAYS * SLOT_WORDS; at += SLOT_WORDS) {
      if (
        words[at] === key[0] &&
        words[at + 1] === key[1] &&
        words[at + 2] === key[2] &&
        words[at + 3] === key[3]
      ) {
        return at;
      }
      const time = this.#times[at / 2 + TIME] ?? 0;
      if (words[at + OWNER] === 0 && time < oldestTime) [oldest, oldestTime] = [at, time];
    }
    if (!make || oldest === undefined) return undefined;
    // Should this thread end in the midst of it, nothing of the former entry is taken for the new one's.
    words[oldest + FLAGS] = 0;
    this.#times[oldest / 2 + TIME] = 0;
    words.set(key, oldest);
    return oldest;
  }

  #lock(set: number): boolean {
    for (let tries = 0; tries < SPINS + WAITS; tries += 1) {
      const holder = Atomics.compareExchange(this.#locks, set, 0, this.#mark);
      if (holder === 0) return true;
      if (tries >= SPINS) Atomics.wait(this.#locks, set, holder, WAIT_MS);
    }
    return false;
  }
}

function word(digest: Digest, index: number): number {
  return parseInt(digest.slice(index * 8, index * 8 + 8), 16) | 0;
}

/** What is no digest yet, as one. */
export function digestOf(name: string): Digest {
  return hash("sha256", name, "hex");
}
