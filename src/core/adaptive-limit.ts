const START = 32;
const MAX = 512;
/** Of the limit, after a sign that it was too much. */
const BACK_OFF = 0.7;

/**
 * How many waiting pushes may be under way to one upstream at once: one more for each round that went well, a third
 * fewer when it is overloaded or silent (D10). Fresh pushes are bounded by the app's own limit instead.
 */
export class AdaptiveLimit {
  readonly #max: number;
  #limit: number;
  #good = 0;

  /** @param threads how many have a limit each, and together one */
  constructor(threads = 1) {
    this.#max = Math.ceil(MAX / threads);
    this.#limit = Math.ceil(START / threads);
  }

  get value(): number {
    return Math.floor(this.#limit);
  }

  wentWell(): void {
    this.#good += 1;
    if (this.#good < this.#limit) return;
    this.#good = 0;
    // A full round went well: grow fast while small, so that a drain after an outage is soon at full speed.
    this.#limit = Math.min(this.#max, this.#limit + Math.max(1, this.#limit / 4));
  }

  wasTooMuch(): void {
    this.#good = 0;
    this.#limit = Math.max(1, this.#limit * BACK_OFF);
  }
}
