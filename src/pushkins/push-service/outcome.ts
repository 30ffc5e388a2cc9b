import type { Outcome, Retryable, UpstreamAnswer } from "../../core/outcome.ts";
import { isJsonObject } from "../../json.ts";
import type { NetFailure } from "../../upstream/net-error.ts";

/** What the driver does beside reporting the outcome (webpush.md 4). */
export type Reaction =
  | "done"
  /** A new VAPID header and the same push at once; a second such answer is the outcome. */
  | "renew-and-repeat"
  /** The same push without its Topic, once. */
  | "repeat-without-topic"
  /** The smallest form of the payload, once. */
  | "shrink-and-repeat";

/** What an answer of a push service means for the push. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reaction: Reaction;
}

/** An answer of a push service as far as it is looked at. */
export interface ServiceAnswer {
  /** Of the endpoint. */
  readonly host: string;
  /** The service has taken a push with our credentials before. */
  readonly isProven: boolean;
  readonly status: number;
  readonly body: string;
  /** From a Retry-After header, clamped; absent when there was none. */
  readonly retryAfterMs?: number;
}

const CREDENTIALS_WAIT_MS = 30_000;
/** A 429 without Retry-After. */
const RATE_WAIT_MS = 10_000;
/** ntfy has nobody who listens on this topic: a phone comes back in minutes or hours, not in seconds. */
const NOBODY_LISTENS_WAIT_MS = 15 * 60_000;
/**
 * An endpoint of a stranger's that cannot be reached is not tried again while its sender waits: it would hold a
 * place for seconds, and its answer would come at another time than that of an endpoint which is not allowed.
 */
const UNREACHABLE_WAIT_MS = 10_000;

/** The vendors' words that are kept; anything else an answer says does not get into a log. */
const REASONS = new Set([
  ...["BadTtl", "BadUrgency", "BadWebPushTopic", "BadWebPushRequest", "BadJwtToken", "BadVapidPublicKey"],
  ...[
    "VapidPkHashMismatch",
    "Unregistered",
    "UnauthorizedRegistration",
    "TooManyRequests",
    "PayloadTooLarge",
  ],
]);

/**
 * What an answer of a push service comes to (webpush.md 4). 404 and 410 alone reject; what is unknown is dropped below
 * 500 and tried again from there on.
 */
export function serviceVerdict(answer: ServiceAnswer): Verdict {
  const { status } = answer;
  const reason = reasonOf(answer.body);
  const said: UpstreamAnswer = reason === undefined ? { status } : { status, reason };
  if (status >= 200 && status < 300) return done({ kind: "delivered", answer: said });
  // Never followed: it could lead anywhere.
  if (status < 400) return done({ kind: "dropped", reason: "refused-by-upstream", answer: said });
  switch (status) {
    case 400:
      if (isOtherKey(answer.body)) return credentials(said, "done", true);
      if (reason === "BadWebPushTopic") return { ...refused(said), reaction: "repeat-without-topic" };
      return refused(said);
    case 401:
      return credentials(said, "renew-and-repeat", answer.isProven);
    case 403:
      return credentials(said, "done", answer.isProven || isOtherKey(answer.body));
    case 404:
    case 410:
      return done({ kind: "rejected", reason: "unregistered", answer: said });
    case 406:
      // Windows' service means that it is throttled.
      return answer.host.endsWith(".notify.windows.com")
        ? later("rate-limited", answer, said)
        : refused(said);
    case 413:
      return {
        outcome: { kind: "dropped", reason: "too-large", answer: said },
        reaction: "shrink-and-repeat",
      };
    case 429:
      return later("rate-limited", answer, said);
    case 507:
      // This one topic's matter: it says nothing against the server.
      return done({
        kind: "retryable",
        reason: "rate-limited",
        retryAfterMs: answer.retryAfterMs ?? NOBODY_LISTENS_WAIT_MS,
        answer: said,
      });
    default:
      return status < 500 ? refused(said) : later("upstream-unavailable", answer, said);
  }
}

/** An endpoint that did not answer: never the pushkey's fault, always to be tried again. */
export function outcomeWithoutAnswer(failure: NetFailure, written: boolean): Retryable {
  const detail = failure.detail === undefined ? failure.class : `${failure.class} ${failure.detail}`;
  // A connection that did not stand in time: nothing was sent.
  if (failure.class === "timeout" && (written || failure.detail !== undefined)) {
    return { kind: "retryable", reason: "timeout", retryAfterMs: UNREACHABLE_WAIT_MS, detail };
  }
  if (written) return { kind: "retryable", reason: "connection-lost", detail };
  return {
    kind: "retryable",
    reason: "connect",
    retryAfterMs: UNREACHABLE_WAIT_MS,
    // The operator's own: the others are for the endpoint's owner to mend.
    ...(failure.class === "local" || failure.class === "proxy" ? { alarm: true as const } : {}),
    detail,
  };
}

function done(outcome: Outcome): Verdict {
  return { outcome, reaction: "done" };
}

function refused(said: UpstreamAnswer): Verdict {
  return done({ kind: "dropped", reason: "refused-by-upstream", alarm: true, answer: said });
}

/**
 * Refused credentials close the service to the whole app, so they must be ours: what a single subscription made with
 * another key is answered is merely held, or anybody could stop everybody's messages with one.
 */
function credentials(said: UpstreamAnswer, reaction: Reaction, isOneSubscriptions: boolean): Verdict {
  return {
    outcome: {
      kind: "retryable",
      reason: isOneSubscriptions ? "held" : "credentials",
      retryAfterMs: CREDENTIALS_WAIT_MS,
      alarm: true,
      answer: said,
    },
    reaction,
  };
}

function later(
  reason: "rate-limited" | "upstream-unavailable",
  { retryAfterMs }: ServiceAnswer,
  answer: UpstreamAnswer,
): Verdict {
  const waitMs = retryAfterMs ?? (reason === "rate-limited" ? RATE_WAIT_MS : undefined);
  return done({
    kind: "retryable",
    reason,
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    answer,
  });
}

/** The subscription was made with another application server key, as Apple and Google say it. */
function isOtherKey(body: string): boolean {
  return body.includes("VapidPkHashMismatch") || body.includes("do not correspond to the credentials");
}

/** Apple's `reason`, Mozilla's `errno`, or Google's line of text: only words that are known. */
function reasonOf(body: string): string | undefined {
  const text = body.trim();
  if (REASONS.has(text)) return text;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(parsed)) return undefined;
  const { reason, errno } = parsed;
  if (typeof reason === "string" && REASONS.has(reason)) return reason;
  return typeof errno === "number" && Number.isInteger(errno) && errno >= 100 && errno <= 299
    ? `errno ${errno}`
    : undefined;
}
