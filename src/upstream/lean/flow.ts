import { defaultMaxFrameBytes, defaultWindowBytes, ErrorCode, maxUint31 } from "./codes.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** How far the peer may send ahead, on a stream or a connection (RFC 9113, 5.2). */
export class ReceiveWindow {
  readonly #bytes: number;
  #left: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#left = bytes;
  }

  /** False when the peer has sent more than it may. */
  take(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** What WINDOW_UPDATE should give back now: nothing while more than half is left. */
  refill(): number {
    if (this.#left * 2 > this.#bytes) return 0;
    const increment = this.#bytes - this.#left;
    this.#left = this.#bytes;
    return increment;
  }
}

/** A stream as the sender of its body sees it. */
export interface SendingStream {
  readonly id: number;
  /** How much may be sent; SETTINGS may make it negative (RFC 9113, 6.9.2). */
  sendWindow: number;
  /** What of the body is still to be sent. */
  rest: Uint8Array | undefined;
}

/** Sends bodies as far as both windows let it, the rest later, first come, first served. */
export class BodySender {
  /** Of streams that are opened now. */
  initialWindow = defaultWindowBytes;
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  maxFrameBytes: number = defaultMaxFrameBytes;
  readonly #writer: FrameWriter;
  readonly #blocked = new Set<SendingStream>();
  /** The connection's. */
  #window = defaultWindowBytes;

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** A body that is not empty, the stream's last frames. */
  send(stream: SendingStream, body: string | Uint8Array): void {
    if (typeof body === "string") {
      if (this.#sentAtOnce(stream, body)) return;
      stream.rest = Buffer.from(body, "utf8");
    } else stream.rest = body;
    // Nothing overtakes what waits.
    if (this.#blocked.size === 0) this.#push(stream);
    if (stream.rest === undefined) return;
    // The caller's bytes may change before they are sent.
    if (typeof body !== "string") stream.rest = Uint8Array.from(stream.rest);
    this.#blocked.add(stream);
  }

  /** The stream has ended. */
  forget(stream: SendingStream): void {
    stream.rest = undefined;
    this.#blocked.delete(stream);
  }

  /** WINDOW_UPDATE for the connection. Returns an error code or 0. */
  grant(increment: number): number {
    if (this.#window + increment > maxUint31) return ErrorCode.flowControl;
    this.#window += increment;
    this.#resume();
    return ErrorCode.none;
  }

  /** WINDOW_UPDATE for a stream. Returns an error code or 0. */
  grantTo(stream: SendingStream, increment: number): number {
    if (stream.sendWindow + increment > maxUint31) return ErrorCode.flowControl;
    stream.sendWindow += increment;
    if (stream.rest !== undefined) this.#resume();
    return ErrorCode.none;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE, which changes the open streams' windows too. Returns an error code or 0. */
  setInitialWindow(bytes: number, open: Iterable<SendingStream>): number {
    const change = bytes - this.initialWindow;
    this.initialWindow = bytes;
    for (const stream of open) {
      stream.sendWindow += change;
      if (stream.sendWindow > maxUint31) return ErrorCode.flowControl;
    }
    if (change > 0) this.#resume();
    return ErrorCode.none;
  }

  /** The usual case: text goes straight into the frame, if all of it may go. */
  #sentAtOnce(stream: SendingStream, text: string): boolean {
    const most = Math.min(this.#window, stream.sendWindow, this.maxFrameBytes);
    if (this.#blocked.size > 0 || text.length > most) return false;
    const length = this.#writer.textData(stream.id, text, most);
    if (length < 0) return false;
    this.#window -= length;
    stream.sendWindow -= length;
    return true;
  }

  #resume(): void {
    for (const stream of this.#blocked) {
      if (this.#window <= 0) return;
      this.#push(stream);
      if (stream.rest === undefined) this.#blocked.delete(stream);
    }
  }

  #push(stream: SendingStream): void {
    for (;;) {
      const { rest } = stream;
      const bytes = Math.min(this.#window, stream.sendWindow, this.maxFrameBytes);
      if (rest === undefined || bytes <= 0) return;
      const isLast = bytes >= rest.length;
      const part = isLast ? rest : rest.subarray(0, bytes);
      this.#writer.data(stream.id, part, isLast);
      this.#window -= part.length;
      stream.sendWindow -= part.length;
      stream.rest = isLast ? undefined : rest.subarray(bytes);
    }
  }
}
