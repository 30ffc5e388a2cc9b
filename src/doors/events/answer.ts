import { assertNever, type Settled } from "../../core/outcome.ts";
import { errorHeaders, jsonAnswer, retryAfterSeconds, type Answer } from "../../http/answer.ts";
import { HttpError } from "../../http/errors.ts";
import type { EventRequest } from "./parse.ts";

/** With 503 a time is always named (P7); this one when nothing better is known. */
const busyRetryAfterMs = 5000;

/** How many devices the owner has, and what became of their pushes; 503 when some are worth a repeat. */
export function answerEvent({ problems }: EventRequest, settled: readonly Settled[]): Answer {
  if (problems.length > 0) return invalid(400, `${problems.join(", ")}.`);
  const counts = { devices: settled.length, delivered: 0, accepted: 0, rejected: 0, dropped: 0 };
  let failed = 0;
  let retryAfterMs: number | undefined;
  for (const each of settled) {
    switch (each.kind) {
      case "delivered":
      case "accepted":
      case "rejected":
        counts[each.kind] += 1;
        break;
      case "dropped":
        counts[each.reason === "duplicate" ? "delivered" : "dropped"] += 1;
        break;
      case "retryable":
        failed += 1;
        retryAfterMs = Math.max(retryAfterMs ?? 0, each.retryAfterMs ?? 0) || undefined;
        break;
      default:
        assertNever(each);
    }
  }
  if (failed === 0) return jsonAnswer(200, counts);
  const error = new HttpError("try-again").message;
  return jsonAnswer(
    503,
    { status: "try-again", error, ...counts, failed },
    { "Retry-After": retryAfterSeconds(retryAfterMs ?? busyRetryAfterMs) },
  );
}

/** A refusal in the form of the registry's doors. */
export function refuseEvent(error: HttpError): Answer {
  const { code, message, status } = error;
  const word = status === 400 || status === 413 || status === 422 ? "invalid-request" : code;
  return jsonAnswer(status, { status: word, error: message }, errorHeaders(error));
}

function invalid(status: number, error: string): Answer {
  return jsonAnswer(status, { status: "invalid-request", error });
}
