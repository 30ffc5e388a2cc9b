import http2, { type ClientHttp2Session, type ClientHttp2Stream, type Settings } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Connector } from "./connect.ts";
import { Exchange, type ExchangeHost, type ExchangeSink } from "./exchange.ts";
import { classifyNetError, errorCode, type NetFailure } from "./net-error.ts";
import {
  goawayReason,
  rstCodeName,
  streamVerdict,
  type Goaway,
  type LostReason,
  type StreamVerdict,
} from "./stream-verdict.ts";

/** When to ask a silent peer for a sign of life, and how long to wait for it. */
export interface PingPolicy {
  readonly afterMs: number;
  readonly timeoutMs: number;
}

/** What all sessions of a pool have in common. */
export interface Http2SessionOptions {
  readonly origin: URL;
  readonly connect: Connector;
  /** TCP, proxy, TLS and the peer's first SETTINGS together. */
  readonly connectTimeoutMs: number;
  readonly idlePing: PingPolicy | null;
  readonly busyPing: PingPolicy;
  readonly maxResponseBytes: number;
  /** Never more streams than this, whatever the peer allows. */
  readonly maxStreams: number;
  /** Drained after so many requests: stream ids are finite (2^30 requests). */
  readonly maxRequests: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a session tells its pool. */
export interface Http2SessionOwner {
  /** Something may be sent now that could not before, or this session will not send any more. */
  changed(): void;
  /** The first answer on this session has come: connecting here makes sense. */
  proved(): void;
  /** It failed before it answered anything: the next connect must wait. At most once. */
  fruitless(failure: NetFailure): void;
  /** All its sockets are gone. The last call. */
  closed(): void;
}

/**
 * The life of a connection; each state can do what it names and nothing else.
 * `connecting` TCP, proxy and TLS · `greeting` waits for the peer's first SETTINGS · `ready` takes requests ·
 * `draining` finishes those it has · `closing` sockets going down · `closed`.
 */
type Phase =
  | { readonly tag: "connecting"; readonly abort: AbortController }
  | { readonly tag: "greeting" | "ready" | "draining" | "closing"; readonly wire: Wire }
  | { readonly tag: "closed" };

interface Wire {
  readonly client: ClientHttp2Session;
  readonly socket: TLSSocket;
}

/** A PING unanswered for so long makes us prefer other connections, long before it counts as dead. */
const suspectAfterMs = 1000;
/** The pause after ENHANCE_YOUR_CALM. */
const calmMs = 1000;
/** A cancelled stream that is still open so long after its time was up means that nothing is written any more. */
const stuckMs = 5000;
/** How long the peer may take to hang up after we did. */
const hangUpMs = 1000;
/** Node ends a session whose frames in memory pass this (its default of 10 is less than a busy session's 1000 bodies). */
const maxSessionMemoryMb = 64;

/** One HTTP/2 connection to an upstream. Its pool decides what goes through it; this class knows when it may. */
export class Http2Session implements ExchangeHost {
  readonly maxResponseBytes: number;
  readonly #options: Http2SessionOptions;
  readonly #owner: Http2SessionOwner;
  readonly #startedAtMs: number;
  readonly #active = new Set<Exchange>();
  #phase: Phase;
  #cancelTimer: () => void;
  #limit = 0;
  #requests = 0;
  #answers = 0;
  #goaway: Goaway | undefined;
  #ended: LostReason | undefined;
  #fruitlessTold = false;
  #lastHeardMs: number;
  #lastAnswerMs = 0;
  #pingSentMs: number | undefined;
  #requestsAtLastPing = -1;
  #suspect = false;
  #calmUntilMs: number | undefined;
  #timeoutsInARow = 0;

  constructor(options: Http2SessionOptions, owner: Http2SessionOwner) {
    this.#options = options;
    this.#owner = owner;
    this.maxResponseBytes = options.maxResponseBytes;
    this.#startedAtMs = options.clock.monotonic();
    this.#lastHeardMs = this.#startedAtMs;
    const abort = new AbortController();
    this.#phase = { tag: "connecting", abort };
    this.#cancelTimer = options.clock.schedule(options.connectTimeoutMs, () =>
      this.#fail({ class: "timeout" }),
    );
    void this.#connect(abort.signal);
  }

