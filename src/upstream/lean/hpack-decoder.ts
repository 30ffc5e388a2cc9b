import { decodeHuffman } from "./huffman.ts";
import { staticCount, staticFields } from "./hpack-static.ts";
import { DynamicTable } from "./hpack-table.ts";

/** Who is given the fields of a block, in order, names and values as Latin-1. */
export interface FieldSink {
  field(name: string, value: string): void;
}

const noBytes = Buffer.alloc(0);
/** No size, index or length of a sane peer's comes near. */
const mostInteger = 2 ** 24;

/** Decodes header blocks (RFC 7541). One for each connection: blocks build on each other, so none may be left out. */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxTableBytes: number;
  #bytes: Buffer = noBytes;
  #at = 0;
  #end = 0;
  #failed = false;

  /** @param maxTableBytes what our SETTINGS allow the peer, 4096 when they do not say */
  constructor(maxTableBytes: number) {
    this.#maxTableBytes = maxTableBytes;
    this.#table = new DynamicTable(maxTableBytes);
  }

  /** Octets held in the dynamic table. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** False when it is no valid block: the connection cannot go on (RFC 9113, 4.3). */
  decode(bytes: Buffer, start: number, end: number, sink: FieldSink): boolean {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#failed = false;
    let mayResize = true;
    while (this.#at < end && !this.#failed) {
      const first = bytes[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        // Only before the first field (RFC 7541, 4.2).
        if (!mayResize) return false;
        const size = this.#integer(5);
        if (this.#failed || size > this.#maxTableBytes) return false;
        this.#table.resize(size);
        continue;
      }
      mayResize = false;
      if ((first & 0x80) !== 0) this.#indexed(sink);
      else if ((first & 0x40) !== 0) this.#literal(6, true, sink);
      else this.#literal(4, false, sink);
    }
    this.#bytes = noBytes;
    return !this.#failed;
  }

  #indexed(sink: FieldSink): void {
    const index = this.#integer(7);
    const place = index - staticCount - 1;
    if (place < 0) {
      const field = staticFields[index - 1];
      if (field === undefined || this.#failed) this.#failed = true;
      else sink.field(field[0], field[1]);
    } else if (place >= this.#table.count) this.#failed = true;
    else sink.field(this.#table.name(place), this.#table.value(place));
  }

  #literal(prefixBits: number, isIndexed: boolean, sink: FieldSink): void {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#nameAt(index);
    const value = this.#string();
    if (this.#failed) return;
    if (isIndexed) this.#table.add(name, value);
    sink.field(name, value);
  }

  #nameAt(index: number): string {
    const place = index - staticCount - 1;
    if (place < 0) return staticFields[index - 1]?.[0] ?? "";
    if (place >= this.#table.count) this.#failed = true;
    return this.#failed ? "" : this.#table.name(place);
  }

  /** RFC 7541, 5.1. */
  #integer(prefixBits: number): number {
    const most = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at] ?? 0) & most;
    if (this.#at >= this.#end) this.#failed = true;
    this.#at += 1;
    if (value < most) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end || shift > 21) {
        this.#failed = true;
        return 0;
      }
      const octet = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (octet & 0x7f) << shift;
      if (value > mostInteger) this.#failed = true;
      if ((octet & 0x80) === 0 || this.#failed) return value;
    }
  }

  /** RFC 7541, 5.2. */
  #string(): string {
    const isHuffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (this.#failed || end > this.#end) {
      this.#failed = true;
      return "";
    }
    this.#at = end;
    if (!isHuffman) return this.#bytes.toString("latin1", start, end);
    const text = decodeHuffman(this.#bytes, start, end);
    if (text === undefined) this.#failed = true;
    return text ?? "";
  }
}
