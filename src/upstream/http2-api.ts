import type { IncomingHttpHeaders } from "node:http2";
import type { LookupFunction } from "node:net";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { UpstreamTls } from "./connect.ts";
import type { NetErrorClass } from "./net-error.ts";
import type { PingPolicy } from "./ping-watch.ts";
import type { LostReason } from "./stream-verdict.ts";
import type { OpenWire } from "./wire.ts";

/** Who speaks HTTP/2: Node's own client, or ours (docs/decisions/lean-http2.md). */
export type Http2Client = "node" | "lean";

/** What a pool must know, and what it may be told. */
export interface Http2PoolOptions<State> {
  /** `https://api.push.apple.com`; path and query are ignored. */
  readonly origin: URL;
  readonly tls?: UpstreamTls;
  /** Forward proxy, `http://[user:password@]host[:port]`. */
  readonly proxy?: URL;
  /** Instead of the system's, at every connect; not asked with a proxy, nor for an address. */
  readonly lookup?: LookupFunction;
  /** What speaks HTTP/2 on its sockets, by name or as itself. Default `node`. */
  readonly client?: Http2Client | OpenWire;
  /** Connections that take requests; draining ones come on top. Default 2. */
  readonly maxSessions?: number;
  /** Requests that may wait; the next ends at once as unsent, `queue-full`. Default 10,000. */
  readonly maxQueued?: number;
  /** PING on a connection without work; null (the default) never: Google hangs up on them. */
  readonly idlePing?: PingPolicy | null;
  /** PING when the oldest request has waited that long and nothing came. Default after 5 s, 10 s for the answer. */
  readonly busyPing?: PingPolicy;
  /** Name, TCP, proxy, TLS and the first SETTINGS together. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** Between the starts of two connects. Default 1 s. */
  readonly connectIntervalMs?: number;
  /** Bounds of the wait after failed connects. Default 100 ms to 30 s, 8 s when only the network or a proxy failed. */
  readonly connectBackoff?: { readonly minMs: number; readonly maxMs: number; readonly outageMaxMs: number };
  /** From `request()` to its result at the latest: waiting, connecting and resending included. Default 10 s. */
  readonly requestTimeoutMs?: number;
  /** The rest of a longer answer is not read. Default 64 KiB. */
  readonly maxResponseBytes?: number;
  /** Streams open on one connection at most, when the peer allows more. Default 1000. */
  readonly maxStreamsPerSession?: number;
  /** Requests on one connection before it is replaced. Default 10^9, just below what HTTP/2 has ids for. */
  readonly maxRequestsPerSession?: number;
  /** Called for each new connection: what belongs to it alone, such as the provider token that it first used. */
  readonly createState: () => State;
  readonly clock: Clock;
  readonly log: Log;
  /** For the jitter. Default Math.random. */
  readonly random?: () => number;
}

/** A request. Method POST; the pool adds the pseudo headers. */
export interface Http2Request<State> {
  readonly path: string;
  /**
   * Names in lower case. Called with the connection's state just before sending, and again when the request is sent
   * again on another connection. `authorization` is never put into a compression table.
   */
  headers(state: State): Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** The connection that a request went through. */
export interface SessionHandle<State> {
  readonly state: State;
  /** Lets it finish what it has and take nothing new. */
  retire(): void;
}

/** Why a request was not sent. Beside what kept the connection from standing: */
export type UnsentReason =
  | NetErrorClass
  | "queue-full"
  /** Its time was up while it waited for a free stream or a connection. */
  | "queue-timeout"
  /** The peer refused it unprocessed again and again. */
  | "refused-stream"
  | "aborted"
  | "pool-closed";

/** How a request ended. */
export type Http2Result<State> =
  /** The upstream answered, whatever it said. */
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: string;
      /** The body was cut at the limit, or ended early. */
      readonly truncated: boolean;
      readonly session: SessionHandle<State>;
      /** From `request()` until it was written (for the last time). */
      readonly queueMs: number;
    }
  /** Certainly not processed by the upstream. */
  | {
      readonly kind: "unsent";
      readonly reason: UnsentReason;
      /** An error code, or the reason that the peer gave; fit for a log. */
      readonly detail?: string;
      /** What a proxy answered to CONNECT. */
      readonly status?: number;
      /** No connect will be tried before. */
      readonly retryAfterMs?: number;
      readonly queueMs: number;
    }
  /** Sent and not answered: the upstream may have taken it. */
  | {
      readonly kind: "unknown";
      readonly reason: LostReason;
      readonly detail?: string;
      readonly session: SessionHandle<State>;
      readonly queueMs: number;
    };

/** A pool at a glance. */
export interface Http2PoolStats {
  readonly connecting: number;
  readonly ready: number;
  /** On their way out, sockets included. */
  readonly draining: number;
  /** Open streams. */
  readonly active: number;
  readonly queued: number;
}
