import type { Clock } from "../clock.ts";
import type { Lease, Outbox } from "../store/store.ts";

/** reliability.md 1.3: a lease is longer than one attempt, and renewed three times within it. */
const LEASE_MS = 15_000;
const HEARTBEAT_MS = 5_000;

/** The outbox's entries in this process's hands: renewed while they are, so that no other process takes them. */
export class Leases {
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #held = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  /** What to claim and put with. */
  readonly lease: Lease;

  /** @param owner this process's name, no other's, new at each start */
  constructor(outbox: Outbox, clock: Clock, owner: string) {
    this.#outbox = outbox;
    this.#clock = clock;
    this.lease = { owner, leaseMs: LEASE_MS };
  }

  /** The latest token of an entry that is in hand; undefined when it is not, or is somebody else's by now. */
  tokenOf(id: string): number | undefined {
    return this.#held.get(id);
  }

  take(id: string, token: number): void {
    this.#held.set(id, token);
    this.#cancel ??= this.#clock.schedule(HEARTBEAT_MS, () => this.#beat());
  }

  release(id: string): void {
    this.#held.delete(id);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Unless it has been claimed anew, with another token, while the renewal was under way. */
  #lose(id: string, token: number | undefined): void {
    if (this.#held.get(id) === token) this.#held.delete(id);
  }

  #beat(): void {
    this.#cancel = undefined;
    if (this.#held.size === 0) return;
    const held = [...this.#held].map(([id, token]) => ({ id, token }));
    this.#outbox
      .renew(held, this.lease)
      // What is lost is somebody else's now: its attempt's outcome will be refused by its token.
      .then((lost) => lost.forEach((id) => this.#lose(id, held.find((each) => each.id === id)?.token)))
      .catch(() => {})
      .finally(() => {
        if (this.#held.size > 0 && !this.#stopped)
          this.#cancel ??= this.#clock.schedule(HEARTBEAT_MS, () => this.#beat());
      });
  }
}
