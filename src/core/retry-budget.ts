import type { Clock } from "../clock.ts";

/** Repeats allowed per fresh attempt, and per second besides (reliability 1.3). */
const SHARE = 0.1;
const PER_SECOND = 3;
/** What may be saved up: a short outage's worth, not a storm's. */
const MAX_TOKENS = 30;

/** Bounds the repeats towards one upstream to 10 % of the fresh attempts and three a second (D10, UX03). */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #max: number;
  #tokens: number;
  #atMs: number;

  /** @param threads how many have a budget each, and together one */
  constructor(clock: Clock, threads = 1) {
    this.#clock = clock;
    this.#perSecond = PER_SECOND / threads;
    this.#max = Math.max(1, MAX_TOKENS / threads);
    this.#tokens = this.#perSecond;
    this.#atMs = clock.monotonic();
  }

  /** A push's first attempt. */
  fresh(): void {
    this.#tokens = Math.min(this.#max, this.#tokens + SHARE);
  }

  /** Takes one repeat out of the budget, or says that there is none. */
  tryRepeat(): boolean {
    const nowMs = this.#clock.monotonic();
    this.#tokens = Math.min(this.#max, this.#tokens + ((nowMs - this.#atMs) / 1_000) * this.#perSecond);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
