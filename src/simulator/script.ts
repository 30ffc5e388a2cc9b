import type { Static } from "@sinclair/typebox";
import { Type } from "../json-schema.ts";

const Milliseconds = Type.Number({ minimum: 0, maximum: 3_600_000 });
/** What HTTP can carry; anything else would throw in the middle of an answer. */
const HeaderValue = Type.String({ maxLength: 8000, pattern: "^[\\t\\x20-\\x7e\\x80-\\xff]*$" });
/** Lower case, and none of those that HTTP/2 forbids. */
const HeaderName = Type.String({
  pattern:
    "^(?!(?:connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings|te)$)[!#$%&'*+.^_`|~0-9a-z-]+$",
});
const Count = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });

/** How long an answer waits: fixed, evenly spread, or log-normal by its median and 99th percentile. */
export const DelaySchema = Type.Union([
  Milliseconds,
  Type.Object({ minMs: Milliseconds, maxMs: Milliseconds }, { additionalProperties: false }),
  Type.Object({ medianMs: Milliseconds, p99Ms: Milliseconds }, { additionalProperties: false }),
]);
export type Delay = Static<typeof DelaySchema>;

/** A GOAWAY frame. `code` defaults to NO_ERROR, `lastStreamId` to the last stream seen (0 means the same). */
export const GoawaySchema = Type.Object(
  {
    code: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffffffff })),
    lastStreamId: Type.Optional(Type.Integer({ minimum: 0, maximum: 0x7fffffff })),
    debugData: Type.Optional(Type.String({ maxLength: 16_384 })),
  },
  { additionalProperties: false },
);
export type Goaway = Static<typeof GoawaySchema>;

/** What a matched request gets instead of the usual answer. */
export const AnswerSchema = Type.Union([
  Type.Object(
    {
      /**
       * The upstream's own error body. `reason` is APNs' reason, a name of the FCM table (fcm-errors.ts) or of the push
       * services' (webpush-errors.ts), or an OAuth error; `status` defaults to the one that belongs to it, else 400.
       */
      kind: Type.Literal("error"),
      reason: Type.String({ maxLength: 200 }),
      status: Type.Optional(Type.Integer({ minimum: 400, maximum: 599 })),
      /** APNs: goes into the body as it is (milliseconds); a 410 without one gets the time of the answer. */
      timestamp: Type.Optional(Type.Number()),
      /** Replaces the message that goes with the reason (FCM, OAuth). */
      message: Type.Optional(Type.String({ maxLength: 2000 })),
      /** Passed on as it is: seconds, an HTTP date, or rubbish. */
      retryAfter: Type.Optional(HeaderValue),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      /** Any status, headers and body, as a proxy in between might send. */
      kind: Type.Literal("raw"),
      status: Type.Integer({ minimum: 200, maximum: 599 }),
      headers: Type.Optional(
        Type.Record(HeaderName, HeaderValue, { maxProperties: 50, additionalProperties: false }),
      ),
      /** Defaults to a small HTML page. */
      body: Type.Optional(Type.String()),
      /** Instead of `body`: so many bytes of filler. */
      bodyBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: 64 * 1024 * 1024 })),
    },
    { additionalProperties: false },
  ),
  Type.Object({ kind: Type.Literal("hang") }, { additionalProperties: false }),
  Type.Object(
    { kind: Type.Literal("reset"), code: Type.Integer({ minimum: 0, maximum: 0xffffffff }) },
    { additionalProperties: false },
  ),
  /** Cuts the TCP connection. */
  Type.Object({ kind: Type.Literal("close") }, { additionalProperties: false }),
]);
export type Answer = Static<typeof AnswerSchema>;

/** The fake upstreams a rule can name. */
export const UpstreamSchema = Type.Union([
  Type.Literal("apns"),
  Type.Literal("fcm"),
  Type.Literal("oauth"),
  Type.Literal("webpush"),
  Type.Literal("unifiedpush"),
]);
export type SimulatedUpstream = Static<typeof UpstreamSchema>;

