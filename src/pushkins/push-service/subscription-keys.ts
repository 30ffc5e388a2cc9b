import { ECDH } from "node:crypto";

/** The client's keys as they are encrypted to: base64url without padding. */
export interface SubscriptionKeys {
  readonly p256dh: string;
  readonly auth: string;
}

const POINT_BYTES = 65;
const AUTH_BYTES = 16;
/** Longer than either key in any spelling. */
const MAX_TEXT = 256;

/**
 * A subscription's keys, taken in base64url and in the standard alphabet, padded or not. Undefined when they can
 * never work: no point of P-256, or an `auth` that is not 16 bytes (webpush.md 2).
 */
export function readKeys(p256dh: string, auth: string): SubscriptionKeys | undefined {
  const point = decode(p256dh);
  const secret = decode(auth);
  if (point?.length !== POINT_BYTES || point[0] !== 4 || secret?.length !== AUTH_BYTES) return undefined;
  return isOnCurve(point)
    ? { p256dh: point.toString("base64url"), auth: secret.toString("base64url") }
    : undefined;
}

function decode(text: string): Buffer | undefined {
  if (text.length > MAX_TEXT || !/^[A-Za-z0-9_+/-]+={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, "base64url");
}

function isOnCurve(point: Buffer): boolean {
  try {
    ECDH.convertKey(point, "prime256v1");
    return true;
  } catch {
    return false;
  }
}
