import type { Clock } from "../clock.ts";

/** An end of waiting. */
export interface Deadline {
  /** Takes it back; false when it has passed, or was taken back before. */
  cancel(): boolean;
}

/**
 * Many ends of waiting on one timer, none early. They come nearly in order, so that each costs a place in a list: of all
 * the timers that pushes would have, hardly one ever fires. The timer is left to fire for nothing rather than moved.
 */
export class Deadlines {
  readonly #clock: Clock;
  /** The ends of a ring in order of time: `#ring.later` is the first to pass. */
  readonly #ring = new Entry(0, () => {});
  #cancelTimer: (() => void) | undefined;
  #timerAtMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param atMs on `Clock.monotonic()`; what lies in the past passes at the next turn
   * @param passed called once, unless the deadline is cancelled
   */
  add(atMs: number, passed: () => void): Deadline {
    const entry = new Entry(atMs, passed);
    let before = this.#ring.earlier;
    while (before !== this.#ring && before.atMs > atMs) before = before.earlier;
    entry.insertAfter(before);
    if (atMs < this.#timerAtMs) this.#arm(atMs);
    return entry;
  }

  #arm(atMs: number): void {
    this.#cancelTimer?.();
    this.#timerAtMs = atMs;
    const waitMs = Math.max(0, atMs - this.#clock.monotonic());
    // Node cuts off what is below a millisecond.
    this.#cancelTimer = this.#clock.schedule(Math.ceil(waitMs), () => this.#fire());
  }

  #fire(): void {
    this.#cancelTimer = undefined;
    this.#timerAtMs = Infinity;
    const nowMs = this.#clock.monotonic();
    for (let next = this.#ring.later; next !== this.#ring; next = this.#ring.later) {
      if (next.atMs > nowMs) {
        if (next.atMs < this.#timerAtMs) this.#arm(next.atMs);
        return;
      }
      next.cancel();
      next.passed();
    }
  }
}

class Entry implements Deadline {
  readonly atMs: number;
  readonly passed: () => void;
  earlier: Entry = this;
  later: Entry = this;

  constructor(atMs: number, passed: () => void) {
    this.atMs = atMs;
    this.passed = passed;
  }

  insertAfter(before: Entry): void {
    this.earlier = before;
    this.later = before.later;
    before.later.earlier = this;
    before.later = this;
  }

  cancel(): boolean {
    if (this.later === this) return false;
    this.earlier.later = this.later;
    this.later.earlier = this.earlier;
    this.earlier = this;
    this.later = this;
    return true;
  }
}
