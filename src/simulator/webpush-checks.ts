import type { Exchange } from "./listener.ts";
import { readHeader, readVapid } from "./webpush-crypto.ts";
import type { Dialect } from "./webpush-errors.ts";

/** What a VAPID token must fit. */
export interface VapidExpectation {
  /** Origins that it may be for. */
  readonly audiences: readonly string[];
  /** The key that the subscription is bound to; absent = any. */
  readonly applicationServerKey: string | undefined;
  readonly nowMs: number;
}

const DAY_S = 24 * 60 * 60;
const URGENCIES = new Set(["very-low", "low", "normal", "high"]);

/** RFC 8292 with the vendors' rules for `sub` (webpush.md 3); a name of webpush-errors.ts, undefined when all is well. */
export function checkVapid<S>(exchange: Exchange<S>, expected: VapidExpectation): string | undefined {
  const vapid = readVapid(exchange.headers.authorization);
  if (typeof vapid === "string") return "BAD_VAPID";
  const { aud, exp, sub, key } = vapid;
  if (typeof aud !== "string" || !expected.audiences.includes(aud)) return "BAD_VAPID";
  const nowS = expected.nowMs / 1_000;
  if (typeof exp !== "number" || exp <= nowS || exp > nowS + DAY_S) return "BAD_VAPID";
  if (typeof sub !== "string" || !/^(?:mailto:\S|https:)/.test(sub) || sub.includes("localhost"))
    return "BAD_VAPID";
  return expected.applicationServerKey === undefined || expected.applicationServerKey === key
    ? undefined
    : "OTHER_KEY";
}

/** The headers of RFC 8030 5 and RFC 8188, and one record of the usual size. */
export function checkHeaders<S>({ headers, body }: Exchange<S>, dialect: Dialect): string | undefined {
  const { ttl, urgency, topic } = headers as Record<string, string | undefined>;
  if (ttl === undefined || !/^\d{1,10}$/.test(ttl)) return "BAD_TTL";
  if (urgency !== undefined && !URGENCIES.has(urgency)) return "BAD_URGENCY";
  if (topic !== undefined && !isTopic(topic, dialect)) return "BAD_TOPIC";
  if (body.length === 0) return undefined;
  if (headers["content-encoding"] !== "aes128gcm") return "BAD_CRYPTO";
  const header = readHeader(body);
  return header?.recordSize === 4_096 && header.keyId.length === 65 ? undefined : "BAD_CRYPTO";
}

/** RFC 8030 5.4; Apple decodes it too (webpush.md 1). */
function isTopic(topic: string, dialect: Dialect): boolean {
  return /^[A-Za-z0-9_-]{1,32}$/.test(topic) && (dialect !== "apple" || topic.length % 4 !== 1);
}
