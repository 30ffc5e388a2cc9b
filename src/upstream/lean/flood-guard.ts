/** Frames that a peer may send without a request that they could belong to. */
const firstCredit = 1000;
const mostCredit = 10_000;
/** A request is answered in a few frames, beside WINDOW_UPDATEs and a PING. */
const perRequest = 20;
const perSecond = 100;

/**
 * Counts what a peer sends against what it was asked: PINGs, SETTINGS, empty DATA and the like cost it nothing, and
 * would keep us busy for ever.
 */
export class FloodGuard {
  readonly #now: () => number;
  #credit = firstCredit;
  #filledMs: number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
    this.#filledMs = now();
  }

  /** A request has been sent. */
  requested(): void {
    if (this.#credit < mostCredit) this.#credit += perRequest;
  }

  /** So many frames brought something that is bounded elsewhere. */
  useful(frames: number): void {
    this.#credit += frames;
  }

  /** A frame has come. False when they are too many. */
  frame(): boolean {
    this.#credit -= 1;
    if (this.#credit >= 0) return true;
    const nowMs = this.#now();
    this.#credit += Math.min(mostCredit, Math.floor(((nowMs - this.#filledMs) / 1_000) * perSecond));
    this.#filledMs = nowMs;
    return this.#credit >= 0;
  }
}
