/** How an app's pushkeys spell the device token. */
export type TokenEncoding = "auto" | "base64" | "hex";

const HEX = /^(?:[0-9a-f]{2})+$/i;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
/** Apple's tokens have 32 bytes or more; a shorter text of hex digits is as likely to be base64. */
const MIN_HEX_LENGTH = 64;
/** The length must not be assumed (apns.md 1), but one byte is no token. */
const MIN_TOKEN_BYTES = 2;

/**
 * The device token as APNs wants it in the path: hex in lower case (apns.md 1). Pushkeys come in base64, base64url,
 * padded or not, or in hex. Undefined for anything else: such a pushkey can never be valid.
 */
export function deviceTokenHex(pushkey: string, encoding: TokenEncoding): string | undefined {
  if (
    encoding !== "base64" &&
    HEX.test(pushkey) &&
    (encoding === "hex" || pushkey.length >= MIN_HEX_LENGTH)
  ) {
    return pushkey.length >= MIN_TOKEN_BYTES * 2 ? pushkey.toLowerCase() : undefined;
  }
  if (encoding === "hex" || !BASE64.test(pushkey)) return undefined;
  const digits = pushkey.replace(/=+$/, "");
  const padding = pushkey.length - digits.length;
  // A single leftover digit is half a byte; padding, where there is any, must complete a group of four.
  if (digits.length % 4 === 1 || (padding > 0 && pushkey.length % 4 !== 0)) return undefined;
  const bytes = Buffer.from(digits, "base64");
  return bytes.length >= MIN_TOKEN_BYTES ? bytes.toString("hex") : undefined;
}
