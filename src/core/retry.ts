import type { Retryable } from "./outcome.ts";

/** How waits between attempts grow (D10). */
export interface RetryPolicy {
  readonly baseMs: number;
  readonly factor: number;
  readonly capMs: number;
}

/** reliability.md 1.3. */
export const defaultRetryPolicy: RetryPolicy = { baseMs: 1_000, factor: 2, capMs: 300_000 };

/**
 * How long to wait before the next attempt, in milliseconds: full jitter, and what the upstream asked for is a floor
 * to which the jitter is added, never taken from it (UF06).
 *
 * @param attempt how many attempts there were, from 1
 * @param random in [0, 1)
 */
export function retryDelayMs(
  attempt: number,
  outcome: Retryable,
  random: number,
  policy: RetryPolicy = defaultRetryPolicy,
): number {
  const ceilingMs = Math.min(policy.capMs, policy.baseMs * policy.factor ** (attempt - 1));
  const jitterMs = random * ceilingMs;
  return outcome.retryAfterMs === undefined ? jitterMs : outcome.retryAfterMs + jitterMs;
}
