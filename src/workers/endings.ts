/** Before an ended thread is started again: the first time, and at most. */
const AGAIN_AFTER_MS = 100;
const AGAIN_AFTER_AT_MOST_MS = 30_000;
/** Whoever has lived for so long is started again as soon as at first. */
const LIVED_MS = 60_000;
/** So many ends in this time, or two of every thread, are no accident of one request. */
const TOO_MANY = 10;
const TOO_MANY_WITHIN_MS = 5 * 60_000;

/** How a thread has ended. */
export interface Ending {
  readonly index: number;
  readonly livedMs: number;
  /** It has said by itself why it cannot start, as a process would that is started anew. */
  readonly wasRefused: boolean;
}

/**
 * When threads that ended are started again. One that ends at once, again and again, waits longer each time; and where
 * they end too often, whatever the reason, none is started any more: what ends one thread after the other is a fault
 * that a supervisor and an operator have to see, not a process that goes on with less and less. A thread that cannot
 * start for a reason which it names (a key file that is gone) is no such fault: the others serve on with what they have.
 */
export class Endings {
  readonly #tooMany: number;
  readonly #inARow = new Map<number, number>();
  #lately: readonly number[] = [];

  /** @param threads how many there are, the first included */
  constructor(threads: number) {
    this.#tooMany = Math.max(TOO_MANY, 2 * threads);
  }

  /** How many ends in how long are too many, in words. */
  get limit(): string {
    return `${this.#tooMany} in ${TOO_MANY_WITHIN_MS / 60_000} minutes`;
  }

  /**
   * How long to wait before it is started again, milliseconds; undefined: no more.
   *
   * @param nowMs monotonic
   */
  next({ index, livedMs, wasRefused }: Ending, nowMs: number): number | undefined {
    const before = livedMs >= LIVED_MS ? 0 : (this.#inARow.get(index) ?? 0);
    this.#inARow.set(index, before + 1);
    if (!wasRefused) {
      this.#lately = [...this.#lately.filter((atMs) => nowMs - atMs < TOO_MANY_WITHIN_MS), nowMs];
      if (this.#lately.length >= this.#tooMany) return undefined;
    }
    return Math.min(AGAIN_AFTER_AT_MOST_MS, AGAIN_AFTER_MS * 2 ** before);
  }
}
