import { constants } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import { LinkedList } from "../linked-list.ts";
import type { Log } from "../log.ts";
import type { Connector } from "./connect.ts";
import { Exchange, type ExchangeHost, type ExchangeSink } from "./exchange.ts";
import type { NetFailure } from "./net-error.ts";
import { PingWatch, type PingPolicy } from "./ping-watch.ts";
import {
  goawayReason,
  rstCodeName,
  streamVerdict,
  type Goaway,
  type LostReason,
  type StreamVerdict,
} from "./stream-verdict.ts";
import type { OpenWire, StreamEnd, Wire, WireOwner } from "./wire.ts";

/** What all sessions of a pool have in common. */
export interface Http2SessionOptions {
  readonly origin: URL;
  readonly connect: Connector;
  /** What speaks HTTP/2 on the socket. */
  readonly openWire: OpenWire;
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

/** The pause after ENHANCE_YOUR_CALM. */
const calmMs = 1000;
/** A cancelled stream that is still open so long after its time was up means that nothing is written any more. */
const stuckMs = 5000;
/** How long the peer may take to hang up after we did. */
const hangUpMs = 1000;
/** One HTTP/2 connection to an upstream. Its pool decides what goes through it; this class knows when it may. */
export class Http2Session implements ExchangeHost, WireOwner {
  readonly maxResponseBytes: number;
  readonly #options: Http2SessionOptions;
  readonly #owner: Http2SessionOwner;
  readonly #startedAtMs: number;
  readonly #active = new LinkedList<Exchange>();
  #phase: Phase;
  #cancelTimer: () => void;
  #limit = 0;
  #requests = 0;
  #answers = 0;
  #goaway: Goaway | undefined;
  #ended: LostReason | undefined;
  #fruitlessTold = false;
  readonly #pings: PingWatch;
  #lastAnswerMs = 0;
  #calmUntilMs: number | undefined;
  #timeoutsInARow = 0;

  constructor(options: Http2SessionOptions, owner: Http2SessionOwner) {
    this.#options = options;
    this.#owner = owner;
    this.maxResponseBytes = options.maxResponseBytes;
    this.#startedAtMs = options.clock.monotonic();
    this.#pings = new PingWatch(options.busyPing, options.idlePing, this.#startedAtMs);
    const abort = new AbortController();
    this.#phase = { tag: "connecting", abort };
    this.#cancelTimer = options.clock.schedule(options.connectTimeoutMs, () =>
      this.#fail({ class: "timeout" }),
    );
    void this.#connect(abort.signal);
  }