/**
 * One line of the script. All given conditions must hold; of the rules that match, the first one added answers. A rule
 * is asked only about requests that pass the upstream's own checks, so a bad request is never hidden by a script.
 */
export const RuleSchema = Type.Object(
  {
    upstream: Type.Optional(UpstreamSchema),
    /** The whole device token (lower-case hex), registration token, or last part of a push endpoint's path. */
    token: Type.Optional(Type.String({ maxLength: 4096 })),
    tokenPrefix: Type.Optional(Type.String({ maxLength: 4096 })),
    /** APNs: the `apns-topic`. FCM: the message's `topic`. */
    topic: Type.Optional(Type.String({ maxLength: 1000 })),
    /** Lets so many matching requests pass first. */
    skip: Type.Optional(Count),
    /** Of those left, only every n-th. */
    every: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    /** Of those left, this share, 0 to 1, by chance. */
    ratio: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    /** The rule is used up after so many answers. */
    times: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    /** Before the answer, in place of the simulator's latency. */
    delay: Type.Optional(DelaySchema),
    /** Sent on the request's connection as soon as it arrives. */
    goaway: Type.Optional(GoawaySchema),
    /** SETTINGS_MAX_CONCURRENT_STREAMS, sent on the request's connection as soon as it arrives. */
    maxConcurrentStreams: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffffffff })),
    /** Absent: the usual answer. */
    answer: Type.Optional(AnswerSchema),
    /** With an `answer`: the push counts as accepted all the same, as when only the answer got lost. */
    accepted: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type Rule = Static<typeof RuleSchema>;

/** What a rule is compared with. */
export interface ScriptedRequest {
  readonly upstream: SimulatedUpstream;
  readonly token?: string | undefined;
  readonly topic?: string | undefined;
}

/** A documented token prefix: what a stranger can try without writing a script. */
export interface TokenPrefix {
  /** First hex digits of the device token. */
  readonly apns: string;
  /** First characters of the registration token. */
  readonly fcm: string;
  /** One line for `signalbox sim --help` and the docs. */
  readonly meaning: string;
  readonly apnsRule: Rule;
  readonly fcmRule: Rule;
}

const error = (reason: string, retryAfter?: string): Rule => ({
  answer: { kind: "error", reason, ...(retryAfter === undefined ? {} : { retryAfter }) },
});

/** What tokens with these beginnings get when `tokenPrefixes` is on. */
export const tokenPrefixes: readonly TokenPrefix[] = [
  [
    "dead",
    "dead",
    "the app was uninstalled: 410 Unregistered, 404 UNREGISTERED",
    error("Unregistered"),
    error("UNREGISTERED"),
  ],
  [
    "bad0",
    "bad-",
    "not a token: 400 BadDeviceToken, 400 INVALID_ARGUMENT",
    error("BadDeviceToken"),
    error("INVALID_TOKEN"),
  ],
  [
    "f0e0",
    "foreign-",
    "another app's token: 400 DeviceTokenNotForTopic, 403 SENDER_ID_MISMATCH",
    error("DeviceTokenNotForTopic"),
    error("SENDER_ID_MISMATCH"),
  ],
  [
    "0503",
    "busy-",
    "the upstream is down: 503 ServiceUnavailable, 503 UNAVAILABLE",
    error("ServiceUnavailable"),
    error("UNAVAILABLE"),
  ],
  [
    "0500",
    "error-",
    "the upstream fails: 500 InternalServerError, 500 INTERNAL",
    error("InternalServerError"),
    error("INTERNAL"),
  ],
  [
    "0429",
    "quota-",
    "too many pushes: 429 TooManyRequests, 429 QUOTA_EXCEEDED with Retry-After: 60",
    error("TooManyRequests"),
    error("QUOTA_EXCEEDED", "60"),
  ],
  ["510e", "slow-", "accepted after 3 seconds", { delay: 3000 }, { delay: 3000 }],
  ["deaf", "deaf-", "never answered", { answer: { kind: "hang" } }, { answer: { kind: "hang" } }],
].map(
  ([apns, fcm, meaning, apnsRule, fcmRule]) => ({ apns, fcm, meaning, apnsRule, fcmRule }) as TokenPrefix,
);

