import type { TLSSocket } from "node:tls";
import { PassingMap } from "../../passing-map.ts";
import { classifyNetError, type NetFailure } from "../net-error.ts";
import { rstCodeName } from "../stream-verdict.ts";
import type { Opened, StreamEnd, StreamListener, Wire, WireOptions, WireOwner } from "../wire.ts";
import {
  defaultWindowBytes,
  ErrorCode,
  Flag,
  frameHeadBytes,
  FrameType,
  maxUint31,
  Setting,
} from "./codes.ts";
import { FloodGuard } from "./flood-guard.ts";
import { BodySender, ReceiveWindow } from "./flow.ts";
import { FrameReader, stop, type FrameHandler } from "./frame-reader.ts";
import { HeaderBlock } from "./header-block.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { Outlet, type OutletHost } from "./outlet.ts";
import { HeadReader } from "./response-head.ts";
import { readSettings } from "./settings.ts";
import { LeanStream, type StreamHome } from "./stream.ts";

/** SETTINGS_HEADER_TABLE_SIZE, by not naming it. */
const tableBytes = 4096;
const mostHeaderListBytes = 64 * 1024;
/** The connection's window: never what answers wait for. */
const connectionWindowBytes = 1024 * 1024;
/** A stream's window beyond the longest answer that is read. */
const windowReserveBytes = 16 * 1024;
/** With so much unwritten nothing is added: what waits in the pool's line is certainly unsent. */
const congestedBytes = 256 * 1024;
/** A peer that asks for answers and reads none. */
const mostUnwrittenBytes = 16 * 1024 * 1024;
/** After a GOAWAY with an error answers may still come, but not for long. */
const lastWordsMs = 1000;

/** The lean client: HTTP/2 straight on the TLS socket, as much of it as requests to push services need. */
export function openLeanWire(
  socket: TLSSocket,
  options: WireOptions,
  owner: WireOwner,
  firstStreamId = 1,
): Wire {
  return new LeanWire(socket, options, owner, firstStreamId);
}

class LeanWire implements Wire, FrameHandler, OutletHost, StreamHome {
  readonly #socket: TLSSocket;
  readonly #options: WireOptions;
  readonly #owner: WireOwner;
  readonly #reader = new FrameReader();
  readonly #outlet: Outlet;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(tableBytes);
  readonly #head = new HeadReader();
  readonly #block = new HeaderBlock();
  readonly #bodies: BodySender;
  readonly #received = new ReceiveWindow(connectionWindowBytes);
  readonly #flood: FloodGuard;
  readonly #streamWindowBytes: number;
  readonly #streams = new PassingMap<number, LeanStream>();
  /** Cancelled, and the peer not told yet. */
  readonly #cancelled = new Set<LeanStream>();
  #nextId: number;
  /** The last stream whose HEADERS were handed to the socket. */
  #lastWrittenId = 0;
  #maxConcurrentStreams: number | undefined;
  /** By GOAWAY. */
  #lastAllowedId = maxUint31;
  #isSentAway = false;
  #isGreeted = false;
  #isClosing = false;
  #isGone = false;
  #socketError: unknown;
  #pingAnswered: (() => void) | undefined;
  #pings = 0;
  #cancelLastWords: (() => void) | undefined;

