import type { IncomingHttpHeaders } from "node:http2";
import type { Linked } from "../linked-list.ts";
import type { LostReason, StreamVerdict } from "./stream-verdict.ts";
import type { StreamControl, StreamEnd, StreamListener } from "./wire.ts";

/** The answer as it came. */
export interface UpstreamResponse {
  readonly kind: "response";
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body was longer than allowed, or ended early; the status counts all the same. */
  readonly truncated: boolean;
}

/** How an exchange ended. */
export type ExchangeEnd = UpstreamResponse | StreamVerdict;

/** Who sent the request: is told once how it ended. */
export interface ExchangeSink {
  /** When it must have ended, by the monotonic clock. */
  readonly deadlineMs: number;
  exchangeEnded(end: ExchangeEnd): void;
}

/** The connection as one of its exchanges sees it. */
export interface ExchangeHost {
  readonly maxResponseBytes: number;
  /** Something of an answer has come. */
  heardAnswer(): void;
  /** The status of an answer has come. */
  answered(): void;
  /** Judges a stream that closed without an answer. */
  verdict(end: StreamEnd): StreamVerdict;
  /** The stream is closed and its place is free. Called once for every exchange. */
  released(exchange: Exchange): void;
}

const endedInOrder: StreamEnd = {
  streamId: 0,
  rstCode: undefined,
  failure: undefined,
  wireGone: false,
};

/** One request on one stream: collects the bounded answer and tells its sender, once, how it ended. */
export class Exchange implements StreamListener, Linked<Exchange> {
  readonly sink: ExchangeSink;
  readonly openedAtMs: number;
  stream: StreamControl | undefined;
  earlier: Exchange | undefined;
  later: Exchange | undefined;
  readonly #host: ExchangeHost;
  #settled = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #chunks: Buffer[] | undefined;
  #bytes = 0;

  constructor(host: ExchangeHost, sink: ExchangeSink, openedAtMs: number) {
    this.#host = host;
    this.sink = sink;
    this.openedAtMs = openedAtMs;
  }

  /** Its sender has been told; the stream may still be closing. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Ends it from our side; its place on the connection becomes free when the peer has been told. */
  cancel(reason: LostReason): void {
    this.stream?.cancel();
    this.#settle({ kind: "lost", reason }, true);
  }

  head(status: number, headers: IncomingHttpHeaders): void {
    this.#host.heardAnswer();
    // An interim answer is of no interest (RFC 9110, 15.2).
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    this.#host.answered();
  }

  data(chunk: Buffer): void {
    this.#host.heardAnswer();
    if (this.#settled || chunk.length === 0) return;
    const room = this.#host.maxResponseBytes - this.#bytes;
    // A copy: the chunk is a part of what was read, which must not be kept for as long as the answer takes.
    const kept = Buffer.from(chunk.length > room ? chunk.subarray(0, room) : chunk);
    this.#bytes += kept.length;
    if (this.#chunks === undefined) this.#chunks = [kept];
    else this.#chunks.push(kept);
    if (kept.length === chunk.length) return;
    this.stream?.cancel();
    this.#settle({ kind: "lost", reason: "protocol" }, true);
  }

  closed(end?: StreamEnd): void {
    if (!this.#settled) {
      if (this.#status === 0) this.#settle(this.#host.verdict(end ?? endedInOrder), false);
      else this.#settle(undefined, end !== undefined);
    }
    this.#host.released(this);
  }

  /** An answer whose status has come is an answer, whatever happened to the rest of it. */
  #settle(otherwise: StreamVerdict | undefined, truncated: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#status === 0 && otherwise !== undefined) return this.sink.exchangeEnded(otherwise);
    const chunks = this.#chunks;
    const body =
      chunks === undefined ? "" : chunks.length === 1 ? String(chunks[0]) : String(Buffer.concat(chunks));
    this.#chunks = undefined;
    this.sink.exchangeEnded({
      kind: "response",
      status: this.#status,
      headers: this.#headers,
      body,
      truncated,
    });
  }
}
