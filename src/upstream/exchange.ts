import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import type { LostReason, StreamVerdict } from "./stream-verdict.ts";

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
  /** The connection is cut: a stream without an error may have ended early all the same. */
  readonly gone: boolean;
  /** The peer gave a sign of life. */
  heard(): void;
  /** The status of an answer has come. */
  answered(): void;
  /** Judges a stream that closed without an answer. */
  verdict(stream: ClientHttp2Stream, error: unknown): StreamVerdict;
  /** The stream is closed and its place is free. Called once for every exchange. */
  released(exchange: Exchange): void;
}

const refused: StreamVerdict = { kind: "refused" };

/** One request on one stream: collects the bounded answer and tells its sender, once, how it ended. */
export class Exchange {
  readonly sink: ExchangeSink;
  readonly openedAtMs: number;
  readonly #stream: ClientHttp2Stream;
  readonly #host: ExchangeHost;
  #settled = false;
  #error: unknown;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #chunks: Buffer[] | undefined;
  #bytes = 0;

  constructor(stream: ClientHttp2Stream, host: ExchangeHost, sink: ExchangeSink, openedAtMs: number) {
    this.#stream = stream;
    this.#host = host;
    this.sink = sink;
    this.openedAtMs = openedAtMs;
    stream.on("response", (headers) => this.#onResponse(headers));
    stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    stream.on("error", (error: unknown) => {
      this.#error = error;
    });
    stream.on("close", () => this.#onClose());
  }

  /** Its sender has been told; the stream may still be closing. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Ends it from our side; its place on the connection becomes free when the peer has been told. */
  cancel(reason: LostReason): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#settle({ kind: "lost", reason }, true);
  }

  #onResponse(headers: IncomingHttpHeaders & { ":status"?: number | undefined }): void {
    const status = headers[":status"];
    this.#host.heard();
    // 1xx comes as 'headers' and is of no interest (RFC 9110, 15.2).
    if (status === undefined || status < 200) return;
    this.#status = status;
    this.#headers = headers;
    this.#host.answered();
  }

  #onData(chunk: Buffer): void {
    this.#host.heard();
    if (this.#settled || chunk.length === 0) return;
    const room = this.#host.maxResponseBytes - this.#bytes;
    const kept = chunk.length > room ? chunk.subarray(0, room) : chunk;
    this.#bytes += kept.length;
    if (this.#chunks === undefined) this.#chunks = [kept];
    else this.#chunks.push(kept);
    if (kept.length === chunk.length) return;
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#settle({ kind: "lost", reason: "protocol" }, true);
  }

  #onClose(): void {
    if (!this.#settled) {
      if (this.#status === 0) this.#settle(this.#host.verdict(this.#stream, this.#error), false);
      else this.#settle(refused, this.#stream.rstCode !== 0 || this.#error !== undefined || this.#host.gone);
    }
    this.#host.released(this);
  }

  /** An answer whose status has come is an answer, whatever happened to the rest of it. */
  #settle(otherwise: StreamVerdict, truncated: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#status === 0) return this.sink.exchangeEnded(otherwise);
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
