import type { Clock } from "../clock.ts";
import {
  StoreError,
  type Digest,
  type FinalState,
  type Outbox,
  type OutboxCaps,
  type OutboxEntry,
} from "../store/store.ts";
import type { Delivery } from "./attempter.ts";
import type { TellSuperseded } from "./latest-by-slot.ts";
import type { Leases } from "./leases.ts";
import { writePayload } from "./outbox-payload.ts";
import type { Dropped, Outcome, Retryable, Settled } from "./outcome.ts";
import type { PushClaims } from "./threads.ts";

/**
 * What came of committing a push: it is promised (with a token when it is leased to us), a newer one of its slot is the
 * promise, or why it is not.
 */
export type Commitment =
  | { readonly kind: "accepted"; readonly token?: number }
  | (Dropped & { readonly reason: "superseded" })
  | (Retryable & { readonly reason: "store" | "outbox-full" });

/** How often the end of an entry in hand is written again while the store does not take it. */
const CONCLUDE_AGAIN_MS = 500;
const CONCLUDE_AGAIN_AT_MOST_MS = 5_000;
/** When a full or failing store may be asked again. */
const RETRY_AFTER_MS = 5_000;
/** Promises that are known without the store; the oldest are forgotten. */
const MAX_PROMISED = 65_536;

/** Puts what is still open into the outbox: after that it is promised (D6, P1). */
export class OutboxIntake {
  /** How much may wait; a reload changes it. */
  caps: OutboxCaps;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #leases: Leases;
  readonly #wake: (app: string) => void;
  readonly #claims: PushClaims | undefined;
  readonly #tellSuperseded: TellSuperseded;
  /** Keys of what this process has promised, whatever has become of it. */
  readonly #promised = new Set<Digest>();

  /**
   * `wake` tells the worker that an app has something waiting; `tellSuperseded` is told what a push has replaced;
   * `claims` are those of several threads, absent where there is but one.
   */
  constructor(options: {
    readonly outbox: Outbox;
    readonly caps: OutboxCaps;
    readonly clock: Clock;
    readonly leases: Leases;
    readonly wake: (app: string) => void;
    readonly tellSuperseded?: TellSuperseded;
    readonly claims?: PushClaims;
  }) {
    this.#outbox = options.outbox;
    this.caps = options.caps;
    this.#clock = options.clock;
    this.#leases = options.leases;
    this.#wake = options.wake;
    this.#claims = options.claims;
    this.#tellSuperseded = options.tellSuperseded ?? (() => {});
  }

