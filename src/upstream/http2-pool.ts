import type { Cancellation } from "../cancellation.ts";
import type { Clock } from "../clock.ts";
import { LinkedList } from "../linked-list.ts";
import type { Log } from "../log.ts";
import { createConnector } from "./connect.ts";
import { ConnectPacing, type Backoff } from "./connect-pacing.ts";
import type {
  Http2Client,
  Http2PoolOptions,
  Http2PoolStats,
  Http2Request,
  Http2Result,
  SessionHandle,
} from "./http2-api.ts";
import { Http2Session, type Http2SessionOptions } from "./http2-session.ts";
import type { NetFailure } from "./net-error.ts";
import { openLeanWire } from "./lean/lean-wire.ts";
import { openNodeWire } from "./node-wire.ts";
import { PooledRequest, type RequestHome } from "./pooled-request.ts";
import type { OpenWire } from "./wire.ts";

const openers: Readonly<Record<Http2Client, OpenWire>> = { node: openNodeWire, lean: openLeanWire };

interface Member<State> {
  readonly session: Http2Session;
  readonly handle: SessionHandle<State>;
}

/** How often deadlines and silent peers are looked after while there is work, at the least. */
const mostSweepMs = 250;
/** Sockets at most, those on their way out included, for each connection in service. */
const leaving = 8;

/**
 * A few HTTP/2 connections to one origin, and one line of requests before them. Connects on demand only. States and
 * rules: docs/decisions/http2-pool.md.
 */
export class Http2Pool<State> implements RequestHome<State> {
  readonly origin: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #createState: () => State;
  readonly #maxSessions: number;
  readonly #maxQueued: number;
  readonly #requestTimeoutMs: number;
  readonly #sweepMs: number;
  readonly #idleSweepMs: number | undefined;
  readonly #sessionOptions: Http2SessionOptions;
  readonly #pacing: ConnectPacing;
  readonly #members = new Set<Member<State>>();
  readonly #queue = new LinkedList<PooledRequest<State>>();
  /** Refused unprocessed on another connection: before those that have not had a turn. */
  readonly #resends = new LinkedList<PooledRequest<State>>();
  #open = 0;
  #cancelConnect: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;
  #sweepIsIdle = false;
  #dispatching = false;
  #closing = false;
  /** Closed, and its patience is over. */
  #isCut = false;
  readonly #closed = Promise.withResolvers<void>();

