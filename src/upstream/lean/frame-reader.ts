import { defaultMaxFrameBytes, ErrorCode, frameHeadBytes } from "./codes.ts";

/** Who is given frames. Their payload is `bytes` from `start` to `end`, valid during the call alone. */
export interface FrameHandler {
  /** Returns an error code that ends the connection, `stop` to read no further, or 0. */
  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): number;
}

/** A handler's word for: the connection is gone, read no further. */
export const stop = -1;

/** Cuts a stream of bytes into frames, however it comes in pieces. Holds one frame at most (RFC 9113, 4.1). */
export class FrameReader {
  /** Begins with a frame that has not come whole. */
  #partial: Buffer | undefined;
  #have = 0;

  /** Calls the handler for each frame that is whole. Returns what made it stop, or 0. */
  push(chunk: Buffer, handler: FrameHandler): number {
    let at = 0;
    if (this.#have > 0) {
      const partial = this.#partial ?? chunk;
      at = this.#fill(partial, chunk, 0, frameHeadBytes);
      if (this.#have < frameHeadBytes) return ErrorCode.none;
      const length = partial.readUIntBE(0, 3);
      if (length > defaultMaxFrameBytes) return ErrorCode.frameSize;
      const end = frameHeadBytes + length;
      at = this.#fill(partial, chunk, at, end);
      if (this.#have < end) return ErrorCode.none;
      this.#have = 0;
      const result = give(handler, partial, 0, end);
      if (result !== ErrorCode.none) return result;
    }
    while (chunk.length - at >= frameHeadBytes) {
      const length = chunk.readUIntBE(at, 3);
      if (length > defaultMaxFrameBytes) return ErrorCode.frameSize;
      const end = at + frameHeadBytes + length;
      if (end > chunk.length) break;
      const result = give(handler, chunk, at, end);
      if (result !== ErrorCode.none) return result;
      at = end;
    }
    if (at < chunk.length) {
      this.#partial ??= Buffer.allocUnsafeSlow(frameHeadBytes + defaultMaxFrameBytes);
      this.#fill(this.#partial, chunk, at, frameHeadBytes + defaultMaxFrameBytes);
    }
    return ErrorCode.none;
  }

  /** Moves bytes until the partial frame has so many; returns where it stopped in the chunk. */
  #fill(partial: Buffer, chunk: Buffer, at: number, upTo: number): number {
    const count = Math.min(Math.max(0, upTo - this.#have), chunk.length - at);
    chunk.copy(partial, this.#have, at, at + count);
    this.#have += count;
    return at + count;
  }
}

function give(handler: FrameHandler, bytes: Buffer, at: number, end: number): number {
  const type = bytes.readUInt8(at + 3);
  const flags = bytes.readUInt8(at + 4);
  // The first bit is reserved and must be ignored.
  const streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
  return handler.frame(type, flags, streamId, bytes, at + frameHeadBytes, end);
}