  /**
   * An equal push is promised already. A store that is away keeps nobody from being served (P15), except from what
   * this process has promised itself: sending that could double it, so it rejects with `StoreError`.
   */
  holds(key: Digest): boolean | Promise<boolean> {
    const held = this.#outbox.holds(key);
    if (!(held instanceof Promise)) return held;
    return held.catch((error: unknown) => {
      if (!(error instanceof StoreError) || this.#promised.has(key)) throw error;
      if (this.#claims?.isPromised(key) === true) throw error;
      return false;
    });
  }

  #notePromised(key: Digest | undefined): void {
    if (key === undefined) return;
    this.#promised.add(key);
    this.#claims?.promised(key);
    if (this.#promised.size <= MAX_PROMISED) return;
    for (const oldest of this.#promised) {
      this.#promised.delete(oldest);
      break;
    }
  }

  /**
   * Commits a push; flushed when it resolves. Never rejects.
   *
   * @param running an attempt is under way: the entry is leased to this process, which settles it when that ends
   */
  async commit(
    delivery: Delivery,
    state: {
      readonly key: Digest | undefined;
      readonly attempts: number;
      readonly dueInMs: number;
      readonly running: boolean;
      /** Of the device's pushes with this name only the newest waits. Absent = a badge's own, or none. */
      readonly slot?: string;
    },
  ): Promise<Commitment> {
    const { app, device, facts } = delivery;
    const expiresInMs = facts.expiresAtMs - this.#clock.now();
    // Whoever commits what has just expired is told so by the worker.
    const entry = this.#entry(delivery, state, Math.max(1, expiresInMs));
    try {
      const [result] = state.running
        ? await this.#outbox.put([entry], this.caps, this.#leases.lease)
        : await this.#outbox.put([entry], this.caps);
      if (result === undefined || result.kind === "refused") {
        return { kind: "retryable", reason: "outbox-full", retryAfterMs: RETRY_AFTER_MS };
      }
      if (result.kind === "superseded") return { kind: "dropped", reason: "superseded" };
      this.#notePromised(state.key);
      if (result.kind === "already-held") return { kind: "accepted" };
      if (result.superseded !== undefined) this.#tellSuperseded(app.name, device, result.superseded);
      if (!state.running) {
        this.#wake(app.name);
        return { kind: "accepted" };
      }
      this.#leases.take(facts.id, result.token);
      return { kind: "accepted", token: result.token };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return { kind: "retryable", reason: "store", retryAfterMs: RETRY_AFTER_MS };
    }
  }

  /**
   * Ends an entry in hand, or gives it back for later. While the store does not answer it is tried again, the lease
   * being kept: else a store that was away for a while would make a crash of every push in hand, or send it twice.
   * False when it was no longer ours; `superseded` when it was given back and has ended, because a newer one is there.
   */
  async conclude(
    id: string,
    claimedToken: number,
    result: { readonly state: FinalState } | { readonly attempts: number; readonly dueInMs: number },
  ): Promise<boolean | "superseded"> {
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          // After a lease that ran out this process may have claimed its own entry again.
          return await this.#write(id, this.#leases.tokenOf(id) ?? claimedToken, result);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          if (error.code === "closed") return false;
          await this.#clock.sleep(Math.min(CONCLUDE_AGAIN_MS * attempt, CONCLUDE_AGAIN_AT_MOST_MS));
        }
      }
    } finally {
      this.#leases.release(id);
    }
  }

  async #write(
    id: string,
    token: number,
    result: { readonly state: FinalState } | { readonly attempts: number; readonly dueInMs: number },
  ): Promise<boolean | "superseded"> {
    const [done = false] =
      "state" in result
        ? await this.#outbox.settle([{ id, token, state: result.state }])
        : await this.#outbox.postpone([{ id, token, ...result }]);
    return done;
  }

  #entry(
    { app, device, facts, message }: Delivery,
    state: {
      readonly key: Digest | undefined;
      readonly attempts: number;
      readonly dueInMs: number;
      readonly slot?: string;
    },
    expiresInMs: number,
  ): OutboxEntry {
    const { expiresAtMs: _absolute, ...kept } = facts;
    // A badge that waits is replaced by a newer one of the same device.
    const slot = facts.urgency === "badge" ? "badge" : state.slot;
    return {
      id: facts.id,
      app: app.name,
      device,
      ...(state.key === undefined ? {} : { key: state.key }),
      ...(slot === undefined ? {} : { slot }),
      payload: writePayload({ pushkin: app.pushkin.type, facts: kept, message }),
      attempts: state.attempts,
      dueInMs: Math.max(0, state.dueInMs),
      expiresInMs,
      receivedAtMs: facts.receivedAtMs,
    };
  }
}

/** How a push that ended is counted (reliability G24). */
export function finalState(outcome: Exclude<Outcome, Retryable>): FinalState {
  switch (outcome.kind) {
    case "delivered":
      return "handed";
    case "rejected":
      return "rejected";
    case "dropped":
      return outcome.reason === "expired" ? "expired" : "dropped";
  }
}

/**
 * What the sender hears of a commitment.
 *
 * @param because what kept the push from being settled
 */
export function settledOf(commitment: Commitment, because: Retryable): Settled {
  return commitment.kind === "accepted" ? { kind: "accepted", because } : commitment;
}
