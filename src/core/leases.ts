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
  /** Lost to another, while their attempts are under way here. */
  readonly #lost = new Set<string>();
  /** Held under another thread's name, which renews them; each with whom to tell of its end. */
  readonly #lent = new Map<string, () => void>();
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
    this.#lost.delete(id);
    const tell = this.#lent.get(id);
    this.#lent.delete(id);
    tell?.();
  }

  /**
   * Another thread has claimed an entry whose lease ran out. When its attempt is under way here, that one goes on with
   * the other's token, and it is true once it has ended; until then the other renews the lease. Else false at once.
   */
  async takeBack(id: string, token: number): Promise<boolean> {
    if (!this.#held.has(id) && !this.#lost.has(id)) return false;
    this.#held.set(id, token);
    await new Promise<void>((resolve) => this.#lent.set(id, resolve));
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Unless it has been claimed anew, with another token, while the renewal was under way. */
  #lose(id: string, token: number | undefined): void {
    if (this.#held.get(id) !== token || this.#lent.has(id)) return;
    this.#held.delete(id);
    this.#lost.add(id);
  }

  #beat(): void {
    this.#cancel = undefined;
    if (this.#held.size === 0) return;
    const held = [...this.#held].filter(([id]) => !this.#lent.has(id)).map(([id, token]) => ({ id, token }));
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
