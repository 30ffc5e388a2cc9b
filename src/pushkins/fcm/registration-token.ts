const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
/** No space: no registration token has one. */
const PRINTABLE = /^[\x21-\x7e]+$/;

/**
 * A registration token as softphones report it: base64 of the token's text, standard or URL-safe, padded or not; or the
 * text itself (softphone.md, Tokens). Undefined when it is empty or has white space or control characters.
 */
export function readRegistrationToken(text: string): string | undefined {
  if (text === "" || /[\s\p{Cc}]/u.test(text)) return undefined;
  return (BASE64.test(text) ? decode(text) : undefined) ?? text;
}

function decode(text: string): string | undefined {
  const digits = text.replace(/=+$/, "");
  if (digits.length % 4 === 1) return undefined;
  const decoded = Buffer.from(digits, "base64").toString("latin1");
  return PRINTABLE.test(decoded) ? decoded : undefined;
}
