import { Flag, frameHeadBytes, FrameType } from "./codes.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const firstBytes = 16 * 1024;
/** A larger buffer, grown by a burst, is not kept. */
const mostKeptBytes = 256 * 1024;

/** Collects the frames of one tick in one buffer, so that they are written and encrypted together. */
export class FrameWriter {
  /** Where frames are put; grows with `reserve`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(firstBytes);
  /** How much of it is filled. */
  length = 0;

  /** Makes room for so many more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  /** What has been collected; it is the caller's until `giveBack`. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = emptyBytes;
    this.length = 0;
    return taken;
  }

  /** The network has taken the bytes: their buffer may be filled again. */
  giveBack(taken: Buffer): void {
    if (this.bytes.length > 0 || taken.buffer.byteLength > mostKeptBytes) return;
    this.bytes = Buffer.from(taken.buffer);
  }

  /**
   * Takes back what has been collected for streams above `last`. Header blocks may go only when none will follow them:
   * later ones would build on them.
   */
  dropStreamsAbove(last: number): void {
    let kept = 0;
    for (let at = 0; at < this.length;) {
      const end = at + frameHeadBytes + this.bytes.readUIntBE(at, 3);
      if (this.bytes.readUInt32BE(at + 5) <= last) {
        this.bytes.copyWithin(kept, at, end);
        kept += end - at;
      }
      at = end;
    }
    this.length = kept;
  }

  /** A frame's head at a place that has been reserved. */
  headAt(at: number, length: number, type: number, flags: number, streamId: number): void {
    this.bytes.writeUIntBE(length, at, 3);
    this.bytes[at + 3] = type;
    this.bytes[at + 4] = flags;
    this.bytes.writeUInt32BE(streamId, at + 5);
  }

  preface(): void {
    this.#append(preface);
  }

  settings(pairs: readonly (readonly [id: number, value: number])[]): void {
    this.#head(pairs.length * 6, FrameType.settings, 0, 0);
    for (const [id, value] of pairs) {
      this.length = this.bytes.writeUInt16BE(id, this.length);
      this.length = this.bytes.writeUInt32BE(value, this.length);
    }
  }

  settingsAck(): void {
    this.#head(0, FrameType.settings, Flag.ack, 0);
  }

  /** `payload` has eight bytes. */
  ping(payload: Uint8Array, isAck: boolean): void {
    this.#head(8, FrameType.ping, isAck ? Flag.ack : 0, 0);
    this.#append(payload);
  }

  goaway(code: number): void {
    this.#head(8, FrameType.goaway, 0, 0);
    // No stream of the peer's has ever been opened.
    this.length = this.bytes.writeUInt32BE(0, this.length);
    this.length = this.bytes.writeUInt32BE(code, this.length);
  }

  rstStream(streamId: number, code: number): void {
    this.#head(4, FrameType.rstStream, 0, streamId);
    this.length = this.bytes.writeUInt32BE(code, this.length);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#head(4, FrameType.windowUpdate, 0, streamId);
    this.length = this.bytes.writeUInt32BE(increment, this.length);
  }

  data(streamId: number, payload: Uint8Array, isLast: boolean): void {
    this.#head(payload.length, FrameType.data, isLast ? Flag.endStream : 0, streamId);
    this.#append(payload);
  }

  /** DATA with the text as UTF-8, the stream's last frame; -1, and nothing written, when it has more than `most` bytes. */
  textData(streamId: number, text: string, most: number): number {
    // A UTF-16 unit takes three bytes at most.
    this.reserve(frameHeadBytes + text.length * 3);
    const length = this.bytes.write(text, this.length + frameHeadBytes, "utf8");
    if (length > most) return -1;
    this.headAt(this.length, length, FrameType.data, Flag.endStream, streamId);
    this.length += frameHeadBytes + length;
    return length;
  }

  /** A header block, in as many frames as the peer's frame size asks for. */
  headers(streamId: number, block: Uint8Array, isLast: boolean, maxFrameBytes: number): void {
    for (let at = 0; at === 0 || at < block.length; at += maxFrameBytes) {
      const part = block.subarray(at, at + maxFrameBytes);
      const endHeaders = at + maxFrameBytes >= block.length ? Flag.endHeaders : 0;
      if (at > 0) this.#head(part.length, FrameType.continuation, endHeaders, streamId);
      else this.#head(part.length, FrameType.headers, endHeaders | (isLast ? Flag.endStream : 0), streamId);
      this.#append(part);
    }
  }

  /** Also makes room for the payload. */
  #head(length: number, type: number, flags: number, streamId: number): void {
    this.reserve(frameHeadBytes + length);
    this.headAt(this.length, length, type, flags, streamId);
    this.length += frameHeadBytes;
  }

  #append(payload: Uint8Array): void {
    this.reserve(payload.length);
    this.bytes.set(payload, this.length);
    this.length += payload.length;
  }
}

const emptyBytes = Buffer.alloc(0);
