import { webPush } from "./web-push.ts";
import type { SubscriptionKeys } from "./subscription-keys.ts";

/** RFC 8030 7.2: every push service takes so much. */
export const MAX_BODY_BYTES = 4_096;
/** Salt, record size, key id, public key, the delimiter and the tag (webpush.md 2). */
export const ENCRYPTION_OVERHEAD_BYTES = 103;
/** What fits into the largest body once it is encrypted. */
export const MAX_MESSAGE_BYTES = MAX_BODY_BYTES - ENCRYPTION_OVERHEAD_BYTES;

/** The message as RFC 8291 has it, in one record, with new keys each time. */
export function encrypt(message: string, { p256dh, auth }: SubscriptionKeys): Uint8Array {
  return webPush().encrypt(p256dh, auth, message, "aes128gcm").cipherText;
}
