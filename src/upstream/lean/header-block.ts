import { ErrorCode } from "./codes.ts";

/** Compressed. Larger is no answer of a push service's. */
const mostBytes = 64 * 1024;
/** Empty ones cost a peer nothing. */
const mostContinuations = 64;

/** Puts a header block together that comes in HEADERS and CONTINUATION frames (RFC 9113, 6.10). */
export class HeaderBlock {
  /** Whose block is open; 0 when none is. */
  streamId = 0;
  endStream = false;
  #parts: Buffer[] = [];
  #bytes = 0;

  get isOpen(): boolean {
    return this.streamId !== 0;
  }

  /** Bytes that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(streamId: number, endStream: boolean, fragment: Buffer): void {
    this.streamId = streamId;
    this.endStream = endStream;
    this.#parts = [Buffer.from(fragment)];
    this.#bytes = fragment.length;
  }

  /** Returns an error code when it has become too long, or 0. */
  add(fragment: Buffer): number {
    this.#bytes += fragment.length;
    if (this.#bytes > mostBytes || this.#parts.length > mostContinuations) return ErrorCode.enhanceYourCalm;
    this.#parts.push(Buffer.from(fragment));
    return ErrorCode.none;
  }

  /** The whole block; none is open any more. */
  take(): Buffer {
    const whole = Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    this.streamId = 0;
    return whole;
  }
}
