import type { Clock } from "../clock.ts";
import { AdaptiveLimit } from "./adaptive-limit.ts";
import { Circuit, policyForOneOf } from "./circuit.ts";
import type { Outcome } from "./outcome.ts";
import { RecentMap } from "./recent-map.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { CoreShare } from "./threads.ts";

/** Hosts that users supply are many: the least used are forgotten, which merely closes their circuits. */
const MAX_UPSTREAMS = 10_000;

/** One app's view of one upstream host: may it be tried, how often again, how many at once (D10). */
export interface UpstreamHealth {
  readonly circuit: Circuit;
  readonly budget: RetryBudget;
  readonly limit: AdaptiveLimit;
}

/** One circuit, as an operator sees it. */
export interface CircuitState {
  /** The app's key in the configuration. */
  readonly app: string;
  /** Chosen by users for Web Push and UnifiedPush. */
  readonly host: string;
  readonly isOpen: boolean;
  /** Until it is tried again; 0 while it is closed. Milliseconds. */
  readonly nextProbeInMs: number;
}

/** The health of every upstream, by app and host, so that no app pays for another's (P6). */
export class UpstreamHealths {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #share: Pick<CoreShare, "threads" | "probeOf"> | undefined;
  readonly #byKey = new RecentMap<UpstreamHealth>();

  /** @param share absent = this thread is the only one */
  constructor(clock: Clock, random: () => number, share?: Pick<CoreShare, "threads" | "probeOf">) {
    this.#share = share;
    this.#clock = clock;
    this.#random = random;
  }

  of(app: string, host: string): UpstreamHealth {
    const key = `${app}\n${host}`;
    // Used last: the hosts of strangers must not push out the ones that everyone uses.
    const known = this.#byKey.use(key);
    if (known !== undefined) return known;
    const health: UpstreamHealth = {
      circuit: new Circuit(
        this.#clock,
        this.#random,
        policyForOneOf(this.#share?.threads ?? 1),
        this.#share?.probeOf(app, host),
      ),
      budget: new RetryBudget(this.#clock, this.#share?.threads),
      limit: new AdaptiveLimit(this.#share?.threads),
    };
    if (this.#byKey.size >= MAX_UPSTREAMS) this.#byKey.delete(this.#byKey.oldest()?.key ?? "");
    this.#byKey.set(key, health);
    return health;
  }

  /** Begins anew with all of an app's hosts. */
  forget(app: string): void {
    for (const [key] of this.#byKey.entries()) if (key.startsWith(`${app}\n`)) this.#byKey.delete(key);
  }

  circuits(): readonly CircuitState[] {
    return [...this.#byKey.entries()].map(([key, { circuit }]) => {
      const [app = "", host = ""] = key.split("\n");
      return { app, host, isOpen: circuit.isOpen, nextProbeInMs: circuit.nextProbeInMs };
    });
  }
}

/** Takes an attempt's outcome, before the guard's word on it, into the upstream's health. */
export function noteOutcome({ circuit, limit }: UpstreamHealth, outcome: Outcome): void {
  if (outcome.kind !== "retryable") {
    if (outcome.kind === "delivered" || outcome.answer !== undefined) {
      circuit.succeeded();
      limit.wentWell();
    } else circuit.probeIsOver();
    return;
  }
  switch (outcome.reason) {
    case "credentials":
      circuit.trip();
      return;
    case "connect":
    case "connection-lost":
    case "timeout":
    case "upstream-unavailable":
      circuit.failed();
      limit.wasTooMuch();
      return;
    case "rate-limited":
      // It answers, and wants less.
      circuit.succeeded();
      limit.wasTooMuch();
      return;
    case "held":
      circuit.succeeded();
      return;
    case "overloaded":
    case "answer-window":
    case "circuit-open":
    case "no-budget":
    case "shutting-down":
    case "store":
    case "outbox-full":
    case "internal":
      circuit.probeIsOver();
  }
}
