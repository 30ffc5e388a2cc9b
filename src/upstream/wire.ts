import type { IncomingHttpHeaders } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import type { NetFailure } from "./net-error.ts";

/** Headers that never get into a compression table: the device token is in the one, the credential in the other. */
export const neverIndexed: readonly string[] = [":path", "authorization"];

/** What kept a stream from a whole answer. */
export interface StreamEnd {
  /** Undefined when nothing of it was handed to the network. */
  readonly streamId: number | undefined;
  /** Of the RST_STREAM that ended it; undefined when none did. */
  readonly rstCode: number | undefined;
  /** What the connection failed with, when it did. */
  readonly failure: NetFailure | undefined;
  /** The connection is gone, not the stream alone. */
  readonly wireGone: boolean;
}

/** Who hears what comes on one stream. */
export interface StreamListener {
  /** Our hold on the stream; set by the wire when it opens it. */
  stream: StreamControl | undefined;
  /** The head of an answer, or of an interim one (1xx). */
  head(status: number, headers: IncomingHttpHeaders): void;
  /** Bytes of the answer's body. They may be reused after the call. */
  data(chunk: Buffer): void;
  /** The last call, exactly once: the stream's place is free. Without `end` the answer came whole. */
  closed(end?: StreamEnd): void;
}

/** What may be done to an open stream. */
export interface StreamControl {
  /** Tells the peer CANCEL; `closed` follows when that has been written. Does nothing on a stream that has ended. */
  cancel(): void;
}

/** What became of an attempt to open a stream: `last` is open, but no other will open here. */
export type Opened = "open" | "last" | "gone";

/**
 * HTTP/2 on one socket: frames, header compression, flow control. It knows nothing of time, of pools, or of what an
 * answer means. Its owner and the streams' listeners are never called from within `open`, `close` or `destroy`.
 */
export interface Wire {
  /** So much waits for the network that nothing should be added. */
  readonly congested: boolean;
  /**
   * Opens a stream, body included. `headers` are names and values in turn, pseudo headers first. `gone`: nothing was
   * sent, the listener will hear nothing. Throws for headers that HTTP/2 cannot carry, which is a bug of the caller's.
   */
  open(headers: readonly string[], body: string | Uint8Array, listener: StreamListener): Opened;
  /** False when none can be sent any more. One at a time. */
  ping(answered: () => void): boolean;
  /** With no stream open: says goodbye, and is gone when the peer hangs up. */
  close(): void;
  /** Cuts the connection; streams end, then the owner hears `gone`. */
  destroy(): void;
}

/** Who hears what happens to the connection as a whole. */
export interface WireOwner {
  /** The peer's SETTINGS, the first and each later one: how many streams it allows, undefined when it names no limit. */
  settings(maxConcurrentStreams: number | undefined): void;
  /** GOAWAY, before the streams that it refuses are closed. `debugData` is the peer's, of any length. */
  goaway(code: number, lastStreamId: number, debugData: Uint8Array | undefined): void;
  /** Something came that is no answer: the peer lives. */
  heard(): void;
  /** It is no longer congested. */
  eased(): void;
  /** The last call, once: all streams have been closed before. */
  gone(failure: NetFailure): void;
}

/** What a wire is opened with. */
export interface WireOptions {
  readonly origin: URL;
  /** What a listener keeps of an answer's body at most: how far a peer may send ahead. */
  readonly maxResponseBytes: number;
  readonly clock: Clock;
}

/** Starts HTTP/2 on a socket whose TLS stands and has agreed on `h2`. Calls back later, never from within. */
export type OpenWire = (socket: TLSSocket, options: WireOptions, owner: WireOwner) => Wire;
