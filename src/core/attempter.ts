import { Canceller } from "../cancellation.ts";
import type { Clock } from "../clock.ts";
import { errorFields, type Log } from "../log.ts";
import type { Digest } from "../store/store.ts";
import { alarmOf, holdAlarm } from "./alarms.ts";
import type { App } from "./app.ts";
import { Deadlines } from "./deadlines.ts";
import { whenKnown } from "./lookup.ts";
import type { Observer } from "./observer.ts";
import type { Outcome, Retryable } from "./outcome.ts";
import type { Attempt, Message } from "./pushkin.ts";
import type { PushFacts } from "./push.ts";
import type { ServedApps } from "./served-apps.ts";
import { noteOutcome, type UpstreamHealths } from "./upstream-health.ts";

/** The whole of one attempt, reliability.md 1.3; a pushkin's own limits are shorter. */
const ATTEMPT_LIMIT_MS = 10_000;
/** How long a held push is left alone before the next try, by how often it was held (design, Settled points). */
const HELD_RETRY_MS: readonly number[] = [60_000, 5 * 60_000, 15 * 60_000, 60 * 60_000];

/** Where an attempt stands in the budget of repeats: the first, one that counts, or one that is exempt (D10). */
export type Turn = "fresh" | "repeat" | "free";

/** A rendered push on its way to its device. */
export interface Delivery {
  readonly app: App;
  readonly device: Digest;
  readonly facts: PushFacts;
  readonly message: Message;
}

/** What attempts are made with. */
export interface AttempterDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: Observer;
  readonly healths: UpstreamHealths;
  readonly apps: Pick<ServedApps, "latest">;
}

/** How long a push is held by the guard before its next try. */
export function heldRetryMs(attempt: number): number {
  return HELD_RETRY_MS[Math.min(Math.max(attempt, 1), HELD_RETRY_MS.length) - 1] ?? 60_000;
}

/** Makes one attempt at a time: the circuit's and the budget's leave, the pushkin's try, the guard's word on it. */
export class Attempter {
  readonly #deps: AttempterDeps;
  readonly #limits: Deadlines;

  constructor(deps: AttempterDeps) {
    this.#deps = deps;
    this.#limits = new Deadlines(deps.clock);
  }

  /**
   * Never rejects.
   *
   * @param attempt 1 for the push's first
   */
  attempt(delivery: Delivery, attempt: number, turn: Turn): Promise<Outcome> {
    const { clock, healths, observer } = this.#deps;
    const { device, facts, message } = delivery;
    // A push that began before a reload is tried again with the new key.
    const app = this.#deps.apps.latest(delivery.app);
    if (clock.now() >= facts.expiresAtMs) return Promise.resolve({ kind: "dropped", reason: "expired" });
    const { pushkin } = app;
    const upstream = pushkin.upstreamOf(message);
    const health = healths.of(app.name, upstream);
    const permission = health.circuit.ask();
    if (permission === "open") {
      const retryAfterMs = health.circuit.nextProbeInMs;
      return Promise.resolve({ kind: "retryable", reason: "circuit-open", retryAfterMs });
    }
    if (turn === "fresh") health.budget.fresh();
    else if (turn === "repeat" && permission === "closed" && !health.budget.tryRepeat()) {
      return Promise.resolve({ kind: "retryable", reason: "no-budget" });
    }
    const startedMs = clock.monotonic();
    const limit = new Canceller();
    const deadline = this.#limits.add(startedMs + ATTEMPT_LIMIT_MS, () => limit.abort());
    observer.attemptStarted(app.name, pushkin.type);
    const ended = ({ outcome, queueMs }: Attempt): Outcome | Promise<Outcome> => {
      deadline.cancel();
      noteOutcome(health, outcome);
      observer.attemptEnded({
        app: app.name,
        pushkin: pushkin.type,
        upstream,
        isUsersChoice: pushkin.hasManyUpstreams === true,
        facts,
        attempt,
        outcome,
        durationMs: clock.monotonic() - startedMs,
        ...(queueMs === undefined ? {} : { queueMs }),
      });
      return this.#judge(app, device, attempt, outcome);
    };
    const threw = (error: unknown): Outcome | Promise<Outcome> => ended(this.#bug(app, error));
    try {
      return pushkin.attempt(message, { push: facts, signal: limit }).then(ended, threw);
    } catch (error) {
      return Promise.resolve(threw(error));
    }
  }

  #bug(app: App, error: unknown): Attempt {
    const fields = { app: app.name, ...errorFields(error) };
    this.#deps.log.error("a pushkin threw: a fault of the gateway's own", fields);
    return { outcome: { kind: "retryable", reason: "internal" } };
  }

  /** What the guard makes of an outcome, and the alarms that it raises. */
  #judge(app: App, device: Digest, attempt: number, outcome: Outcome): Outcome | Promise<Outcome> {
    const { observer } = this.#deps;
    const alarm = alarmOf(outcome);
    if (alarm !== undefined) observer.alarm({ app: app.name, ...alarm });
    if (outcome.kind === "delivered") app.guard.succeeded(device);
    if (outcome.kind !== "rejected") return outcome;
    if (outcome.guarded !== true) {
      if (outcome.answer !== undefined) app.guard.sawCertainRejection(device);
      return outcome;
    }
    return whenKnown(app.guard.judge(device), ({ held }): Outcome => {
      if (held === undefined) return outcome;
      observer.alarm({ app: app.name, ...holdAlarm(held, outcome.answer) });
      return {
        kind: "retryable",
        reason: "held",
        retryAfterMs: heldRetryMs(attempt),
        ...(outcome.answer === undefined ? {} : { answer: outcome.answer }),
      } satisfies Retryable;
    });
  }
}
