import type { Cancellation } from "../../cancellation.ts";
import type { Clock } from "../../clock.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import { isJsonObject } from "../../json.ts";
import type { Http2Request, Http2Result, SessionHandle } from "../../upstream/http2-api.ts";
import { Http2Pool } from "../../upstream/http2-pool.ts";
import { retryAfterMs } from "../../upstream/retry-after.ts";
import type { ApnsCredentials } from "./credentials.ts";
import type { ApnsAnswer } from "./outcome.ts";
import type { ConnectionToken } from "./provider-token.ts";

/** What one connection to Apple has of its own. */
export type ApnsConnection = ConnectionToken;

/** One request to APNs, credentials excepted. */
export interface ApnsRequest {
  readonly deviceToken: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer with the connection it came by, or what kept it away. */
export type ApnsResult =
  | {
      readonly kind: "answer";
      readonly answer: ApnsAnswer;
      readonly session: SessionHandle<ApnsConnection>;
      readonly queueMs: number;
    }
  | Exclude<Http2Result<ApnsConnection>, { kind: "response" }>;

/** After this long without work a PING shows whether the connection still stands (reliability 1.3). */
const IDLE_PING = { afterMs: 30_000, timeoutMs: 10_000 };

/** The connections of one app to one of Apple's environments. */
export class ApnsClient {
  readonly #pool: Http2Pool<ApnsConnection>;
  readonly #credentials: ApnsCredentials;
  readonly #clock: Clock;

  constructor(origin: URL, credentials: ApnsCredentials, deps: PushkinDeps) {
    this.#credentials = credentials;
    this.#clock = deps.clock;
    this.#pool = new Http2Pool<ApnsConnection>({
      origin,
      tls: credentials.tls,
      ...(deps.proxy === undefined ? {} : { proxy: deps.proxy }),
      ...(deps.http2Client === undefined ? {} : { client: deps.http2Client }),
      maxSessions: 3,
      idlePing: IDLE_PING,
      createState: () => ({}),
      clock: deps.clock,
      log: deps.log,
    });
  }

  /** Sends one push. Never rejects; ends within 10 s. */
  send(request: ApnsRequest, signal: Cancellation): Promise<ApnsResult> {
    const { token } = this.#credentials;
    if (token === undefined || token.isFresh) return this.#send(request, signal);
    return token.refresh().then(() => this.#send(request, signal));
  }

  #send(request: ApnsRequest, signal: Cancellation): Promise<ApnsResult> {
    const { token } = this.#credentials;
    const { headers } = request;
    const sent: Http2Request<ApnsConnection> = {
      path: `/3/device/${request.deviceToken}`,
      headers: (connection) =>
        token === undefined ? headers : { ...headers, authorization: `bearer ${token.adopt(connection)}` },
      body: request.body,
    };
    return this.#pool.request(sent, signal).then((result) => {
      if (result.kind !== "response") return result;
      return { kind: "answer", answer: this.#read(result), session: result.session, queueMs: result.queueMs };
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

  #read(response: Extract<Http2Result<ApnsConnection>, { kind: "response" }>): ApnsAnswer {
    const { status, headers } = response;
    const apnsId = headers["apns-id"];
    if (status === 200) return { status, ...(typeof apnsId === "string" ? { apnsId } : {}) };
    const after = retryAfterMs(headers["retry-after"], this.#clock.now());
    return { status, ...parseReason(response.body), ...(after === undefined ? {} : { retryAfterMs: after }) };
  }
}

/** apns.md 5: `{"reason":…,"timestamp":ms}`; proxies answer HTML, and then the status alone counts. */
function parseReason(body: string): { readonly reason?: string; readonly timestampMs?: number } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return {};
  }
  if (!isJsonObject(parsed)) return {};
  const { reason, timestamp } = parsed;
  return {
    // Apple's reasons are single words; anything else does not get into a log.
    ...(typeof reason === "string" && /^[A-Za-z]{1,64}$/.test(reason) ? { reason } : {}),
    ...(Number.isFinite(timestamp) && Number(timestamp) > 0 ? { timestampMs: Number(timestamp) } : {}),
  };
}