  /** How many more requests it takes now; 0 unless ready. */
  get capacity(): number {
    const phase = this.#phase;
    if (phase.tag !== "ready" || this.#pings.suspect || this.#calmUntilMs !== undefined) return 0;
    if (phase.wire.congested) return 0;
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
    return this.#phase.tag === "ready" && !this.#pings.suspect;
  }

  /** Needs `sweep` soon although none of its requests may be waiting: a PING or a cancelled stream is out, or it pauses. */
  get unsettled(): boolean {
    return this.#pings.waiting || this.#calmUntilMs !== undefined || this.#active.size > 0;
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
    const exchange = new Exchange(this, sink, this.#options.clock.monotonic());
    const opened = phase.wire.open(headers, body, exchange);
    if (opened === "gone") {
      this.retire();
      return undefined;
    }
    this.#active.push(exchange);
    this.#requests += 1;
    if (opened === "last" || this.#requests >= this.#options.maxRequests) this.retire();
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
    for (const exchange of this.#active.all()) {
      const overdueMs = nowMs - exchange.sink.deadlineMs;
      if (overdueMs < 0) continue;
      if (exchange.settled) {
        stuck ||= overdueMs >= stuckMs;
        continue;
      }
      this.#timeoutsInARow += 1;
      exchange.cancel("request-timeout");
    }
    // Not even a RST_STREAM gets out, and on Node's wire a draining connection may not PING.
    if (stuck) return this.#close("no-ping-ack");
    // PINGs are answered, requests are not: whatever hangs there, a new connection may not meet it.
    if (this.#timeoutsInARow >= 2 && nowMs - this.#lastAnswerMs >= this.#options.busyPing.afterMs)
      this.retire();
    if (this.#calmUntilMs !== undefined && nowMs >= this.#calmUntilMs) {
      this.#calmUntilMs = undefined;
      this.#owner.changed();
    }
    this.#watch(phase.wire, nowMs);
  }

  // What its exchanges ask and tell.

  heardAnswer(): void {
    this.#lastAnswerMs = this.#options.clock.monotonic();
    this.#pings.heard(this.#lastAnswerMs);
    this.#timeoutsInARow = 0;
  }

  answered(): void {
    this.#answers += 1;
    if (this.#answers === 1) this.#owner.proved();
  }

  verdict(end: StreamEnd): StreamVerdict {
    const verdict = streamVerdict({ ...end, goaway: this.#goaway, ended: this.#ended });
    if (verdict.kind === "lost" && verdict.reason === "calm") {
      this.#calmUntilMs = this.#options.clock.monotonic() + calmMs;
    }
    return verdict;
  }

  released(exchange: Exchange): void {
    this.#active.remove(exchange);
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
    this.#phase = { tag: "greeting", wire: this.#openWire(socket) };
  }

  #openWire(socket: TLSSocket): Wire {
    const { origin, clock, openWire } = this.#options;
    return openWire(socket, { origin, maxResponseBytes: this.maxResponseBytes, clock }, this);
  }

  // What the wire tells.

  settings(maxConcurrentStreams: number | undefined): void {
    const { maxStreams, clock, log } = this.#options;
    this.#limit = Math.min(maxConcurrentStreams ?? maxStreams, maxStreams);
    this.#pings.heard(clock.monotonic());
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

  goaway(code: number, lastStreamId: number, debugData: Uint8Array | undefined): void {
    const reason = goawayReason(debugData);
    this.#goaway = { code, lastStreamId, ...(reason === undefined ? {} : { reason }) };
    const fields = { ...(reason === undefined ? {} : { reason }), status: code, count: this.#active.size };
    this.#options.log.info("upstream sends the connection away", fields);
    const failure: NetFailure = { class: "goaway", detail: reason ?? rstCodeName(code) };
    const phase = this.#phase;
    if (phase.tag === "greeting") return this.#fail(failure);
    if (phase.tag !== "ready") return;
    this.#phase = { tag: "draining", wire: phase.wire };
    const graceful = code === constants.NGHTTP2_NO_ERROR;
    // APNs refuses a certificate or key in this way: coming back at once would be a storm.
    if (!graceful || (reason !== undefined && this.#requests > 0)) this.#tellFruitless(failure);
    if (graceful) this.#hangUpIfDrained();
    this.#owner.changed();
  }

  heard(): void {
    this.#pings.heard(this.#options.clock.monotonic());
  }

  eased(): void {
    this.#owner.changed();
  }

  gone(failure: NetFailure): void {
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
    phase.wire.destroy();
  }

  /** With nothing in flight a draining connection says goodbye, and does not wait for ever for the answer. */
  #hangUpIfDrained(): void {
    const phase = this.#phase;
    if (phase.tag !== "draining" || this.#active.size > 0) return;
    this.#phase = { tag: "closing", wire: phase.wire };
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.schedule(hangUpMs, () => phase.wire.destroy());
    phase.wire.close();
  }

  #finish(wire: Wire): void {
    this.#cancelTimer();
    this.#phase = { tag: "closed" };
    wire.destroy();
    // A wire closes every stream before it is gone; should one be left, its sender must still hear of it.
    for (const exchange of this.#active.all()) {
      this.#active.remove(exchange);
      exchange.cancel(this.#ended ?? "closed");
    }
    this.#owner.closed();
  }

  #watch(wire: Wire, nowMs: number): void {
    const work = { oldestOpenedAtMs: this.#active.first?.openedAtMs, requests: this.#requests };
    switch (this.#pings.look(nowMs, work)) {
      case "ping":
        if (wire.ping(() => this.#pingAnswered())) this.#pings.sent(nowMs);
        break;
      case "suspect":
        this.#owner.changed();
        break;
      case "dead":
        this.#options.log.warn("upstream answers no ping: connection destroyed", {
          wait_ms: Math.round(this.#pings.waitedMs(nowMs)),
          count: this.#active.size,
        });
        this.#fail({ class: "timeout", detail: "no-ping-ack" }, "no-ping-ack");
        break;
      case undefined:
        break;
    }
  }

  #pingAnswered(): void {
    if (this.#pings.answered(this.#options.clock.monotonic())) this.#owner.changed();
  }
}
