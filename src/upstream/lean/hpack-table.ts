import { fieldOverheadBytes } from "./hpack-static.ts";

/** The dynamic table of a decoder (RFC 7541, 2.3.2): a ring, newest entry first. Names and values are Latin-1. */
export class DynamicTable {
  readonly #names: (string | undefined)[];
  readonly #values: (string | undefined)[];
  readonly #slots: number;
  #newest = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  /** @param mostBytes the largest size that it will ever be given */
  constructor(mostBytes: number) {
    this.#maxBytes = mostBytes;
    this.#slots = Math.max(1, Math.floor(mostBytes / fieldOverheadBytes));
    this.#names = new Array<undefined>(this.#slots);
    this.#values = new Array<undefined>(this.#slots);
  }

  get count(): number {
    return this.#count;
  }

  /** Octets, overhead included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The name of the entry at `place` (0 is the newest), which must be below `count`. */
  name(place: number): string {
    return this.#names[this.#slot(place)] ?? "";
  }

  value(place: number): string {
    return this.#values[this.#slot(place)] ?? "";
  }

  /** Evicts what no longer fits. One that is larger than the table empties it (RFC 7541, 4.4). */
  add(name: string, value: string): void {
    const bytes = name.length + value.length + fieldOverheadBytes;
    this.#evictDownTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    this.#newest = (this.#newest + 1) % this.#slots;
    this.#names[this.#newest] = name;
    this.#values[this.#newest] = value;
    this.#count += 1;
    this.#bytes += bytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictDownTo(maxBytes);
  }

  #slot(place: number): number {
    return (this.#newest - place + this.#slots) % this.#slots;
  }

  #evictDownTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const slot = this.#slot(this.#count - 1);
      this.#bytes -=
        (this.#names[slot] ?? "").length + (this.#values[slot] ?? "").length + fieldOverheadBytes;
      this.#names[slot] = undefined;
      this.#values[slot] = undefined;
      this.#count -= 1;
    }
  }
}