  /** How many more requests it takes now; 0 unless ready. */
  get capacity(): number {
    if (this.#phase.tag !== "ready" || this.#suspect || this.#calmUntilMs !== undefined) return 0;
    return this.#limit - this.#active.size;
  }

  /** Streams that are open. */
  get active(): number {
    return this.#active.size;
  }

  /** On its way to be ready. */
  get connecting(): boolean {
    return this.#phase.tag === "connecting" || this.#phase.tag === "greeting";
  }

  /** In the pool's service. */
  get ready(): boolean {
    return this.#phase.tag === "ready";
  }

  /** Takes requests, if perhaps not at once: what waits may wait for it. */
  get usable(): boolean {
    return this.#phase.tag === "ready" && !this.#suspect;
  }

  get gone(): boolean {
    const phase = this.#phase;
    if (phase.tag === "closed" || phase.tag === "connecting") return true;
    return phase.wire.client.destroyed || phase.wire.socket.destroyed;
  }

  /** Needs `sweep` soon although none of its requests may be waiting: a PING or a cancelled stream is out, or it pauses. */
  get unsettled(): boolean {
    return this.#pingSentMs !== undefined || this.#calmUntilMs !== undefined || this.#active.size > 0;
  }

  /** Asked to slow down: opening another connection would be the wrong answer. */
  get calming(): boolean {
    return this.#calmUntilMs !== undefined;
  }

  /**
   * Opens a stream, body included; only with `capacity` above 0. `headers` are names and values in turn. Returns
   * undefined when the connection turned out to be gone: nothing was sent then. Throws for headers that HTTP/2
   * cannot carry, which is a bug of the caller's.
   */
  send(headers: readonly string[], body: string | Uint8Array, sink: ExchangeSink): Exchange | undefined {
    const phase = this.#phase;
    if (phase.tag !== "ready") return undefined;
    let stream: ClientHttp2Stream;
    try {
      stream = phase.wire.client.request(headers, { endStream: false });
    } catch (error) {
      // Node 24 reports these two on the stream; versions before threw them here.
      const code = errorCode(error);
      if (code !== "ERR_HTTP2_GOAWAY_SESSION" && code !== "ERR_HTTP2_INVALID_SESSION") throw error;
      this.retire();
      return undefined;
    }
    const nowMs = this.#options.clock.monotonic();
    const exchange = new Exchange(stream, this, sink, nowMs);
    this.#active.add(exchange);
    stream.end(body);
    this.#requests += 1;
    if (this.#requests >= this.#options.maxRequests || stream.id === undefined) this.retire();
    return exchange;
  }

  /** Takes no new requests, finishes those it has, then closes. */
  retire(): void {
    const phase = this.#phase;
    switch (phase.tag) {
      case "connecting":
      case "greeting":
        this.#close("pool-closed");
        break;
      case "ready":
        this.#phase = { tag: "draining", wire: phase.wire };
        this.#hangUpIfDrained();
        this.#owner.changed();
        break;
      case "draining":
      case "closing":
      case "closed":
        break;
    }
  }

  /** Closes now; what is in flight is lost for the given reason. */
  destroy(reason: LostReason): void {
    this.#close(reason);
  }

  /** Called every so often with the monotonic time: ends what is overdue, asks silent peers for a sign of life. */
  sweep(nowMs: number): void {
    const phase = this.#phase;
    if (phase.tag !== "ready" && phase.tag !== "draining") return;
    let stuck = false;
    for (const exchange of this.#active) {
      const overdueMs = nowMs - exchange.sink.deadlineMs;
      if (overdueMs < 0) continue;
      if (exchange.settled) {
        stuck ||= overdueMs >= stuckMs;
        continue;
      }
      this.#timeoutsInARow += 1;
      exchange.cancel("request-timeout");
    }
    // Not even a RST_STREAM gets out, and a draining connection may not PING.
    if (stuck) return this.#close("no-ping-ack");
    // PINGs are answered, requests are not: whatever hangs there, a new connection may not meet it.
    if (this.#timeoutsInARow >= 2 && nowMs - this.#lastAnswerMs >= this.#options.busyPing.afterMs)
      this.retire();
    if (this.#calmUntilMs !== undefined && nowMs >= this.#calmUntilMs) {
      this.#calmUntilMs = undefined;
      this.#owner.changed();
    }
    this.#watch(phase.wire.client, nowMs);
  }

  heard(): void {
    this.#lastHeardMs = this.#options.clock.monotonic();
    this.#lastAnswerMs = this.#lastHeardMs;
    this.#timeoutsInARow = 0;
  }

  answered(): void {
    this.#answers += 1;
    if (this.#answers === 1) this.#owner.proved();
  }

  verdict(stream: ClientHttp2Stream, error: unknown): StreamVerdict {
    const verdict = streamVerdict({
      streamId: stream.id,
      rstCode: stream.rstCode,
      error,
      goaway: this.#goaway,
      ended: this.#ended,
      sessionGone: this.gone,
    });
    if (verdict.kind === "lost" && verdict.reason === "calm") {
      this.#calmUntilMs = this.#options.clock.monotonic() + calmMs;
    }
    return verdict;
  }

  released(exchange: Exchange): void {
    this.#active.delete(exchange);
    if (this.#phase.tag === "draining") this.#hangUpIfDrained();
    else this.#owner.changed();
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const connected = await this.#options.connect(signal);
    if (this.#phase.tag !== "connecting") {
      if (connected.ok) connected.socket.destroy();
      return;
    }
    if (!connected.ok) return this.#fail(connected.failure);
    const { socket } = connected;
    if (socket.destroyed) return this.#fail({ class: "closed" });
    const client = http2.connect(this.#options.origin, {
      createConnection: () => socket,
      settings: { enablePush: false },
      maxSessionMemory: maxSessionMemoryMb,
    });
    this.#phase = { tag: "greeting", wire: { client, socket } };
    client.on("remoteSettings", (settings: Settings) => this.#onSettings(settings.maxConcurrentStreams));
    client.on("goaway", (code: number, lastStreamId: number, data?: Uint8Array) =>
      this.#onGoaway(code, lastStreamId, data),
    );
    client.on("ping", () => (this.#lastHeardMs = this.#options.clock.monotonic()));
    client.on("error", (error) => this.#onGone(classifyNetError(error)));
    client.on("close", () => this.#onGone({ class: "closed" }));
  }

  #onSettings(maxConcurrentStreams: number | undefined): void {
    const { maxStreams, clock, log } = this.#options;
    this.#limit = Math.min(maxConcurrentStreams ?? maxStreams, maxStreams);
    this.#lastHeardMs = clock.monotonic();
    if (this.#phase.tag === "greeting") {
      this.#cancelTimer();
      this.#phase = { tag: "ready", wire: this.#phase.wire };
      log.info("upstream connection ready", {
        duration_ms: Math.round(clock.monotonic() - this.#startedAtMs),
        count: this.#limit,
      });
    }
    this.#owner.changed();
  }

  /** Runs before Node closes the session (NO_ERROR) or destroys it (any other code). */
  #onGoaway(code: number, lastStreamId: number, data: Uint8Array | undefined): void {
    const reason = goawayReason(data);
    this.#goaway = { code, lastStreamId, ...(reason === undefined ? {} : { reason }) };
    const fields = { ...(reason === undefined ? {} : { reason }), status: code, count: this.#active.size };
    this.#options.log.info("upstream sends the connection away", fields);
    const failure: NetFailure = { class: "goaway", detail: reason ?? rstCodeName(code) };
    const phase = this.#phase;
    if (phase.tag === "greeting") return this.#fail(failure);
    if (phase.tag !== "ready") return;
    this.#phase = { tag: "draining", wire: phase.wire };
    const graceful = code === http2.constants.NGHTTP2_NO_ERROR;
    // APNs refuses a certificate or key in this way: coming back at once would be a storm.
    if (!graceful || (reason !== undefined && this.#requests > 0)) this.#tellFruitless(failure);
    if (graceful) this.#hangUpIfDrained();
    this.#owner.changed();
  }

  /** The peer or the network ended it. */
  #onGone(failure: NetFailure): void {
    const phase = this.#phase;
    if (phase.tag === "closed" || phase.tag === "connecting") return;
    const unused = this.#requests === 0 && failure.class === "closed";
    // An owner that hears of it must not count this one among the usable.
    this.#phase = { tag: "closing", wire: phase.wire };
    if (phase.tag === "greeting" || (phase.tag === "ready" && !unused)) this.#tellFruitless(failure);
    this.#finish(phase.wire);
  }

  /** It has to go, and not because we wanted so. */
  #fail(failure: NetFailure, reason: LostReason = failure.class): void {
    this.#close(reason, failure);
  }

  #tellFruitless(failure: NetFailure): void {
    if (this.#answers > 0 || this.#fruitlessTold) return;
    this.#fruitlessTold = true;
    this.#owner.fruitless(failure);
  }

  /** The phase changes first, then the owner hears of the failure, then of the end: so it never counts this one as usable. */
  #close(reason: LostReason, failure?: NetFailure): void {
    const phase = this.#phase;
    this.#cancelTimer();
    if (phase.tag === "closed") return;
    this.#ended ??= reason;
    this.#phase = phase.tag === "connecting" ? { tag: "closed" } : { tag: "closing", wire: phase.wire };
    if (failure !== undefined) this.#tellFruitless(failure);
    if (phase.tag === "connecting") {
      phase.abort.abort();
      this.#owner.closed();
      return;
    }
    phase.wire.client.destroy();
    // A dead peer never acknowledges the end that Node waits for.
    phase.wire.socket.destroy();
  }

  /** With nothing in flight a draining connection says goodbye, and does not wait for ever for the answer. */
  #hangUpIfDrained(): void {
    const phase = this.#phase;
    if (phase.tag !== "draining" || this.#active.size > 0) return;
    this.#phase = { tag: "closing", wire: phase.wire };
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.schedule(hangUpMs, () => phase.wire.socket.destroy());
    phase.wire.client.close();
  }

  #finish(wire: Wire): void {
    this.#cancelTimer();
    this.#phase = { tag: "closed" };
    wire.client.destroy();
    wire.socket.destroy();
    // Node closes every stream before its session; should one be left, its sender must still hear of it.
    for (const exchange of this.#active) exchange.cancel(this.#ended ?? "closed");
    this.#active.clear();
    this.#owner.closed();
  }

  #watch(client: ClientHttp2Session, nowMs: number): void {
    const { busyPing, idlePing, log } = this.#options;
    if (this.#pingSentMs !== undefined) {
      const waitedMs = nowMs - this.#pingSentMs;
      const policy = this.#active.size > 0 ? busyPing : (idlePing ?? busyPing);
      if (waitedMs >= policy.timeoutMs) {
        log.warn("upstream answers no ping: connection destroyed", {
          wait_ms: Math.round(waitedMs),
          count: this.#active.size,
        });
        this.#fail({ class: "timeout", detail: "no-ping-ack" }, "no-ping-ack");
      } else if (waitedMs >= suspectAfterMs && !this.#suspect) {
        this.#suspect = true;
        this.#owner.changed();
      }
      return;
    }
    const silentMs = nowMs - this.#lastHeardMs;
    const [oldest] = this.#active;
    // Google hangs up at the third PING without a request between (fcm.md section 3): one is enough for anyone.
    const wanted =
      oldest === undefined
        ? idlePing !== null && silentMs >= idlePing.afterMs
        : nowMs - oldest.openedAtMs >= busyPing.afterMs &&
          silentMs >= busyPing.afterMs &&
          this.#requests !== this.#requestsAtLastPing;
    if (!wanted) return;
    this.#requestsAtLastPing = this.#requests;
    this.#ping(client, nowMs);
  }

  #ping(client: ClientHttp2Session, nowMs: number): void {
    if (client.destroyed || client.closed) return;
    this.#pingSentMs = nowMs;
    client.ping((error) => {
      this.#pingSentMs = undefined;
      if (error !== null) return;
      this.#lastHeardMs = this.#options.clock.monotonic();
      if (!this.#suspect) return;
      this.#suspect = false;
      this.#owner.changed();
    });
  }
}
