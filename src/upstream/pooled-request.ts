import type { Cancellation } from "../cancellation.ts";
import type { Linked, LinkedList } from "../linked-list.ts";
import type { Exchange, ExchangeEnd, ExchangeSink } from "./exchange.ts";
import type { Http2Request, Http2Result, SessionHandle, UnsentReason } from "./http2-api.ts";
import type { Http2Session } from "./http2-session.ts";
import type { NetFailure } from "./net-error.ts";

/** The pool as one of its requests sees it. */
export interface RequestHome<State> {
  /** Monotonic milliseconds. */
  now(): number;
  resend(request: PooledRequest<State>): void;
  /** Called once for every request that was taken in. */
  settled(): void;
}

/** How often a request that the peer refused unprocessed goes again. */
const maxResends = 5;

/** What HTTP/2 may carry (RFC 9113, 8.2.1); Node joins its header block with NUL and does not look. */
const unsafeText = /[^\t\x20-\x7e\x80-\xff]/;

/** One request on its way through the pool: waiting, in flight, waiting again, settled once. */
export class PooledRequest<State> implements ExchangeSink, Linked<PooledRequest<State>> {
  readonly deadlineMs: number;
  earlier: PooledRequest<State> | undefined;
  later: PooledRequest<State> | undefined;
  /** Where it was sent last. */
  lastSession: Http2Session | undefined;
  readonly #home: RequestHome<State>;
  readonly #request: Http2Request<State>;
  readonly #signal: Cancellation;
  readonly #startedMs: number;
  readonly #resolve: (result: Http2Result<State>) => void;
  readonly #reject: (error: unknown) => void;
  #sentMs: number;
  #exchange: Exchange | undefined;
  #handle: SessionHandle<State> | undefined;
  /** The line it stands in, when it waits. */
  #queue: LinkedList<PooledRequest<State>> | undefined;
  #resends = 0;
  #done = false;

  constructor(
    home: RequestHome<State>,
    request: Http2Request<State>,
    signal: Cancellation,
    startedMs: number,
    deadlineMs: number,
    resolve: (result: Http2Result<State>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#home = home;
    this.#request = request;
    this.#signal = signal;
    this.#startedMs = startedMs;
    this.#sentMs = startedMs;
    this.deadlineMs = deadlineMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get body(): string | Uint8Array {
    return this.#request.body;
  }

  /** Ends the request when its caller's signal aborts. */
  listen(): void {
    this.#signal.addEventListener("abort", this, { once: true });
  }

  handleEvent(): void {
    if (this.#exchange === undefined) this.unsent("aborted");
    else this.#exchange.cancel("aborted");
  }

  enter(queue: LinkedList<PooledRequest<State>>): void {
    this.#queue = queue;
    queue.push(this);
  }

  leaveQueue(): void {
    this.#queue?.remove(this);
    this.#queue = undefined;
  }

  /** Names and values in turn, pseudo headers first. Throws when a header cannot be carried. */
  headerList(authority: string, state: State): string[] {
    const list = [
      ":method",
      "POST",
      ":scheme",
      "https",
      ":authority",
      authority,
      ":path",
      this.#request.path,
    ];
    const headers = this.#request.headers(state);
    for (const name in headers) list.push(name, headers[name] ?? "");
    // From the path on: what stands before is ours.
    for (let i = 7; i < list.length; i += 1) {
      if (unsafeText.test(list[i] ?? "")) throw new TypeError("a header holds what HTTP/2 cannot carry");
    }
    return list;
  }

  /** It is in flight. */
  sent(exchange: Exchange, session: Http2Session, handle: SessionHandle<State>): void {
    this.#exchange = exchange;
    this.#handle = handle;
    this.lastSession = session;
    this.#sentMs = this.#home.now();
  }

  exchangeEnded(end: ExchangeEnd): void {
    this.#exchange = undefined;
    const session = this.#handle;
    if (end.kind === "refused" || session === undefined) {
      this.#resends += 1;
      if (this.#resends > maxResends) this.unsent("refused-stream");
      else if (this.#home.now() >= this.deadlineMs) this.unsent("queue-timeout");
      else this.#home.resend(this);
      return;
    }
    const queueMs = this.#sentMs - this.#startedMs;
    if (end.kind === "response") {
      const { kind, status, headers, body, truncated } = end;
      this.#settle({ kind, status, headers, body, truncated, session, queueMs });
      return;
    }
    const { reason, detail } = end;
    this.#settle({ kind: "unknown", reason, ...(detail === undefined ? {} : { detail }), session, queueMs });
  }

  /** Ends it before it was sent, or after the peer has said that it was not processed. */
  unsent(reason: UnsentReason, why?: { readonly failure: NetFailure; readonly retryAfterMs: number }): void {
    this.leaveQueue();
    this.#settle({
      kind: "unsent",
      reason,
      ...(why?.failure.detail === undefined ? {} : { detail: why.failure.detail }),
      ...(why?.failure.status === undefined ? {} : { status: why.failure.status }),
      ...(why === undefined ? {} : { retryAfterMs: why.retryAfterMs }),
      queueMs: this.#home.now() - this.#startedMs,
    });
  }

  /** A bug of the caller's showed while sending. */
  broken(error: unknown): void {
    this.#reject(error);
    this.#end();
  }

  #settle(result: Http2Result<State>): void {
    this.#resolve(result);
    this.#end();
  }

  #end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#signal.removeEventListener("abort", this);
    this.#home.settled();
  }
}
