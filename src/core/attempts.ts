import type { Clock } from "../clock.ts";
import { errorFields, type Log } from "../log.ts";
import type { Observer } from "./observer.ts";
import type { Outcome } from "./outcome.ts";
import type { Attempt, Message, Pushkin } from "./pushkin.ts";
import type { Push } from "./push.ts";
import { retryDelayMs } from "./retry.ts";

/** The whole of one attempt, reliability.md 1.3; a pushkin's own limits are shorter. */
const ATTEMPT_LIMIT_MS = 10_000;

/** What the attempts of one push need. */
export interface AttemptsOptions {
  readonly pushkin: Pushkin;
  readonly message: Message;
  readonly push: Push;
  /** No attempt begins after this, on `Clock.monotonic()`. */
  readonly answerByMs: number;
  /** Aborts when the process stops: no attempt begins afterwards. */
  readonly stopping: AbortSignal;
  /** What is made of an attempt's outcome (the guard's word on rejections). */
  readonly judge: (outcome: Outcome) => Outcome;
  readonly onAttempt: (attempt: number) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: Observer;
  readonly random: () => number;
}

/** How the attempts ended: with a final outcome, or with what kept the last one from succeeding. */
export interface AttemptsEnd {
  readonly outcome: Outcome;
  readonly attempts: number;
}

/** Attempts until the outcome is final or the next one would begin after the answer window (D6, D10). */
export async function runAttempts(options: AttemptsOptions): Promise<AttemptsEnd> {
  const { clock, push, stopping } = options;
  for (let attempt = 1; ; attempt += 1) {
    if (clock.now() >= push.expiresAtMs)
      return { outcome: { kind: "dropped", reason: "expired" }, attempts: attempt - 1 };
    if (stopping.aborted)
      return { outcome: { kind: "retryable", reason: "shutting-down" }, attempts: attempt - 1 };
    options.onAttempt(attempt);
    const outcome = options.judge(await oneAttempt(attempt, options));
    if (outcome.kind !== "retryable") return { outcome, attempts: attempt };
    const waitMs = retryDelayMs(attempt, outcome, options.random());
    if (clock.monotonic() + waitMs >= options.answerByMs) return { outcome, attempts: attempt };
    await clock.sleep(waitMs, stopping);
  }
}

async function oneAttempt(attempt: number, options: AttemptsOptions): Promise<Outcome> {
  const { clock, observer, push, pushkin } = options;
  const startedMs = clock.monotonic();
  const limit = new AbortController();
  const cancel = clock.schedule(ATTEMPT_LIMIT_MS, () => limit.abort());
  observer.attemptStarted(pushkin.name, pushkin.type);
  let result: Attempt;
  try {
    result = await pushkin.attempt(options.message, { push, signal: limit.signal });
  } catch (error) {
    options.log.error("a pushkin threw: a fault of the gateway's own", {
      app: pushkin.name,
      ...errorFields(error),
    });
    result = { outcome: { kind: "retryable", reason: "internal" } };
  } finally {
    cancel();
  }
  observer.attemptEnded({
    app: pushkin.name,
    pushkin: pushkin.type,
    push,
    attempt,
    outcome: result.outcome,
    durationMs: clock.monotonic() - startedMs,
    ...(result.queueMs === undefined ? {} : { queueMs: result.queueMs }),
  });
  return result.outcome;
}