  constructor(socket: TLSSocket, options: WireOptions, owner: WireOwner, firstStreamId: number) {
    this.#socket = socket;
    this.#options = options;
    this.#owner = owner;
    this.#nextId = firstStreamId;
    this.#outlet = new Outlet(socket, this);
    this.#bodies = new BodySender(this.#outlet.frames);
    this.#flood = new FloodGuard(() => options.clock.monotonic());
    this.#streamWindowBytes = Math.min(
      maxUint31,
      Math.max(defaultWindowBytes, options.maxResponseBytes + windowReserveBytes),
    );
    // What one turn brings is written at once: the kernel has nothing to wait for.
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("end", () => this.#die({ class: "closed" }));
    socket.on("error", (error: unknown) => (this.#socketError = error));
    socket.on("close", () => this.#die(this.#closeReason()));
    const { frames } = this.#outlet;
    frames.preface();
    frames.settings([
      [Setting.enablePush, 0],
      [Setting.initialWindowSize, this.#streamWindowBytes],
      [Setting.maxHeaderListSize, mostHeaderListBytes],
    ]);
    frames.windowUpdate(0, connectionWindowBytes - defaultWindowBytes);
    this.#outlet.flush();
  }

  get congested(): boolean {
    return this.#isGone || this.#outlet.waitingBytes > congestedBytes;
  }

  open(headers: readonly string[], body: string | Uint8Array, listener: StreamListener): Opened {
    const id = this.#nextId;
    if (this.#isGone || this.#isClosing || this.#isSentAway || id > maxUint31) return "gone";
    const isLast = body.length === 0;
    this.#writeHeaders(id, headers, isLast);
    const stream = new LeanStream(this, id, listener, this.#bodies.initialWindow, this.#streamWindowBytes);
    listener.stream = stream;
    this.#streams.add(id, stream);
    this.#nextId = id + 2;
    if (!isLast) this.#bodies.send(stream, body);
    this.#flood.requested();
    this.#outlet.flushSoon();
    return this.#nextId > maxUint31 ? "last" : "open";
  }

  ping(answered: () => void): boolean {
    if (this.#isGone || this.#isClosing) return false;
    this.#pings += 1;
    this.#pingAnswered = answered;
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(this.#pings, 4);
    this.#outlet.frames.ping(payload, false);
    this.#outlet.flushSoon();
    return true;
  }

  close(): void {
    if (this.#isGone || this.#isClosing) return;
    this.#isClosing = true;
    this.#outlet.frames.goaway(ErrorCode.none);
    this.#outlet.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  cancel(stream: LeanStream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#bodies.forget(stream);
    this.#outlet.frames.rstStream(stream.id, ErrorCode.cancel);
    this.#cancelled.add(stream);
    this.#outlet.flushSoon();
  }

  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): number {
    if (this.#isGone) return stop;
    if (!this.#isGreeted && (type !== FrameType.settings || (flags & Flag.ack) !== 0))
      return ErrorCode.protocol;
    if (!this.#flood.frame() || this.#outlet.waitingBytes > mostUnwrittenBytes)
      return ErrorCode.enhanceYourCalm;
    // Nothing may come between the parts of a header block (RFC 9113, 6.10).
    if (this.#block.isOpen && (type !== FrameType.continuation || id !== this.#block.streamId))
      return ErrorCode.protocol;
    switch (type) {
      case FrameType.data:
        return this.#onData(flags, id, bytes, start, end);
      case FrameType.headers:
        return this.#onHeaders(flags, id, bytes, start, end);
      case FrameType.continuation:
        return this.#onContinuation(flags, bytes.subarray(start, end));
      case FrameType.rstStream:
        return this.#onRstStream(id, bytes, start, end);
      case FrameType.settings:
        return this.#onSettings(flags, id, bytes, start, end);
      case FrameType.ping:
        return this.#onPing(flags, id, bytes, start, end);
      case FrameType.goaway:
        return this.#onGoaway(id, bytes, start, end);
      case FrameType.windowUpdate:
        return this.#onWindowUpdate(id, bytes, start, end);
      case FrameType.priority:
        if (id === 0) return ErrorCode.protocol;
        return end - start === 5 ? ErrorCode.none : ErrorCode.frameSize;
      case FrameType.pushPromise:
        // We have forbidden it (RFC 9113, 8.4).
        return ErrorCode.protocol;
      default:
        return ErrorCode.none;
    }
  }

  // What comes on streams.

  #onData(flags: number, id: number, bytes: Buffer, start: number, end: number): number {
    if (id === 0 || this.#isIdle(id)) return ErrorCode.protocol;
    // Padding counts too (RFC 9113, 6.9.1).
    if (!this.#received.take(end - start)) return ErrorCode.flowControl;
    const refill = this.#received.refill();
    if (refill > 0) this.#outlet.frames.windowUpdate(0, refill);
    const from = (flags & Flag.padded) === 0 ? start : start + 1;
    const to = (flags & Flag.padded) === 0 ? end : end - (bytes[start] ?? 0);
    if (to < from) return ErrorCode.protocol;
    const stream = this.#streams.get(id);
    // One that we have cancelled.
    if (stream === undefined) return ErrorCode.none;
    if (!stream.received.take(end - start)) this.#reset(stream, ErrorCode.flowControl);
    else if (!stream.isAnswered) this.#reset(stream, ErrorCode.protocol);
    else this.#onBody(stream, bytes.subarray(from, to), (flags & Flag.endStream) !== 0);
    return ErrorCode.none;
  }

  #onBody(stream: LeanStream, chunk: Buffer, isLast: boolean): void {
    if (stream.missingBytes !== undefined) stream.missingBytes -= chunk.length;
    if (chunk.length > 0) {
      this.#flood.useful(1);
      stream.listener.data(chunk);
    }
    // It may have had enough.
    if (!this.#streams.has(stream.id)) return;
    if (isLast) return this.#finish(stream);
    const refill = stream.received.refill();
    if (refill > 0) this.#outlet.frames.windowUpdate(stream.id, refill);
  }

  #onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): number {
    if (id === 0 || this.#isIdle(id)) return ErrorCode.protocol;
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      to -= bytes[start] ?? 0;
      from += 1;
    }
    // Priorities are a thing of the past (RFC 9113, 5.3.2).
    if ((flags & Flag.priority) !== 0) from += 5;
    if (to < from) return from > end ? ErrorCode.frameSize : ErrorCode.protocol;
    const endStream = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) return this.#onBlock(id, endStream, bytes, from, to);
    this.#block.begin(id, endStream, bytes.subarray(from, to));
    return ErrorCode.none;
  }

  #onContinuation(flags: number, fragment: Buffer): number {
    if (!this.#block.isOpen) return ErrorCode.protocol;
    const error = this.#block.add(fragment);
    if (error !== ErrorCode.none || (flags & Flag.endHeaders) === 0) return error;
    const { streamId, endStream } = this.#block;
    const whole = this.#block.take();
    return this.#onBlock(streamId, endStream, whole, 0, whole.length);
  }

  #onBlock(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): number {
    const head = this.#head;
    head.begin();
    // Also when nobody waits for it: later blocks build on it.
    if (!this.#decoder.decode(bytes, start, end, head)) return ErrorCode.compression;
    const stream = this.#streams.get(id);
    if (stream === undefined) return ErrorCode.none;
    if (stream.isAnswered) {
      // Trailers end the answer and are of no interest (RFC 9113, 8.1).
      if (head.status !== 0 || head.isMalformed || !endStream) this.#reset(stream, ErrorCode.protocol);
      else this.#finish(stream);
      return ErrorCode.none;
    }
    const { status } = head;
    const isInterim = status < 200;
    if (status === 0 || status === 101 || head.isMalformed || (isInterim && endStream)) {
      this.#reset(stream, ErrorCode.protocol);
      return ErrorCode.none;
    }
    if (!isInterim) {
      stream.isAnswered = true;
      if (status !== 204 && status !== 304) stream.missingBytes = head.contentLength;
    }
    stream.listener.head(status, head.headers);
    if (endStream && this.#streams.has(id)) this.#finish(stream);
    return ErrorCode.none;
  }

  #onRstStream(id: number, bytes: Buffer, start: number, end: number): number {
    if (end - start !== 4) return ErrorCode.frameSize;
    if (id === 0 || this.#isIdle(id)) return ErrorCode.protocol;
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#end(stream, bytes.readUInt32BE(start));
    return ErrorCode.none;
  }

  // What comes for the connection.

  #onSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): number {
    if (id !== 0) return ErrorCode.protocol;
    if ((flags & Flag.ack) !== 0) return end === start ? ErrorCode.none : ErrorCode.frameSize;
    const settings = readSettings(bytes, start, end);
    if (typeof settings === "number") return settings;
    this.#isGreeted = true;
    this.#maxConcurrentStreams = settings.maxConcurrentStreams ?? this.#maxConcurrentStreams;
    this.#bodies.maxFrameBytes = settings.maxFrameSize ?? this.#bodies.maxFrameBytes;
    if (settings.headerTableSize !== undefined) this.#encoder.setPeerTableSize(settings.headerTableSize);
    this.#outlet.frames.settingsAck();
    const window = settings.initialWindowSize ?? this.#bodies.initialWindow;
    const error = this.#bodies.setInitialWindow(window, this.#streams.all());
    if (error === ErrorCode.none) this.#owner.settings(this.#maxConcurrentStreams);
    return error;
  }

  #onPing(flags: number, id: number, bytes: Buffer, start: number, end: number): number {
    if (id !== 0) return ErrorCode.protocol;
    if (end - start !== 8) return ErrorCode.frameSize;
    if ((flags & Flag.ack) === 0) {
      this.#outlet.frames.ping(bytes.subarray(start, end), true);
      this.#owner.heard();
      return ErrorCode.none;
    }
    const isOurs = bytes.readUInt32BE(start) === 0 && bytes.readUInt32BE(start + 4) === this.#pings;
    const answered = this.#pingAnswered;
    if (!isOurs || answered === undefined) return ErrorCode.none;
    this.#pingAnswered = undefined;
    answered();
    return ErrorCode.none;
  }

  #onGoaway(id: number, bytes: Buffer, start: number, end: number): number {
    if (id !== 0) return ErrorCode.protocol;
    if (end - start < 8) return ErrorCode.frameSize;
    // The reserved bit is ignored; a later one may lower the last id and never raise it (RFC 9113, 6.8).
    const last = Math.min(this.#lastAllowedId, bytes.readUInt32BE(start) & 0x7fff_ffff);
    const code = bytes.readUInt32BE(start + 4);
    this.#lastAllowedId = last;
    this.#isSentAway = true;
    // What was opened in this very turn must not go out here when it goes again elsewhere.
    this.#outlet.frames.dropStreamsAbove(last);
    this.#owner.goaway(code, last, bytes.subarray(start + 8, end));
    for (const stream of this.#streams.all()) {
      if (stream.id > last && this.#streams.has(stream.id)) this.#end(stream, ErrorCode.refusedStream);
    }
    if (code === ErrorCode.none || this.#isGone) return ErrorCode.none;
    if (this.#streams.size === 0) this.#die({ class: "closed" });
    else this.#cancelLastWords ??= this.#options.clock.schedule(lastWordsMs, () => this.destroy());
    return ErrorCode.none;
  }

  #onWindowUpdate(id: number, bytes: Buffer, start: number, end: number): number {
    if (end - start !== 4) return ErrorCode.frameSize;
    const increment = bytes.readUInt32BE(start) & 0x7fff_ffff;
    const { frames } = this.#outlet;
    const lengthBefore = frames.length;
    let error: number = ErrorCode.none;
    if (id === 0) error = increment === 0 ? ErrorCode.protocol : this.#bodies.grant(increment);
    else if (this.#isIdle(id)) return ErrorCode.protocol;
    else this.#grantTo(this.#streams.get(id), increment);
    // However narrow its windows are: what moves a body on, here and on the connection, is no flood.
    if (frames.length > lengthBefore) this.#flood.useful(2);
    return error;
  }

  #grantTo(stream: LeanStream | undefined, increment: number): void {
    if (stream === undefined) return;
    const error = increment === 0 ? ErrorCode.protocol : this.#bodies.grantTo(stream, increment);
    if (error !== ErrorCode.none) this.#reset(stream, error);
  }

  // How streams end.

  /** Never opened by us, or by a HEADERS frame that the peer cannot have seen. */
  #isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#lastWrittenId;
  }

  /** The peer has said all that it will. */
  #finish(stream: LeanStream): void {
    this.#streams.delete(stream.id);
    if (stream.rest !== undefined) {
      // It did not want the whole request (RFC 9113, 8.1).
      this.#bodies.forget(stream);
      this.#outlet.frames.rstStream(stream.id, ErrorCode.none);
    }
    // An answer of another length than it says is cut.
    if ((stream.missingBytes ?? 0) === 0) stream.listener.closed();
    else stream.listener.closed(endOf(stream, ErrorCode.protocol));
  }

  /** The peer breaks a rule on this stream. */
  #reset(stream: LeanStream, code: number): void {
    this.#outlet.frames.rstStream(stream.id, code);
    this.#end(stream, code);
  }

  #end(stream: LeanStream, rstCode: number): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#bodies.forget(stream);
    stream.listener.closed(endOf(stream, rstCode));
  }

  // Reading and writing.

  /** What is written now may reach the peer; what was cancelled has been said with it. */
  leaving(): () => void {
    this.#lastWrittenId = this.#nextId - 2;
    const told = this.#cancelled.size === 0 ? undefined : [...this.#cancelled];
    const wasCongested = this.congested;
    return () => {
      for (const stream of told ?? []) {
        if (this.#cancelled.delete(stream)) stream.listener.closed(endOf(stream, ErrorCode.cancel));
      }
      if (wasCongested && !this.congested) this.#owner.eased();
    };
  }

  #read(chunk: Buffer): void {
    if (this.#isGone) return;
    const result = this.#reader.push(chunk, this);
    if (!this.#isGone && result !== ErrorCode.none) this.#fail(result);
    // Whatever the frames asked for.
    else this.#outlet.flushSoon();
  }

  /** The peer breaks a rule of the connection's. */
  #fail(code: number): void {
    // So that what had not left yet is certainly unsent.
    this.#outlet.discard();
    this.#outlet.frames.goaway(code);
    this.#socket.write(this.#outlet.frames.take());
    this.#die({ class: "protocol", detail: rstCodeName(code) });
  }

  #writeHeaders(id: number, headers: readonly string[], isLast: boolean): void {
    const writer = this.#outlet.frames;
    writer.reserve(frameHeadBytes + this.#encoder.measure(headers));
    const at = writer.length;
    const end = this.#encoder.encode(headers, writer.bytes, at + frameHeadBytes);
    const length = end - at - frameHeadBytes;
    if (length > this.#bodies.maxFrameBytes) {
      const block = Buffer.from(writer.bytes.subarray(at + frameHeadBytes, end));
      return writer.headers(id, block, isLast, this.#bodies.maxFrameBytes);
    }
    const flags = isLast ? Flag.endHeaders | Flag.endStream : Flag.endHeaders;
    writer.headAt(at, length, FrameType.headers, flags, id);
    writer.length = end;
  }

  #closeReason(): NetFailure {
    return this.#socketError === undefined ? { class: "closed" } : classifyNetError(this.#socketError);
  }

  #die(failure: NetFailure): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#cancelLastWords?.();
    this.#pingAnswered = undefined;
    for (const stream of [...this.#streams.all(), ...this.#cancelled]) {
      this.#bodies.forget(stream);
      const streamId = stream.id > this.#lastWrittenId ? undefined : stream.id;
      stream.listener.closed({ streamId, rstCode: undefined, failure, wireGone: true });
    }
    this.#streams.clear();
    this.#cancelled.clear();
    this.#socket.destroy();
    this.#owner.gone(failure);
  }
}

function endOf(stream: LeanStream, rstCode: number): StreamEnd {
  return { streamId: stream.id, rstCode, failure: undefined, wireGone: false };
}
