import type { Clock } from "../clock.ts";
import { RecentMap } from "./recent-map.ts";

/** So many in so long a time. */
export interface Allowance {
  readonly count: number;
  readonly windowMs: number;
}

/** Allowances by name. */
export interface Buckets {
  /** Takes one, 0; or takes none, since there is none: the milliseconds until there is. */
  take(name: string): number;
  /** The milliseconds until there is one, 0 when there is. */
  waitFor(name: string): number;
}

/** Makes the buckets of one kind; those of one kind and allowance are the same for all threads, where there are several. */
export type MakeBuckets = (kind: string, allowance: Allowance, clock: Clock) => Buckets;

/** Buckets for the only thread. */
export const ownBuckets: MakeBuckets = (_kind, allowance, clock) => new TokenBuckets(allowance, clock);

/** Names that are remembered at most; whoever is forgotten has his whole allowance again. */
const MAX_NAMES = 100_000;

/**
 * A token bucket a name, kept as one number: when it will be full again. Full ones are not kept, and of more than
 * `maxNames` the longest unused leave, so that made-up names cannot fill the memory (reliability H24).
 */
export class TokenBuckets implements Buckets {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #costMs: number;
  readonly #maxNames: number;
  /** The longest unused first. */
  readonly #fullAtMs = new RecentMap<number>();

  constructor(allowance: Allowance, clock: Clock, maxNames = MAX_NAMES) {
    this.#clock = clock;
    this.#windowMs = allowance.windowMs;
    this.#costMs = allowance.windowMs / allowance.count;
    this.#maxNames = maxNames;
  }

  take(name: string): number {
    const waitMs = this.waitFor(name);
    if (waitMs > 0) return waitMs;
    const nowMs = this.#clock.monotonic();
    const fullAtMs = Math.max(nowMs, this.#fullAtMs.get(name) ?? 0) + this.#costMs;
    this.#fullAtMs.set(name, fullAtMs);
    this.#shrink(nowMs);
    return 0;
  }

  waitFor(name: string): number {
    const fullAtMs = this.#fullAtMs.get(name);
    if (fullAtMs === undefined) return 0;
    const waitMs = fullAtMs + this.#costMs - this.#clock.monotonic() - this.#windowMs;
    // The last one of a window is not lost to rounding.
    return waitMs > 1e-6 ? waitMs : 0;
  }

  /** How many names are remembered. */
  get size(): number {
    return this.#fullAtMs.size;
  }

  #shrink(nowMs: number): void {
    for (;;) {
      const oldest = this.#fullAtMs.oldest();
      if (oldest === undefined) return;
      if (oldest.value > nowMs && this.#fullAtMs.size <= this.#maxNames) return;
      this.#fullAtMs.delete(oldest.key);
    }
  }
}
