import type { Cancellation } from "../../cancellation.ts";
import type { Clock } from "../../clock.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import type { CachedToken } from "../../upstream/cached-token.ts";
import type { UpstreamTls } from "../../upstream/connect.ts";
import type { Http2Result } from "../../upstream/http2-api.ts";
import { Http2Pool } from "../../upstream/http2-pool.ts";
import { retryAfterMs } from "../../upstream/retry-after.ts";
import type { FcmAnswer } from "./outcome.ts";

/** An answer with the access token that it judged, or what kept it away. Rejects with `TokenError` alone. */
export type FcmResult =
  | {
      readonly kind: "answer";
      readonly answer: FcmAnswer;
      readonly accessToken: string;
      readonly queueMs: number;
    }
  | Exclude<Http2Result<undefined>, { kind: "response" }>;

/** The whole of one try, as the pool's own limit without a wait for a token (fcm.md 3). */
const SEND_LIMIT_MS = 10_000;

/** The connections of one app to FCM. */
export class FcmClient {
  readonly #pool: Http2Pool<undefined>;
  readonly #accessToken: CachedToken;
  readonly #path: string;
  readonly #clock: Clock;

  constructor(options: {
    readonly origin: URL;
    readonly projectId: string;
    readonly tls: UpstreamTls;
    readonly accessToken: CachedToken;
    readonly deps: PushkinDeps;
  }) {
    const { deps } = options;
    this.#accessToken = options.accessToken;
    this.#clock = deps.clock;
    this.#path = `/v1/projects/${encodeURIComponent(options.projectId)}/messages:send`;
    this.#pool = new Http2Pool<undefined>({
      origin: options.origin,
      tls: options.tls,
      ...(deps.proxy === undefined ? {} : { proxy: deps.proxy }),
      ...(deps.http2Client === undefined ? {} : { client: deps.http2Client }),
      maxSessions: 4,
      // Google hangs up on a connection that PINGs without work (fcm.md 3).
      idlePing: null,
      createState: () => undefined,
      clock: deps.clock,
      log: deps.log,
    });
  }

  /** Sends one message; ends within 10 s, the wait for an access token included. */
  send(body: string, signal: Cancellation): Promise<FcmResult> {
    if (signal.aborted) return Promise.resolve({ kind: "unsent", reason: "aborted", queueMs: 0 });
    const got = this.#accessToken.get();
    return typeof got === "string" ? this.#post(body, got, signal) : this.#sendLater(body, got, signal);
  }

  async #sendLater(body: string, got: Promise<string>, signal: Cancellation): Promise<FcmResult> {
    const startedMs = this.#clock.monotonic();
    const limit = new AbortController();
    const abort = (): void => limit.abort();
    const cancel = this.#clock.schedule(SEND_LIMIT_MS, abort);
    signal.addEventListener("abort", abort, { once: true });
    try {
      const accessToken = await unlessAborted(got, limit.signal);
      if (accessToken !== undefined) return await this.#post(body, accessToken, limit.signal);
      const queueMs = this.#clock.monotonic() - startedMs;
      return { kind: "unsent", reason: "aborted", detail: "no-access-token-yet", queueMs };
    } finally {
      cancel();
      signal.removeEventListener("abort", abort);
    }
  }

  #post(body: string, accessToken: string, signal: Cancellation): Promise<FcmResult> {
    const request = {
      path: this.#path,
      headers: () => ({ authorization: `Bearer ${accessToken}`, "content-type": "application/json" }),
      body,
    };
    return this.#pool.request(request, signal).then((result) => {
      if (result.kind !== "response") return result;
      const after = retryAfterMs(result.headers["retry-after"], this.#clock.now());
      return {
        kind: "answer",
        answer: {
          status: result.status,
          body: result.body,
          ...(after === undefined ? {} : { retryAfterMs: after }),
        },
        accessToken,
        queueMs: result.queueMs,
      };
    });
  }

  /** Requests that wait for a connection or a free stream. */
  waiting(): number {
    return this.#pool.stats().queued;
  }

  /** Connections that stand, and requests under way on them. */
  connections(): { readonly open: number; readonly streams: number } {
    const { active, draining, ready } = this.#pool.stats();
    return { open: ready + draining, streams: active };
  }

  close(signal: AbortSignal): Promise<void> {
    return this.#pool.close(signal);
  }
}

/** What the promise comes to, or undefined when the signal aborts first: the others still wait for it. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
