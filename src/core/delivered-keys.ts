import type { Digest } from "../store/store.ts";

const KEY_BYTES = 32;
const KEY_WORDS = KEY_BYTES / 4;
const FIRST_ROOM = 1_024;

/**
 * Until when which keys count: bounded, the one that was put in first is forgotten for the next. In plain memory instead
 * of a map of texts: 48 bytes a key instead of some 150, none of which the garbage collector looks at. The room doubles
 * as it fills.
 */
export class DeliveredKeys {
  readonly #max: number;
  #room = 0;
  /** The keys in the order in which they came; past the end begins again. */
  #bytes = Buffer.alloc(0);
  #words = new Int32Array();
  #untilMs = new Float64Array();
  /** By a key's first word, the next free place: number of its place among the keys, from 1; 0 = free. */
  #index = new Int32Array();
  #next = 0;
  #count = 0;
  /** The key that is asked for. */
  readonly #asked = Buffer.alloc(KEY_BYTES);
  readonly #askedWords = new Int32Array(this.#asked.buffer, this.#asked.byteOffset, KEY_WORDS);

  /** @param max how many keys are remembered at most */
  constructor(max: number) {
    this.#max = Math.max(1, max);
    this.#grow();
  }

  /** Milliseconds, as they were given; undefined for what was never put in, or has been forgotten. */
  until(key: Digest): number | undefined {
    this.#ask(key);
    const found = (this.#index[this.#position()] ?? 0) - 1;
    return found < 0 ? undefined : this.#untilMs[found];
  }

  set(key: Digest, untilMs: number): void {
    if (this.#count === this.#room && this.#room < this.#max) this.#grow();
    this.#ask(key);
    // One that is there already is put in anew, so that it is as young as it is.
    const before = this.#position();
    if (this.#index[before] !== 0) this.#free(before);
    const place = this.#next;
    if (this.#count === this.#room) this.#forget(place);
    else this.#count += 1;
    this.#asked.copy(this.#bytes, place * KEY_BYTES);
    this.#untilMs[place] = untilMs;
    this.#index[this.#position()] = place + 1;
    this.#next = (place + 1) % this.#room;
  }

  /** Those that count beyond a moment, the oldest first. */
  *beyond(nowMs: number): Generator<Digest> {
    const first = this.#count < this.#room ? 0 : this.#next;
    for (let i = 0; i < this.#count; i += 1) {
      const place = (first + i) % this.#room;
      if ((this.#untilMs[place] ?? 0) <= nowMs || this.#positionOf(place) === undefined) continue;
      yield this.#bytes.toString("hex", place * KEY_BYTES, (place + 1) * KEY_BYTES);
    }
  }

  #ask(key: Digest): void {
    if (key.length !== 2 * KEY_BYTES || this.#asked.write(key, "hex") !== KEY_BYTES) {
      throw new TypeError("not a digest");
    }
  }

  /** Where the index has the key that is asked for, or would have it. */
  #position(): number {
    const mask = this.#index.length - 1;
    let position = (this.#askedWords[0] ?? 0) & mask;
    for (;;) {
      const place = (this.#index[position] ?? 0) - 1;
      if (place < 0 || this.#isAsked(place)) return position;
      position = (position + 1) & mask;
    }
  }

  #isAsked(place: number): boolean {
    const from = place * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i += 1) {
      if (this.#words[from + i] !== this.#askedWords[i]) return false;
    }
    return true;
  }

  /** Where the index has this place; undefined when its key has been put in anew since. */
  #positionOf(place: number): number | undefined {
    const mask = this.#index.length - 1;
    for (let position = this.#home(place) & mask; this.#index[position] !== 0;) {
      if (this.#index[position] === place + 1) return position;
      position = (position + 1) & mask;
    }
    return undefined;
  }

  #home(place: number): number {
    return this.#words[place * KEY_WORDS] ?? 0;
  }

  #forget(place: number): void {
    const position = this.#positionOf(place);
    if (position !== undefined) this.#free(position);
  }

  /** Takes a position out of the index; what stands behind it only because it was taken moves up. */
  #free(position: number): void {
    const mask = this.#index.length - 1;
    let hole = position;
    for (let next = (hole + 1) & mask; this.#index[next] !== 0; next = (next + 1) & mask) {
      const home = this.#home((this.#index[next] ?? 0) - 1);
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#index[hole] = this.#index[next] ?? 0;
      hole = next;
    }
    this.#index[hole] = 0;
  }

  /** Only while nothing has been forgotten: the keys stand in order from the first place on. */
  #grow(): void {
    const room = Math.min(this.#max, Math.max(FIRST_ROOM, this.#room * 2));
    const bytes = Buffer.alloc(room * KEY_BYTES);
    this.#bytes.copy(bytes);
    const untilMs = new Float64Array(room);
    untilMs.set(this.#untilMs);
    const places = this.#index.filter((place) => place !== 0);
    this.#bytes = bytes;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, room * KEY_WORDS);
    this.#untilMs = untilMs;
    this.#index = new Int32Array(2 ** Math.ceil(Math.log2(2 * room)));
    const mask = this.#index.length - 1;
    for (const place of places) {
      let position = this.#home(place - 1) & mask;
      while (this.#index[position] !== 0) position = (position + 1) & mask;
      this.#index[position] = place;
    }
    this.#next = this.#room;
    this.#room = room;
  }
}
