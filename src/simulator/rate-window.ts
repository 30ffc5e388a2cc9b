/** So many in so long; the window starts with the first one counted. */
export interface RateLimit {
  readonly count: number;
  readonly windowMs: number;
}

const MAX_KEYS = 100_000;

/** Counts per key in fixed windows. */
export class RateWindow {
  readonly #limit: RateLimit;
  readonly #windows = new Map<string, { readonly startMs: number; count: number }>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** Counts one; false when the key's window is full. */
  take(key: string, nowMs: number): boolean {
    let window = this.#windows.get(key);
    if (window === undefined || nowMs - window.startMs >= this.#limit.windowMs) {
      if (this.#windows.size >= MAX_KEYS) this.#windows.clear();
      window = { startMs: nowMs, count: 0 };
      this.#windows.set(key, window);
    }
    window.count += 1;
    return window.count <= this.#limit.count;
  }
}
