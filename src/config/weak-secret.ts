const EXAMPLES =
  /change.?me|replace.?(?:me|this)|example|placeholder|your.?(?:own.?)?(?:secret|token|key|password)|insert|dummy|password|a-key-of|another-long-key/i;
/** Fewer different characters than this are a pattern, whatever the length. */
const MIN_DISTINCT = 8;

/**
 * Why a secret that protects a door is refused (reliability C08): too short, copied from documentation, or a pattern.
 * A sentence without the secret; undefined when it will do.
 */
export function weakness(secret: string, minBytes: number): string | undefined {
  if (Buffer.byteLength(secret) < minBytes) {
    return `must be at least ${minBytes} bytes long; make one with: openssl rand -base64 32`;
  }
  if (EXAMPLES.test(secret))
    return "is an example from documentation; make one with: openssl rand -base64 32";
  if (new Set(secret).size < MIN_DISTINCT)
    return "is too easy to guess; make one with: openssl rand -base64 32";
  return undefined;
}
