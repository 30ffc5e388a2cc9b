import type { Clock } from "../clock.ts";
import type { Attempter, Delivery, Turn } from "./attempter.ts";
import type { Outcome } from "./outcome.ts";
import { retryDelayMs } from "./retry.ts";

/** What the attempts of one push within its answer window need. */
export interface AttemptsOptions {
  readonly attempter: Attempter;
  readonly delivery: Delivery;
  /** No attempt begins after this, on `Clock.monotonic()`. */
  readonly answerByMs: number;
  /** Aborts when the process stops: no attempt begins afterwards. */
  readonly stopping: AbortSignal;
  readonly onAttempt: (attempt: number) => void;
  /** A newer push that says more has been handed over meanwhile (P8). */
  readonly isSuperseded: () => boolean;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Attempts until the outcome is final, or the next one would begin after the answer window (D6, D10). */
export async function runAttempts(options: AttemptsOptions): Promise<Outcome> {
  const { attempter, clock, delivery, stopping } = options;
  let turn: Turn = "fresh";
  for (let attempt = 1; ; attempt += 1) {
    if (stopping.aborted) return { kind: "retryable", reason: "shutting-down" };
    options.onAttempt(attempt);
    const outcome = await attempter.attempt(delivery, attempt, turn);
    if (outcome.kind !== "retryable") return outcome;
    if (outcome.reason === "circuit-open" || outcome.reason === "no-budget") {
      // The upstream was not asked.
      options.onAttempt(attempt - 1);
      return outcome;
    }
    const waitMs = retryDelayMs(attempt, outcome, options.random());
    if (clock.monotonic() + waitMs >= options.answerByMs) return outcome;
    // Nobody knows whether the upstream has it: the first repeat is not the storm that the budget is there against.
    const unknown = outcome.reason === "connection-lost" || outcome.reason === "timeout";
    turn = unknown && attempt === 1 ? "free" : "repeat";
    await clock.sleep(waitMs, stopping);
    if (options.isSuperseded()) return { kind: "dropped", reason: "superseded" };
  }
}
