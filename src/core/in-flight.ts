/** The bulkhead of one app: how many of its pushes may be under way, so that it cannot starve another (P6). */
export class InFlight {
  readonly #limit: number;
  #count = 0;

  /** @param limit 0 lets nothing through */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Pushes under way. */
  get count(): number {
    return this.#count;
  }

  /** Takes a place, or says that there is none. Each `true` is to be followed by one `leave()`. */
  tryEnter(): boolean {
    if (this.#count >= this.#limit) return false;
    this.#count += 1;
    return true;
  }

  leave(): void {
    this.#count -= 1;
  }
}
