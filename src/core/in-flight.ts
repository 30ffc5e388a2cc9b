/** Of the places, what promised pushes never take, so that fresh ones find one while a long queue drains. */
const KEPT_FOR_FRESH = 0.25;

/**
 * The bulkhead of one app: how many of its pushes may be under way, so that it cannot starve another (P6). Fresh
 * pushes and promised ones, from the outbox, share its places.
 */
export class InFlight {
  readonly #limit: number;
  /** Places that promised pushes may have at most. */
  readonly mostPromised: number;
  #fresh = 0;
  #promised = 0;
  /** Promised pushes that were taken from the outbox and wait for a place, in order. */
  readonly #waiting: (() => void)[] = [];
  #onRoom: { readonly places: number; readonly call: () => void } | undefined;

  /** @param limit 0 lets nothing through */
  constructor(limit: number) {
    this.#limit = limit;
    this.mostPromised = limit - Math.floor(limit * KEPT_FOR_FRESH);
  }

  get limit(): number {
    return this.#limit;
  }

  /** Pushes under way. */
  get count(): number {
    return this.#fresh + this.#promised;
  }

  /** Takes a place for a fresh push, or says that there is none. Each `true` is to be followed by one `leave()`. */
  tryEnter(): boolean {
    if (this.count >= this.#limit) return false;
    this.#fresh += 1;
    return true;
  }

  leave(): void {
    this.#fresh -= 1;
    this.#admit();
  }

  /** How many promised pushes could enter now without waiting. */
  get roomForPromised(): number {
    return Math.max(0, this.#freeForPromised() - this.#waiting.length);
  }

  /**
   * Takes a place for a promised push, as soon as there is one: between looking for room and having taken entries from
   * the outbox, fresh pushes may have come. To be followed by one `leavePromised()`.
   */
  async enterPromised(): Promise<void> {
    if (this.roomForPromised > 0) {
      this.#promised += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leavePromised(): void {
    this.#promised -= 1;
    this.#admit();
  }

  /** Calls back once when there is room for so many promised pushes; replaces an earlier call. */
  onceRoom(places: number, call: () => void): void {
    this.#onRoom = { places, call };
  }

  #freeForPromised(): number {
    return Math.min(this.#limit - this.count, this.mostPromised - this.#promised);
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#freeForPromised() > 0) {
      this.#promised += 1;
      this.#waiting.shift()?.();
    }
    if (this.#onRoom === undefined || this.roomForPromised < this.#onRoom.places) return;
    const { call } = this.#onRoom;
    this.#onRoom = undefined;
    call();
  }
}