  constructor(options: Http2PoolOptions<State>) {
    const { clock, origin, tls, proxy, lookup, client = "node" } = options;
    const connectTimeoutMs = options.connectTimeoutMs ?? 5000;
    const backoff = options.connectBackoff ?? { minMs: 100, maxMs: 30_000, outageMaxMs: 8000 };
    this.origin = origin.host;
    this.#clock = clock;
    this.#log = options.log.child({ upstream: origin.host });
    this.#createState = options.createState;
    this.#maxSessions = options.maxSessions ?? 2;
    this.#maxQueued = options.maxQueued ?? 10_000;
    const requestTimeoutMs = options.requestTimeoutMs ?? 10_000;
    const busyPing = options.busyPing ?? { afterMs: 5000, timeoutMs: 10_000 };
    const idlePing = options.idlePing ?? null;
    this.#sweepMs = Math.min(mostSweepMs, requestTimeoutMs / 8, busyPing.afterMs / 2);
    // One timer for all requests instead of one each: it comes a little early rather than late.
    this.#requestTimeoutMs = requestTimeoutMs - this.#sweepMs;
    this.#idleSweepMs = idlePing === null ? undefined : Math.max(this.#sweepMs, idlePing.afterMs / 2);
    this.#sessionOptions = {
      origin,
      connect: createConnector({
        origin,
        timeoutMs: connectTimeoutMs,
        clock,
        ...(tls === undefined ? {} : { tls }),
        ...(proxy === undefined ? {} : { proxy }),
        ...(lookup === undefined ? {} : { lookup }),
      }),
      openWire: typeof client === "function" ? client : openers[client],
      connectTimeoutMs,
      idlePing,
      busyPing,
      maxResponseBytes: options.maxResponseBytes ?? 64 * 1024,
      maxStreams: options.maxStreamsPerSession ?? 1000,
      maxRequests: options.maxRequestsPerSession ?? 1_000_000_000,
      clock,
      log: this.#log,
    };
    this.#pacing = new ConnectPacing({
      intervalMs: options.connectIntervalMs ?? 1000,
      backoffMinMs: backoff.minMs,
      backoffMaxMs: backoff.maxMs,
      outageMaxMs: backoff.outageMaxMs,
      random: options.random ?? Math.random,
    });
  }

  /**
   * Sends one request and resolves with how it ended, within the request's time limit. What the upstream has
   * certainly not processed is sent again by itself, a few times; everything else is for the caller to decide.
   * Rejects only for a bug: headers that HTTP/2 cannot carry, or a `headers` function that throws.
   */
  request(request: Http2Request<State>, signal: Cancellation): Promise<Http2Result<State>> {
    return new Promise((resolve, reject) => {
      const nowMs = this.#clock.monotonic();
      const deadlineMs = nowMs + this.#requestTimeoutMs;
      const pooled = new PooledRequest(this, request, signal, nowMs, deadlineMs, resolve, reject);
      this.#open += 1;
      if (this.#closing) return pooled.unsent("pool-closed");
      if (signal.aborted) return pooled.unsent("aborted");
      if (this.#refusedByBackoff(pooled)) return;
      if (this.#queue.size >= this.#maxQueued) return pooled.unsent("queue-full");
      pooled.listen();
      pooled.enter(this.#queue);
      this.#dispatch();
    });
  }

  /** Numbers for metrics; a walk over a few sessions. */
  stats(): Http2PoolStats {
    let connecting = 0;
    let ready = 0;
    let active = 0;
    for (const { session } of this.#members) {
      if (session.connecting) connecting += 1;
      if (session.ready) ready += 1;
      active += session.active;
    }
    const draining = this.#members.size - connecting - ready;
    return { connecting, ready, draining, active, queued: this.#queue.size + this.#resends.size };
  }

  /** Every connection that has been used finishes what it has and goes (a revoked key); new requests open new ones. */
  retireAll(): void {
    for (const { session } of this.#members) if (session.ready) session.retire();
  }

  /** Takes nothing new, finishes what is under way, then closes; when the signal aborts, all at once. */
  close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    const closed = this.#untilClosed(signal);
    this.#closeWhenIdle();
    return closed;
  }

  // What a request asks of its pool.

  now(): number {
    return this.#clock.monotonic();
  }

  /** A refused request gets another turn, before those that have not had one. */
  resend(request: PooledRequest<State>): void {
    if (this.#isCut) return request.unsent("pool-closed");
    if (this.#refusedByBackoff(request)) return;
    request.enter(this.#resends);
    this.#dispatch();
  }

  /** A request has its result. */
  settled(): void {
    this.#open -= 1;
    if (this.#closing) this.#closeWhenIdle();
  }

  // Sending.

  #dispatch(): void {
    // A request that ends while it is being sent calls back here: the loop below is running and will see it.
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (;;) {
        const next = this.#resends.first ?? this.#queue.first;
        if (next === undefined) break;
        const member = this.#leastBusy(next.lastSession);
        if (member === undefined) break;
        next.leaveQueue();
        this.#send(next, member);
      }
    } finally {
      this.#dispatching = false;
    }
    if (this.#resends.size + this.#queue.size > 0) this.#connectIfUseful();
    this.#armSweep();
  }

  #send(request: PooledRequest<State>, member: Member<State>): void {
    try {
      const headers = request.headerList(this.origin, member.handle.state);
      const exchange = member.session.send(headers, request.body, request);
      if (exchange === undefined) return request.exchangeEnded({ kind: "refused" });
      request.sent(exchange, member.session, member.handle);
    } catch (error) {
      request.broken(error);
    }
  }

  /** The ready session with the fewest streams; the one that has just refused the request only when there is no other. */
  #leastBusy(avoid: Http2Session | undefined): Member<State> | undefined {
    let best: Member<State> | undefined;
    let last: Member<State> | undefined;
    for (const member of this.#members) {
      if (member.session.capacity <= 0) continue;
      if (member.session === avoid) last = member;
      else if (best === undefined || member.session.active < best.session.active) best = member;
    }
    return best ?? last;
  }

  // Connecting.

  #connectIfUseful(): void {
    if (this.#cancelConnect !== undefined) return;
    let usable = 0;
    for (const { session } of this.#members) {
      if (session.calming) return;
      if (session.usable || session.connecting) usable += 1;
    }
    if (usable >= this.#maxSessions || this.#members.size >= this.#maxSessions * leaving) return;
    const waitMs = this.#pacing.allowedAtMs - this.#clock.monotonic();
    if (waitMs <= 0) return this.#connect();
    this.#cancelConnect = this.#clock.schedule(Math.ceil(waitMs), () => {
      this.#cancelConnect = undefined;
      this.#dispatch();
    });
  }

  #connect(): void {
    this.#pacing.started(this.#clock.monotonic());
    const state = this.#createState();
    const session: Http2Session = new Http2Session(this.#sessionOptions, {
      changed: () => this.#dispatch(),
      proved: () => this.#pacing.succeeded(),
      fruitless: (failure) => this.#onFruitless(failure),
      closed: () => {
        this.#members.delete(member);
        this.#dispatch();
        if (this.#closing) this.#closeWhenIdle();
      },
    });
    const member: Member<State> = { session, handle: { state, retire: () => session.retire() } };
    this.#members.add(member);
  }

  /** A connection came to nothing. Whoever waits is told, unless a ready one serves them: retrying is the caller's. */
  #onFruitless(failure: NetFailure): void {
    const backoff = this.#pacing.failed(this.#clock.monotonic(), failure);
    this.#log.warn("upstream connection failed", {
      reason: failure.class,
      wait_ms: Math.round(backoff.untilMs - this.#clock.monotonic()),
      ...(failure.detail === undefined ? {} : { error: failure.detail }),
      ...(failure.status === undefined ? {} : { status: failure.status }),
    });
    for (const { session } of this.#members) if (session.usable) return;
    for (const queue of [this.#resends, this.#queue]) {
      for (let next = queue.first; next !== undefined; next = queue.first)
        this.#endUnconnected(next, backoff);
    }
  }

  /** During a back-off a request has no chance and ends at once, unless a connection stands or is on its way. */
  #refusedByBackoff(request: PooledRequest<State>): boolean {
    for (const { session } of this.#members) if (session.usable || session.connecting) return false;
    const backoff = this.#pacing.backoff(this.#clock.monotonic());
    if (backoff === undefined) return false;
    this.#endUnconnected(request, backoff);
    return true;
  }

  #endUnconnected(request: PooledRequest<State>, { failure, untilMs }: Backoff): void {
    const retryAfterMs = Math.max(0, Math.ceil(untilMs - this.#clock.monotonic()));
    request.unsent(failure.class, { failure, retryAfterMs });
  }

  // Time.

  #armSweep(): void {
    const idle = this.#open === 0;
    if (this.#cancelSweep !== undefined) {
      if (idle || !this.#sweepIsIdle) return;
      this.#cancelSweep();
      this.#cancelSweep = undefined;
    }
    const delayMs = idle ? this.#idleDelayMs() : this.#sweepMs;
    if (delayMs === undefined || (idle && this.#members.size === 0)) return;
    this.#sweepIsIdle = idle;
    this.#cancelSweep = this.#clock.schedule(delayMs, () => this.#sweep());
  }

  /** Without work only leftovers are looked after closely; the next idle PING is far away. */
  #idleDelayMs(): number | undefined {
    for (const { session } of this.#members) if (session.unsettled) return this.#sweepMs;
    return this.#idleSweepMs;
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#clock.monotonic();
    for (const queue of [this.#resends, this.#queue]) {
      for (let entry = queue.first; entry !== undefined;) {
        const next: PooledRequest<State> | undefined = entry.later;
        if (entry.deadlineMs <= nowMs) entry.unsent("queue-timeout");
        // Only the resends are out of order.
        else if (queue === this.#queue) break;
        entry = next;
      }
    }
    for (const { session } of this.#members) session.sweep(nowMs);
    this.#dispatch();
  }

  // Closing.

  async #untilClosed(signal: AbortSignal): Promise<void> {
    const abort = (): void => {
      this.#isCut = true;
      for (const queue of [this.#resends, this.#queue]) {
        for (let next = queue.first; next !== undefined; next = queue.first) next.unsent("pool-closed");
      }
      for (const { session } of this.#members) session.destroy("pool-closed");
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    await this.#closed.promise;
    signal.removeEventListener("abort", abort);
  }

  #closeWhenIdle(): void {
    if (this.#open > 0) return;
    this.#cancelConnect?.();
    this.#cancelConnect = undefined;
    for (const { session } of this.#members) session.retire();
    if (this.#members.size > 0) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#closed.resolve();
  }
}