interface ScriptLine {
  readonly id: number;
  readonly rule: Rule;
  matched: number;
  used: number;
}

/** What to answer: rules in the order they were added, then the documented prefixes when they are on. */
export class Script {
  #lines: readonly ScriptLine[] = [];
  #nextId = 1;
  readonly #prefixes: boolean;
  readonly #random: () => number;

  constructor(options: { readonly tokenPrefixes?: boolean; readonly random?: () => number } = {}) {
    this.#prefixes = options.tokenPrefixes ?? false;
    this.#random = options.random ?? Math.random;
  }

  /** Adds rules behind those there are; the numbers returned are for `remove`. */
  add(...rules: readonly Rule[]): readonly number[] {
    const lines = rules.map((rule) => ({ id: this.#nextId++, rule, matched: 0, used: 0 }));
    this.#lines = [...this.#lines, ...lines];
    return lines.map((line) => line.id);
  }

  /** False when there is no such rule, also because it was used up. */
  remove(id: number): boolean {
    const before = this.#lines.length;
    this.#lines = this.#lines.filter((line) => line.id !== id);
    return this.#lines.length < before;
  }

  clear(): void {
    this.#lines = [];
  }

  /** The rules that are left, with how often each one answered. */
  list(): readonly { readonly id: number; readonly rule: Rule; readonly used: number }[] {
    return this.#lines.map(({ id, rule, used }) => ({ id, rule, used }));
  }

  /** The rule that answers this request, and counts it. */
  match(request: ScriptedRequest): Rule | undefined {
    for (const line of this.#lines) {
      if (!applies(line.rule, request)) continue;
      line.matched += 1;
      const { skip = 0, every = 1, ratio, times = Infinity } = line.rule;
      if (line.matched <= skip || (line.matched - skip) % every !== 0) continue;
      if (ratio !== undefined && this.#random() >= ratio) continue;
      line.used += 1;
      if (line.used >= times) this.remove(line.id);
      return line.rule;
    }
    return this.#prefixes ? prefixRule(request) : undefined;
  }

  /** How long this answer waits. */
  delayMs(delay: Delay): number {
    if (typeof delay === "number") return delay;
    if ("minMs" in delay) return delay.minMs + this.#random() * Math.max(0, delay.maxMs - delay.minMs);
    if (delay.medianMs === 0) return 0;
    const sigma = Math.log(Math.max(1, delay.p99Ms / delay.medianMs)) / 2.326; // 2.326: z of the 99th percentile
    const gauss = Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
    return delay.medianMs * Math.exp(sigma * gauss);
  }
}

function applies(rule: Rule, request: ScriptedRequest): boolean {
  if (rule.upstream !== undefined && rule.upstream !== request.upstream) return false;
  if (rule.token !== undefined && rule.token !== request.token) return false;
  if (rule.tokenPrefix !== undefined && request.token?.startsWith(rule.tokenPrefix) !== true) return false;
  // A rule that names no upstream is about pushes: OAuth requests have no token and would use it up unseen.
  if (rule.upstream === undefined && request.upstream === "oauth") return false;
  return rule.topic === undefined || rule.topic === request.topic;
}

function prefixRule({ upstream, token }: ScriptedRequest): Rule | undefined {
  if (token === undefined || (upstream !== "apns" && upstream !== "fcm")) return undefined;
  const found = tokenPrefixes.find((prefix) => token.startsWith(prefix[upstream]));
  return upstream === "apns" ? found?.apnsRule : found?.fcmRule;
}
