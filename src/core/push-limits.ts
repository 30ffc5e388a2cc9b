import type { Clock } from "../clock.ts";
import type { Digest } from "../store/store.ts";
import { ownBuckets, type Buckets, type MakeBuckets } from "./token-buckets.ts";

/** `limits.per_app` and `limits.per_device`; null = none. */
export interface PushRates {
  readonly perApp: Rate | null;
  readonly perDevice: Rate | null;
}

/** A rate of the configuration. */
export interface Rate {
  readonly count: number;
  /** Milliseconds. */
  readonly window: number;
}

/** What keeps pushes back. */
export const pushLimits = ["app", "device"] as const;

/** A push that comes too soon after others. */
export interface Throttled {
  readonly by: (typeof pushLimits)[number];
  /** When its turn comes. */
  readonly waitMs: number;
}

/**
 * How many pushes an app and a device may be sent: one stolen pushkey must not ring a phone ten thousand times, nor
 * one app use up everybody's share (reliability H23).
 */
export class PushLimits {
  readonly #clock: Clock;
  #rates: PushRates = { perApp: null, perDevice: null };
  readonly #makeBuckets: MakeBuckets;
  #apps: Buckets | undefined;
  #devices: Buckets | undefined;

  constructor(clock: Clock, rates: PushRates, makeBuckets: MakeBuckets = ownBuckets) {
    this.#clock = clock;
    this.#makeBuckets = makeBuckets;
    this.rates = rates;
  }

  /** A reload changes them; buckets whose rate stays are as full as they were. */
  set rates(rates: PushRates) {
    if (!isSame(rates.perApp, this.#rates.perApp)) this.#apps = this.#bucketsOf("app", rates.perApp);
    if (!isSame(rates.perDevice, this.#rates.perDevice))
      this.#devices = this.#bucketsOf("device", rates.perDevice);
    this.#rates = rates;
  }

  /** Counts a push; or says what keeps it back, and then it counts for nothing. */
  take(app: string, device: Digest): Throttled | undefined {
    const ofApp = this.#apps?.waitFor(app) ?? 0;
    if (ofApp > 0) return { by: "app", waitMs: ofApp };
    const ofDevice = this.#devices?.take(device) ?? 0;
    if (ofDevice > 0) return { by: "device", waitMs: ofDevice };
    this.#apps?.take(app);
    return undefined;
  }

  #bucketsOf(kind: Throttled["by"], rate: Rate | null): Buckets | undefined {
    if (rate === null) return undefined;
    return this.#makeBuckets(kind, { count: rate.count, windowMs: rate.window }, this.#clock);
  }
}

function isSame(left: Rate | null, right: Rate | null): boolean {
  return left?.count === right?.count && left?.window === right?.window;
}
