import type { Outcome, UpstreamAnswer } from "../../core/outcome.ts";

/** What the driver does beside reporting the outcome (apns.md 5). */
export type Reaction =
  | "done"
  /** The connection takes no more pushes. */
  | "retire"
  /** A new connection and the same push at once; a second such answer is the outcome. */
  | "retire-and-repeat"
  /** A new provider token on a new connection and the same push at once; a second such answer is the outcome. */
  | "renew-and-repeat"
  /** As `retire-and-repeat`, but only when the key has worked before: else it is simply wrong. */
  | "repeat-if-proven"
  /** The payload without anything that can be left out, once. */
  | "shrink-and-repeat";

/** What an answer of APNs means for the push. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reaction: Reaction;
}

/** An answer of APNs as far as it is looked at. */
export interface ApnsAnswer {
  readonly status: number;
  /** From the JSON body; absent when there was none (proxies answer HTML). */
  readonly reason?: string;
  /** With 410: when the token was found dead, milliseconds since 1970. */
  readonly timestampMs?: number;
  readonly apnsId?: string;
  /** From a Retry-After header, if there was one. */
  readonly retryAfterMs?: number;
}

/** apns.md 5: no Retry-After is documented; a device that is sent too much is given this long. */
const DEVICE_RATE_WAIT_MS = 10_000;
/** Held back by us rather than refused: a credential problem is not looked at again within an answer window. */
const CREDENTIALS_WAIT_MS = 30_000;

type Row = (answer: ApnsAnswer, said: UpstreamAnswer, pushkeyTsMs: number | undefined) => Verdict;

const credentials =
  (reaction: Reaction = "done"): Row =>
  (_answer, said) => ({
    outcome: {
      kind: "retryable",
      reason: "credentials",
      retryAfterMs: CREDENTIALS_WAIT_MS,
      alarm: true,
      answer: said,
    },
    reaction,
  });

const ourBug: Row = (_answer, said) => ({
  outcome: { kind: "dropped", reason: "refused-by-upstream", alarm: true, answer: said },
  reaction: "done",
});

const unavailable =
  (reaction: Reaction): Row =>
  (answer, said) => ({
    outcome: {
      kind: "retryable",
      reason: "upstream-unavailable",
      ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
      answer: said,
    },
    reaction,
  });

const badToken: Row = (_answer, said) => ({
  outcome: { kind: "rejected", reason: "bad-token", guarded: true, answer: said },
  reaction: "done",
});

const deviceRate: Row = (answer, said) => ({
  outcome: {
    kind: "retryable",
    reason: "rate-limited",
    retryAfterMs: answer.retryAfterMs ?? DEVICE_RATE_WAIT_MS,
    answer: said,
  },
  reaction: "done",
});

/** apns.md 7: dead since `timestamp`, unless the app has registered the very token again after that. */
const gone: Row = (answer, said, pushkeyTsMs) => {
  const { timestampMs } = answer;
  if (timestampMs !== undefined && pushkeyTsMs !== undefined && pushkeyTsMs > timestampMs) {
    return { outcome: { kind: "dropped", reason: "registered-since", answer: said }, reaction: "done" };
  }
  return {
    outcome: {
      kind: "rejected",
      reason: "unregistered",
      ...(timestampMs === undefined ? {} : { sinceMs: timestampMs }),
      answer: said,
    },
    reaction: "done",
  };
};

/** Every answer that Apple documents, by status and reason: https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns */
const table: ReadonlyMap<string, Row> = new Map<string, Row>([
  ["400 BadDeviceToken", badToken],
  ["400 MissingDeviceToken", badToken],
  [
    "400 DeviceTokenNotForTopic",
    (_answer, said) => ({
      outcome: { kind: "rejected", reason: "token-of-another-app", guarded: true, answer: said },
      reaction: "done",
    }),
  ],
  ["400 TopicDisallowed", credentials()],
  ["400 BadTopic", credentials()],
  ["400 MissingTopic", credentials()],
  ["400 InvalidPushType", ourBug],
  ["400 BadPriority", ourBug],
  ["400 BadExpirationDate", ourBug],
  ["400 BadCollapseId", ourBug],
  ["400 BadMessageId", ourBug],
  ["400 DuplicateHeaders", ourBug],
  [
    "400 PayloadEmpty",
    (_answer, said) => ({
      outcome: { kind: "dropped", reason: "refused-by-upstream", answer: said },
      reaction: "done",
    }),
  ],
  ["400 IdleTimeout", unavailable("retire-and-repeat")],
  ["403 BadCertificate", credentials()],
  ["403 BadCertificateEnvironment", credentials()],
  ["403 ExpiredProviderToken", credentials("renew-and-repeat")],
  ["403 InvalidProviderToken", credentials("repeat-if-proven")],
  ["403 MissingProviderToken", credentials()],
  ["403 UnrelatedKeyIdInToken", credentials("retire-and-repeat")],
  ["403 BadEnvironmentKeyIdInToken", credentials()],
  ["403 Forbidden", credentials()],
  ["404 BadPath", ourBug],
  ["405 MethodNotAllowed", ourBug],
  ["410 Unregistered", gone],
  ["410 ExpiredToken", gone],
  [
    "413 PayloadTooLarge",
    (_answer, said) => ({
      outcome: { kind: "dropped", reason: "too-large", alarm: true, answer: said },
      reaction: "shrink-and-repeat",
    }),
  ],
  ["429 TooManyRequests", deviceRate],
  ["429 TooManyProviderTokenUpdates", credentials("retire-and-repeat")],
  // Such a connection may never recover (apns.md 5).
  ["500 InternalServerError", unavailable("retire")],
  ["503 ServiceUnavailable", unavailable("done")],
  ["503 Shutdown", unavailable("retire-and-repeat")],
]);

/**
 * What an answer of APNs comes to (apns.md 5). Unknown reasons never reject: a 4xx is dropped with an alarm, a 429
 * and anything else waits.
 *
 * @param pushkeyTsMs when the device was last registered; undefined = unknown
 */
export function apnsVerdict(answer: ApnsAnswer, pushkeyTsMs: number | undefined): Verdict {
  if (answer.status === 200) {
    const { apnsId } = answer;
    return {
      outcome: {
        kind: "delivered",
        ...(apnsId === undefined ? {} : { upstreamId: apnsId }),
        answer: { status: 200 },
      },
      reaction: "done",
    };
  }
  const row = answer.reason === undefined ? undefined : table.get(`${answer.status} ${answer.reason}`);
  const said: UpstreamAnswer =
    answer.reason === undefined
      ? { status: answer.status }
      : { status: answer.status, reason: answer.reason };
  if (row !== undefined) return row(answer, said, pushkeyTsMs);
  if (answer.status === 429) return deviceRate(answer, said, pushkeyTsMs);
  if (answer.status >= 400 && answer.status < 500) return ourBug(answer, said, pushkeyTsMs);
  return unavailable(answer.status === 500 ? "retire" : "done")(answer, said, pushkeyTsMs);
}
