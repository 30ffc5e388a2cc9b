import { assertNever, type RetryReason, type Settled } from "../../core/outcome.ts";
import { errorAnswer, jsonAnswer, type Answer } from "../../http/answer.ts";
import { HttpError } from "../../http/errors.ts";
import type { DeviceSlot, NotifyRequest } from "./parse.ts";

/** With 503 a time is always named (P7); this one when nothing better is known. */
const busyRetryAfterMs = 5000;

/** Reasons that concern the gateway rather than an upstream: 503 when there is no other (matrix-push 4.4). */
const ownReasons: ReadonlySet<RetryReason> = new Set<RetryReason>([
  "overloaded",
  "shutting-down",
  "store",
  "outbox-full",
]);

/** The usual answer. */
const noneRejected = jsonAnswer(200, { rejected: [] });

/**
 * One status for all devices (matrix-push 4.6): 200 with the dead pushkeys once nothing is left to try again, else
 * 502, or 503 when every reason is that we are busy or stopping.
 */
export function answerNotify(request: NotifyRequest, settled: readonly Settled[]): Answer {
  // A push without an outcome would be a bug of ours; 200 would lose it.
  let retry = settled.length < request.pushes.length;
  let busyOnly = !retry;
  let retryAfterMs: number | undefined;
  for (const one of settled) {
    if (one.kind !== "retryable") continue;
    retry = true;
    if (!ownReasons.has(one.reason)) busyOnly = false;
    if (one.retryAfterMs !== undefined) retryAfterMs = Math.max(retryAfterMs ?? 0, one.retryAfterMs);
  }
  if (retry && busyOnly) {
    return errorAnswer(new HttpError("unavailable", { retryAfterMs: retryAfterMs ?? busyRetryAfterMs }));
  }
  if (retry)
    return errorAnswer(new HttpError("try-again", retryAfterMs === undefined ? {} : { retryAfterMs }));

  const isDead = (device: DeviceSlot): boolean =>
    device.push === undefined || isRejected(settled[device.push]);
  if (!request.devices.some(isDead)) return noneRejected;
  const rejected = new Set<string>();
  const alive = new Set<string>();
  for (const device of request.devices) {
    (isDead(device) ? rejected : alive).add(device.pushkey);
  }
  // The answer names pushkeys, not apps: one that is alive in any of its devices must not be forgotten.
  for (const pushkey of alive) rejected.delete(pushkey);
  return jsonAnswer(200, { rejected: [...rejected] });
}

function isRejected(settled: Settled | undefined): boolean {
  if (settled === undefined) return false;
  switch (settled.kind) {
    case "rejected":
      return true;
    case "delivered":
    case "accepted":
    case "dropped":
    case "retryable":
      return false;
    default:
      return assertNever(settled);
  }
}
