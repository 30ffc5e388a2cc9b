import http2, { type ClientHttp2Session, type ClientHttp2Stream, type Settings } from "node:http2";
import type { TLSSocket } from "node:tls";
import { classifyNetError, errorCode, type NetFailure } from "./net-error.ts";
import {
  neverIndexed,
  type Opened,
  type StreamListener,
  type Wire,
  type WireOptions,
  type WireOwner,
} from "./wire.ts";

const sensitive = { [http2.sensitiveHeaders]: neverIndexed };
/** Node ends a session whose frames in memory pass this (its default of 10 is less than a busy session's 1000 bodies). */
const maxSessionMemoryMb = 64;

/** The wire on Node's own HTTP/2 (nghttp2). */
export function openNodeWire(socket: TLSSocket, options: WireOptions, owner: WireOwner): Wire {
  return new NodeWire(socket, options, owner);
}

class NodeWire implements Wire {
  /** Node buffers what the network does not take, and does not tell. */
  readonly congested = false;
  readonly #socket: TLSSocket;
  readonly #client: ClientHttp2Session;
  #goneTold = false;

  constructor(socket: TLSSocket, options: WireOptions, owner: WireOwner) {
    this.#socket = socket;
    this.#client = http2.connect(options.origin, {
      createConnection: () => socket,
      settings: { enablePush: false },
      maxSessionMemory: maxSessionMemoryMb,
    });
    const gone = (failure: NetFailure): void => {
      if (this.#goneTold) return;
      this.#goneTold = true;
      owner.gone(failure);
    };
    this.#client.on("remoteSettings", (settings: Settings) => owner.settings(settings.maxConcurrentStreams));
    // Runs before Node closes the session (NO_ERROR) or destroys it (any other code).
    this.#client.on("goaway", (code: number, lastStreamId: number, data?: Uint8Array) =>
      owner.goaway(code, lastStreamId, data),
    );
    this.#client.on("ping", () => owner.heard());
    this.#client.on("error", (error) => gone(classifyNetError(error)));
    this.#client.on("close", () => gone({ class: "closed" }));
  }

  open(headers: readonly string[], body: string | Uint8Array, listener: StreamListener): Opened {
    let stream: ClientHttp2Stream;
    try {
      stream = this.#client.request(Object.assign([...headers], sensitive), { endStream: false });
    } catch (error) {
      // Node 24 reports these two on the stream; versions before threw them here.
      const code = errorCode(error);
      if (code !== "ERR_HTTP2_GOAWAY_SESSION" && code !== "ERR_HTTP2_INVALID_SESSION") throw error;
      return "gone";
    }
    listener.stream = { cancel: () => stream.close(http2.constants.NGHTTP2_CANCEL) };
    // Tables of Node's own keep closed streams from the garbage (`LinkedList` says how): the stream alone, not its push.
    let told: StreamListener | undefined = listener;
    let failed: unknown;
    stream.on("response", (head) => told?.head(head[":status"] ?? 0, head));
    stream.on("data", (chunk: Buffer) => told?.data(chunk));
    stream.on("error", (error: unknown) => (failed = error));
    stream.on("close", () => {
      const hears = told;
      told = undefined;
      if (hears !== undefined) this.#onClose(stream, failed, hears);
    });
    stream.end(body);
    return stream.id === undefined ? "last" : "open";
  }

  ping(answered: () => void): boolean {
    const client = this.#client;
    // On a destroyed session it would throw.
    if (client.destroyed || client.closed) return false;
    client.ping((error) => {
      if (error === null) answered();
    });
    return true;
  }

  close(): void {
    this.#client.close();
  }

  destroy(): void {
    this.#client.destroy();
    // A dead peer never acknowledges the end that Node waits for.
    this.#socket.destroy();
  }

  #onClose(stream: ClientHttp2Stream, failed: unknown, listener: StreamListener): void {
    const wireGone = this.#client.destroyed || this.#socket.destroyed;
    // The first stream of a cut connection may end in order.
    if (stream.rstCode === 0 && failed === undefined && !wireGone) return listener.closed();
    const failure = failed === undefined ? undefined : classifyNetError(failed);
    // Node says ERR_HTTP2_STREAM_ERROR for a stream of a cut connection: that is no fault in the protocol.
    const isReal = failure !== undefined && failure.detail !== "ERR_HTTP2_STREAM_ERROR";
    const { id: streamId, rstCode } = stream;
    listener.closed({ streamId, rstCode, failure: isReal ? failure : undefined, wireGone });
  }
}
