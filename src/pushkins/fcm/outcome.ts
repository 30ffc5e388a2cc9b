import type { Outcome, RejectReason, UpstreamAnswer } from "../../core/outcome.ts";
import { parseFcmError, parseObject, type FcmError } from "./error.ts";

/** What the driver does beside reporting the outcome (fcm.md 4). */
export type Reaction =
  | "done"
  /** A new access token and the same push at once; a second such answer is the outcome. */
  | "renew-and-repeat";

/** What an answer of FCM means for the push. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reaction: Reaction;
}

/** An answer of FCM as far as it is looked at. */
export interface FcmAnswer {
  readonly status: number;
  readonly body: string;
  /** From a Retry-After header, clamped; absent when there was none. */
  readonly retryAfterMs?: number;
}

/** Google asks for ten seconds before the first repeat after a 5xx or 429, whatever Retry-After says (fcm.md 4). */
const MIN_WAIT_MS = 10_000;
/** … and for a minute after a 429 that names no time. */
const QUOTA_WAIT_MS = 60_000;
const CREDENTIALS_WAIT_MS = 30_000;

/** What an answer of FCM comes to (fcm.md 4). Only UNREGISTERED and what names the token ever rejects. */
export function fcmVerdict(answer: FcmAnswer): Verdict {
  const { status } = answer;
  if (status >= 200 && status < 300) {
    const name = parseObject(answer.body)?.["name"];
    return done({
      kind: "delivered",
      ...(typeof name === "string" ? { upstreamId: name } : {}),
      answer: { status },
    });
  }
  const error = parseFcmError(answer.body);
  const reason = error.errorCode ?? error.status;
  const said: UpstreamAnswer = reason === undefined ? { status } : { status, reason };
  if (status === 404 && error.errorCode === "UNREGISTERED") return reject("unregistered", said, false);
  if (status === 400 && reason === "INVALID_ARGUMENT") return invalidArgument(error, said);
  if (status === 401 && error.errorCode === undefined) return credentials(said, "renew-and-repeat");
  if (status === 403 && error.errorCode === "SENDER_ID_MISMATCH")
    return reject("token-of-another-app", said, true);
  if (status === 401 || status === 403) return knownOrUnknown(error.errorCode, said);
  // A 404 that does not say UNREGISTERED is a wrong project or URL (G-04).
  if (status === 404 && error.errorCode === undefined) return credentials(said, "done");
  if (status === 429) return later("rate-limited", answer.retryAfterMs ?? QUOTA_WAIT_MS, said);
  if (status >= 400 && status < 500) return dropped(said);
  return later("upstream-unavailable", answer.retryAfterMs ?? 0, said);
}

/** fcm.md 5: is it the token or the payload? First match wins. */
function invalidArgument(error: FcmError, said: UpstreamAnswer): Verdict {
  if (error.violations.some((field) => field === "message.token" || field === "message.fid")) {
    return reject("bad-token", said, true);
  }
  if (error.message.includes("not a valid FCM registration token")) return reject("bad-token", said, true);
  return dropped(said);
}

/** 401 THIRD_PARTY_AUTH_ERROR and a 403 without an FcmError are about our credentials; any other code is unknown. */
function knownOrUnknown(errorCode: string | undefined, said: UpstreamAnswer): Verdict {
  if (errorCode === "THIRD_PARTY_AUTH_ERROR" || errorCode === undefined) return credentials(said, "done");
  return dropped(said);
}

function done(outcome: Outcome): Verdict {
  return { outcome, reaction: "done" };
}

function reject(reason: RejectReason, said: UpstreamAnswer, guarded: boolean): Verdict {
  return done({ kind: "rejected", reason, ...(guarded ? { guarded: true as const } : {}), answer: said });
}

function dropped(said: UpstreamAnswer): Verdict {
  return done({ kind: "dropped", reason: "refused-by-upstream", alarm: true, answer: said });
}

function credentials(said: UpstreamAnswer, reaction: Reaction): Verdict {
  return {
    outcome: {
      kind: "retryable",
      reason: "credentials",
      retryAfterMs: CREDENTIALS_WAIT_MS,
      alarm: true,
      answer: said,
    },
    reaction,
  };
}

function later(
  reason: "rate-limited" | "upstream-unavailable",
  retryAfterMs: number,
  said: UpstreamAnswer,
): Verdict {
  const waitMs = Math.max(MIN_WAIT_MS, retryAfterMs);
  return done({ kind: "retryable", reason, retryAfterMs: waitMs, answer: said });
}
