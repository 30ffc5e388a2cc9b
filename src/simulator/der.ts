/** ASN.1 values in their distinguished encoding (X.690): only what an X.509 certificate needs. */

/** One tagged value: tag, length in the shortest form, contents. */
function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) size.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length, ...size]), body]);
}

/** SEQUENCE. */
export const sequence = (...items: readonly Uint8Array[]): Buffer => tlv(0x30, ...items);

/** SET of one value; with several, the caller would have to sort them. */
export const setOfOne = (item: Uint8Array): Buffer => tlv(0x31, item);

/** BOOLEAN. */
export const boolean = (value: boolean): Buffer => tlv(0x01, Buffer.from([value ? 0xff : 0]));

/** INTEGER that is not negative, from its big-endian bytes: leading zeros go, one comes back if the top bit is set. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.subarray(start);
  return ((trimmed[0] ?? 0) & 0x80) === 0 ? tlv(0x02, trimmed) : tlv(0x02, Buffer.from([0]), trimmed);
}

/** BIT STRING of whole bytes, or with `unusedBits` at the end of the last one left out. */
export const bitString = (bytes: Uint8Array, unusedBits = 0): Buffer =>
  tlv(0x03, Buffer.from([unusedBits]), bytes);

/** OCTET STRING. */
export const octetString = (bytes: Uint8Array): Buffer => tlv(0x04, bytes);

/** NULL. */
export const nothing = (): Buffer => tlv(0x05);

/** OBJECT IDENTIFIER from its dotted form. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128))
      groups.unshift((more & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

/** UTF8String. */
export const utf8String = (text: string): Buffer => tlv(0x0c, Buffer.from(text, "utf8"));

/** UTCTime until 2049, GeneralizedTime from 2050 on, as RFC 5280 section 4.1.2.5 wants it. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$|[-:T]/g, "");
  return digits < "2050"
    ? tlv(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : tlv(0x18, Buffer.from(`${digits}Z`));
}

/** A context-specific tag around whole values (EXPLICIT). */
export const explicit = (number: number, ...items: readonly Uint8Array[]): Buffer =>
  tlv(0xa0 | number, ...items);

/** A context-specific tag in place of a primitive value's own (IMPLICIT). */
export const implicit = (number: number, contents: Uint8Array): Buffer => tlv(0x80 | number, contents);
