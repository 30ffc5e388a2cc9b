import type { Clock } from "../clock.ts";
import type { Attempter, Delivery, Turn } from "./attempter.ts";
import type { Outcome, Retryable } from "./outcome.ts";
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
export function runAttempts(options: AttemptsOptions): Promise<Outcome> {
  return attemptFrom(options, 1, "fresh");
}

/** The usual push takes one step of this: what it costs is paid by every push. */
function attemptFrom(options: AttemptsOptions, attempt: number, turn: Turn): Promise<Outcome> {
  if (options.stopping.aborted) return Promise.resolve({ kind: "retryable", reason: "shutting-down" });
  options.onAttempt(attempt);
  return options.attempter
    .attempt(options.delivery, attempt, turn)
    .then((outcome) => (outcome.kind === "retryable" ? tryAgain(options, attempt, outcome) : outcome));
}

async function tryAgain(options: AttemptsOptions, attempt: number, outcome: Retryable): Promise<Outcome> {
  const { clock, stopping } = options;
  if (outcome.reason === "circuit-open" || outcome.reason === "no-budget") {
    // The upstream was not asked.
    options.onAttempt(attempt - 1);
    return outcome;
  }
  const waitMs = retryDelayMs(attempt, outcome, options.random());
  if (clock.monotonic() + waitMs >= options.answerByMs) return outcome;
  // Nobody knows whether the upstream has it: the first repeat is not the storm that the budget is there against.
  const unknown = outcome.reason === "connection-lost" || outcome.reason === "timeout";
  await clock.sleep(waitMs, stopping);
  if (options.isSuperseded()) return { kind: "dropped", reason: "superseded" };
  return attemptFrom(options, attempt + 1, unknown && attempt === 1 ? "free" : "repeat");
}
