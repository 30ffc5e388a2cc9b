import { neverIndexed } from "../wire.ts";
import { staticCount, fieldOverheadBytes, staticFields } from "./hpack-static.ts";

/** What a header's name may be made of (RFC 9110, 5.6.2), in lower case (RFC 9113, 8.2.1). */
const namePattern = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Headers of an HTTP/1.1 connection, which HTTP/2 must not carry (RFC 9113, 8.2.2). */
const connectionNames = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);
const mostNames = 256;
/** Large enough for what repeats, and never more than a peer has by default. */
const mostTableBytes = 4096;

/** What is known about a header's name. */
interface KnownName {
  readonly name: string;
  /** Its index in the static table, 0 when it is not there. */
  readonly nameIndex: number;
  readonly isSecret: boolean;
  /** Values with an index of their own: in the static table below zero, else the count of insertions at theirs. */
  readonly places: Map<string, number>;
  /** The last value that has none: when it comes again it gets one. */
  lastValue: string | undefined;
}

/**
 * Encodes header blocks (RFC 7541), strings as they are. A value that is sent twice in a row gets into the dynamic
 * table while there is room; nothing is ever evicted, so that both ends agree without counting. Headers of
 * `neverIndexed` are marked so that no one on the way puts them into a table either.
 */
export class HpackEncoder {
  readonly #names = new Map<string, KnownName>();
  #scratch: KnownName[] = [];
  #maxBytes = mostTableBytes;
  #usedBytes = 0;
  #inserted = 0;
  #sizeChanged = false;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE: from the next block on. */
  setPeerTableSize(bytes: number): void {
    const maxBytes = Math.min(bytes, mostTableBytes);
    if (maxBytes === this.#maxBytes) return;
    this.#maxBytes = maxBytes;
    this.#sizeChanged = true;
    this.#names.clear();
    this.#usedBytes = 0;
    this.#inserted = 0;
  }

  /**
   * The most octets that the block of this list takes. Throws for a name that HTTP/2 cannot carry: a bug of the
   * caller's. `encode` must follow, with the same list, and not throw.
   */
  measure(list: readonly string[]): number {
    const names = this.#scratch;
    names.length = 0;
    // Two size updates.
    let most = 8;
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i] ?? "";
      names.push(this.#names.get(name) ?? this.#learn(name));
      // One octet, the index, and two lengths.
      most += name.length + (list[i + 1] ?? "").length + 16;
    }
    return most;
  }

  /** Writes the block that was measured, at `at`; returns where it ends. */
  encode(list: readonly string[], out: Buffer, at: number): number {
    let end = at;
    if (this.#sizeChanged) {
      this.#sizeChanged = false;
      // Empties the peer's table, then says what it may hold (RFC 7541, 4.2).
      end = writeInteger(out, end, 0x20, 5, 0);
      end = writeInteger(out, end, 0x20, 5, this.#maxBytes);
    }
    const names = this.#scratch;
    for (let i = 0; i < names.length; i += 1) {
      const known = names[i];
      if (known !== undefined) end = this.#field(known, list[i * 2 + 1] ?? "", out, end);
    }
    return end;
  }

  #field(known: KnownName, value: string, out: Buffer, at: number): number {
    if (known.isSecret) return writeLiteral(out, at, 0x10, 4, known, value);
    const place = known.places.get(value);
    if (place !== undefined) {
      const index = place < 0 ? -place : staticCount + 1 + this.#inserted - place;
      return writeInteger(out, at, 0x80, 7, index);
    }
    if (value !== known.lastValue) {
      known.lastValue = value;
      return writeLiteral(out, at, 0x00, 4, known, value);
    }
    const bytes = known.name.length + value.length + fieldOverheadBytes;
    if (this.#usedBytes + bytes > this.#maxBytes) return writeLiteral(out, at, 0x00, 4, known, value);
    this.#usedBytes += bytes;
    this.#inserted += 1;
    known.places.set(value, this.#inserted);
    return writeLiteral(out, at, 0x40, 6, known, value);
  }

  #learn(name: string): KnownName {
    if (!namePattern.test(name))
      throw new TypeError("a header's name must be a valid HTTP token in lower case");
    if (connectionNames.has(name)) throw new TypeError(`HTTP/2 carries no header of the connection: ${name}`);
    const places = new Map<string, number>();
    staticFields.forEach(([field, value], i) => {
      if (field === name && value !== "") places.set(value, -1 - i);
    });
    const nameIndex = staticFields.findIndex(([field]) => field === name) + 1;
    const known = { name, nameIndex, isSecret: neverIndexed.includes(name), places, lastValue: undefined };
    if (this.#names.size < mostNames) this.#names.set(name, known);
    return known;
  }
}

/** RFC 7541, 5.1; `pattern` has the bits before the prefix. */
function writeInteger(out: Buffer, at: number, pattern: number, prefixBits: number, value: number): number {
  const most = (1 << prefixBits) - 1;
  if (value < most) {
    out[at] = pattern | value;
    return at + 1;
  }
  out[at] = pattern | most;
  let rest = value - most;
  let end = at + 1;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    out[end] = (rest & 0x7f) | 0x80;
    end += 1;
  }
  out[end] = rest;
  return end + 1;
}

function writeLiteral(
  out: Buffer,
  at: number,
  pattern: number,
  prefixBits: number,
  { name, nameIndex }: KnownName,
  value: string,
): number {
  let end = writeInteger(out, at, pattern, prefixBits, nameIndex);
  if (nameIndex === 0) end = writeText(out, end, name);
  return writeText(out, end, value);
}

function writeText(out: Buffer, at: number, text: string): number {
  const start = writeInteger(out, at, 0x00, 7, text.length);
  return start + out.write(text, start, "latin1");
}
