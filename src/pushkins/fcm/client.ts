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
      maxSessions: 4,
      // Google hangs up on a connection that PINGs without work (fcm.md 3).
      idlePing: null,
      createState: () => undefined,
      clock: deps.clock,
      log: deps.log,
    });
  }

  /** Sends one message; ends within 10 s. */
  async send(body: string, signal: AbortSignal): Promise<FcmResult> {
    const got = this.#accessToken.get();
    const accessToken = typeof got === "string" ? got : await got;
    const result = await this.#pool.request(
      {
        path: this.#path,
        headers: () => ({ authorization: `Bearer ${accessToken}`, "content-type": "application/json" }),
        body,
      },
      signal,
    );
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
  }

  /** Requests that wait for a connection or a free stream. */
  waiting(): number {
    return this.#pool.stats().queued;
  }

  close(signal: AbortSignal): Promise<void> {
    return this.#pool.close(signal);
  }
}
