/** Why a pushkey is dead. Every reason stands in an upstream's outcome table or is a local certainty. */
export type RejectReason =
  /** The upstream said that the token is gone (APNs 410, FCM UNREGISTERED). */
  | "unregistered"
  /** The upstream does not know the token, or it belongs to the other environment. Held by the guard. */
  | "bad-token"
  /** The token belongs to another app or project. Held by the guard. */
  | "token-of-another-app"
  /** The pushkey, or what the pusher says beside it, can never be valid for this upstream; it was not asked. */
  | "invalid-pushkey"
  /** No app is configured for this app_id, and none was lately. */
  | "unknown-app"
  /** Remembered from an earlier verdict; the upstream was not asked. */
  | "known-dead";

/** Why another attempt may help. */
export type RetryReason =
  /** No connection: name, address, TLS, proxy. Nothing was sent. */
  | "connect"
  /** The connection was lost after the request was written: the upstream may have taken it. */
  | "connection-lost"
  /** No answer in time: the upstream may have taken it. */
  | "timeout"
  | "upstream-unavailable"
  | "rate-limited"
  /** Our provider token, certificate, access token, topic or project is refused: the operator must act. */
  | "credentials"
  /** A rejection that the guard does not believe (D8). */
  | "held"
  /** More pushes of this app under way than it may have. */
  | "overloaded"
  /** The answer window closed before an outcome was known. */
  | "answer-window"
  /** The upstream does not answer at present: it was not asked. */
  | "circuit-open"
  /** Repeats towards this upstream are used up for the moment: it was not asked. */
  | "no-budget"
  /** What is open cannot be promised: the store does not take it. */
  | "store"
  /** … or as much waits already as may wait. */
  | "outbox-full"
  | "shutting-down"
  /** A bug of ours, caught and logged. */
  | "internal";

/** Why this push will never arrive although the pushkey is not to blame. */
export type DropReason =
  /** Nothing in it to show or count. */
  | "nothing-to-send"
  /** The operator's or the app's settings keep this kind of push away. */
  | "not-wanted"
  | "expired"
  /** The upstream refuses the content or a header of ours: a bug or an option, no repeat cures it. */
  | "refused-by-upstream"
  | "too-large"
  /** Dead since a time before this pushkey was registered again: alive, so not rejected (P4). */
  | "registered-since"
  /** A repeat of a push that has been delivered. */
  | "duplicate"
  /** A newer push says what this one would have said (P8). */
  | "superseded"
  /** The process ended three times with this push in hand: it is kept away from it (poison). */
  | "quarantined"
  /** A user-chosen endpoint that the operator does not allow. */
  | "endpoint-not-allowed";

/** What the upstream answered, as far as it may be logged: a status and a reason from that upstream's closed list. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly reason?: string;
}

/** What one attempt to hand a push to its upstream came to. */
export type Outcome =
  /** The upstream took it. Whether the phone shows it, nobody tells us. */
  | { readonly kind: "delivered"; readonly upstreamId?: string; readonly answer?: UpstreamAnswer }
  /** The pushkey is dead and the sender must forget it, unless registered again after `sinceMs`. */
  | {
      readonly kind: "rejected";
      readonly reason: RejectReason;
      /** Since when it is dead, milliseconds since 1970, when the upstream told. */
      readonly sinceMs?: number;
      /** The verdict may be our own misconfiguration: the guard decides whether it counts (D8). */
      readonly guarded?: true;
      readonly answer?: UpstreamAnswer;
    }
  /** Not the push's fault; worth another attempt before the deadline. */
  | {
      readonly kind: "retryable";
      readonly reason: RetryReason;
      /** Do not try again sooner than this many milliseconds from now. */
      readonly retryAfterMs?: number;
      /** Somebody must act: counted and logged as an alarm. */
      readonly alarm?: true;
      readonly answer?: UpstreamAnswer;
      /** What kept the answer away, from the closed words of `upstream/`: fit for a log. */
      readonly detail?: string;
    }
  /** This push will never arrive, and the pushkey is not to blame. */
  | {
      readonly kind: "dropped";
      readonly reason: DropReason;
      readonly alarm?: true;
      readonly answer?: UpstreamAnswer;
    };

export type Delivered = Extract<Outcome, { kind: "delivered" }>;
export type Rejected = Extract<Outcome, { kind: "rejected" }>;
export type Retryable = Extract<Outcome, { kind: "retryable" }>;
export type Dropped = Extract<Outcome, { kind: "dropped" }>;

/** What a front door sees: an outcome, or `accepted`: durably ours, the outbox goes on trying. */
export type Settled =
  | Outcome
  | {
      readonly kind: "accepted";
      /** What kept it from being settled at once; absent when an equal push had been promised before. */
      readonly because?: Retryable;
    };

/** Nothing will change any more: neither a repeat nor waiting. */
export function isFinal(outcome: Outcome): boolean {
  return outcome.kind !== "retryable";
}

/** Closes a `switch` over a union: a new member fails to compile, a wrong value at run time throws. */
export function assertNever(value: never): never {
  throw new Error(`unexpected variant: ${JSON.stringify(value)}`);
}
