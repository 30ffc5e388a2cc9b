import type { Digest } from "../store/store.ts";
import type { Delivery } from "./attempter.ts";
import { settledOf, type OutboxIntake } from "./outbox-intake.ts";
import type { Retryable, Settled } from "./outcome.ts";
import type { Throttled } from "./push-limits.ts";

// What becomes of a push that may not be sent yet.

/**
 * Too soon after others: promised for its turn. Of a device's only the newest waits, so that ten thousand become one
 * (reliability H23).
 *
 * @param intake absent where nothing can be promised
 */
export function promiseForItsTurn(
  intake: OutboxIntake | undefined,
  delivery: Delivery,
  key: Digest | undefined,
  { by, waitMs }: Throttled,
): Settled | Promise<Settled> {
  const throttled: Retryable = { kind: "retryable", reason: "overloaded", retryAfterMs: waitMs };
  if (intake === undefined) return throttled;
  const slot = by === "device" ? { slot: "throttled" } : {};
  return intake
    .commit(delivery, { key, attempts: 0, dueInMs: waitMs, running: false, ...slot })
    .then((commitment) => settledOf(commitment, throttled));
}

/**
 * No place among the app's pushes under way: promised at once, and sent when there is room; else refused.
 *
 * @param intake absent where nothing can be promised
 */
export function promiseUnsent(
  intake: OutboxIntake | undefined,
  delivery: Delivery,
  key: Digest | undefined,
): Settled | Promise<Settled> {
  const refused: Retryable = { kind: "retryable", reason: "overloaded", retryAfterMs: 1_000 };
  if (intake === undefined || delivery.app.inFlight.limit === 0) return refused;
  const commitment = intake.commit(delivery, { key, attempts: 0, dueInMs: 0, running: false });
  return commitment.then((result) => settledOf(result, refused));
}
