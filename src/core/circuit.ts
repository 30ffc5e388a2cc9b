import type { Clock } from "../clock.ts";
import { RollingShare } from "./rolling-share.ts";

/** When a circuit opens, and how it looks whether it may close (reliability 1.3). */
export interface CircuitPolicy {
  /** Failures in a row that open it. */
  readonly failuresInARow: number;
  /** … or this share of the attempts of the last `windowMs`, of at least `minimum`. */
  readonly share: number;
  readonly minimum: number;
  readonly windowMs: number;
  /** Between probes while it is open, ± `probeSpread` of it so that replicas do not knock together. */
  readonly probeEveryMs: number;
  readonly probeSpread: number;
}

/** reliability.md 1.3. */
export const defaultCircuitPolicy: CircuitPolicy = {
  failuresInARow: 5,
  share: 0.5,
  minimum: 20,
  windowMs: 10_000,
  probeEveryMs: 5_000,
  probeSpread: 0.2,
};

/** The policy for each of several threads, so that together they are as patient as one. */
export function policyForOneOf(threads: number): CircuitPolicy {
  if (threads === 1) return defaultCircuitPolicy;
  const { failuresInARow, minimum } = defaultCircuitPolicy;
  return {
    ...defaultCircuitPolicy,
    // One failure alone says nothing.
    failuresInARow: Math.max(2, Math.ceil(failuresInARow / threads)),
    minimum: Math.max(2, Math.ceil(minimum / threads)),
  };
}

/** What the threads' circuits for one app and host tell each other while theirs is open. */
export interface SharedProbe {
  /** Takes the one probe of this time for this thread; false when another thread's was less than `everyMs` ago. */
  take(everyMs: number): boolean;
  /** Until `take` may succeed, milliseconds. */
  waitMs(): number;
  /** The upstream answers: the others close theirs too. */
  closed(): void;
  /** How long ago that was last said; undefined = never. Milliseconds. */
  closedAgoMs(): number | undefined;
}

/** What may be sent now: everything, one push to see whether the upstream is back, or nothing. */
export type Permission = "closed" | "probe" | "open";

/**
 * Keeps attempts away from an upstream that does not answer. *Closed*: everything goes. *Open*: nothing goes but one
 * probe at a time, one every few seconds; its success closes the circuit. Only what the upstream is to blame for is
 * a failure: no connection, no answer in time, 5xx, refused credentials.
 */
export class Circuit {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #policy: CircuitPolicy;
  readonly #results: RollingShare;
  #inARow = 0;
  #isOpen = false;
  #probing = false;
  #nextProbeMs = 0;
  #openedAtMs = 0;
  #closedAtMs: number | undefined;
  readonly #shared: SharedProbe | undefined;

  /**
   * @param random in [0, 1)
   * @param shared absent = this thread is the only one
   */
  constructor(
    clock: Clock,
    random: () => number,
    policy: CircuitPolicy = defaultCircuitPolicy,
    shared?: SharedProbe,
  ) {
    this.#shared = shared;
    this.#clock = clock;
    this.#random = random;
    this.#policy = policy;
    this.#results = new RollingShare(policy.windowMs);
  }

  get isOpen(): boolean {
    if (this.#isOpen && this.#shared !== undefined) this.#hearOthers(this.#shared);
    return this.#isOpen;
  }

  /** When it last closed again, on `Clock.monotonic()`; undefined when it never was open. */
  get closedAtMs(): number | undefined {
    return this.#closedAtMs;
  }

  /** Until a probe may go, in milliseconds; 0 when it is closed or one may go now. */
  get nextProbeInMs(): number {
    if (!this.isOpen) return 0;
    if (this.#probing) return this.#policy.probeEveryMs;
    return Math.max(0, this.#nextProbeMs - this.#clock.monotonic(), this.#shared?.waitMs() ?? 0);
  }

  /** Whether an attempt may be made. Each `probe` is to be followed by `succeeded`, `failed` or `probeIsOver`. */
  ask(): Permission {
    if (!this.isOpen) return "closed";
    if (this.#probing || this.#clock.monotonic() < this.#nextProbeMs) return "open";
    const { probeEveryMs, probeSpread } = this.#policy;
    if (this.#shared?.take(probeEveryMs * (1 - probeSpread)) === false) return "open";
    this.#probing = true;
    return "probe";
  }

  /** The upstream answered, whatever it said of the push. */
  succeeded(): void {
    this.#inARow = 0;
    if (this.#isOpen) {
      this.#shared?.closed();
      return this.#close();
    }
    this.#note(false);
  }

  /** The upstream failed. */
  failed(): void {
    if (this.#isOpen) return this.#probeLater();
    this.#inARow += 1;
    this.#note(true);
    const { failuresInARow, minimum, share } = this.#policy;
    const { total, failures } = this.#results;
    const tooMany = total >= minimum && failures >= share * total;
    if (this.#inARow >= failuresInARow || tooMany) this.trip();
  }

  /** Opens it at once: our credentials are refused, and the next push would fare no better. */
  trip(): void {
    if (!this.#isOpen) this.#openedAtMs = this.#clock.monotonic();
    this.#isOpen = true;
    this.#inARow = 0;
    this.#results.clear();
    this.#probeLater();
  }

  /** The probe came to nothing that tells of the upstream (such as a push that expired). */
  probeIsOver(): void {
    this.#probing = false;
  }

  #close(): void {
    this.#isOpen = false;
    this.#probing = false;
    this.#inARow = 0;
    this.#results.clear();
    this.#closedAtMs = this.#clock.monotonic();
  }

  /** Another thread's probe was answered since this circuit opened. */
  #hearOthers(shared: SharedProbe): void {
    const agoMs = shared.closedAgoMs();
    if (agoMs !== undefined && agoMs < this.#clock.monotonic() - this.#openedAtMs) this.#close();
  }

  #probeLater(): void {
    const { probeEveryMs, probeSpread } = this.#policy;
    this.#probing = false;
    this.#nextProbeMs = this.#clock.monotonic() + probeEveryMs * (1 + probeSpread * (2 * this.#random() - 1));
  }

  #note(failed: boolean): void {
    this.#results.add(failed, this.#clock.monotonic());
  }
}
