import type { Clock } from "../../clock.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { Outbound, PushkinDeps } from "../../core/pushkin.ts";
import { parseEndpoint, type Endpoint } from "../../upstream/endpoint-url.ts";
import { GuardedHttp } from "../../upstream/guarded-http.ts";
import type { GuardedResult } from "../../upstream/guarded-origin.ts";
import { retryAfterMs } from "../../upstream/retry-after.ts";
import { Hosts, type Place } from "./hosts.ts";
import { outcomeWithoutAnswer, serviceVerdict, type Reaction, type Verdict } from "./outcome.ts";
import type { Vapid } from "./vapid.ts";

/** One message to a subscription. */
export interface ServiceRequest {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What one request came to. */
export interface ServiceResult {
  readonly outcome: Outcome;
  readonly reaction: Reaction;
  readonly queueMs?: number;
}

/** What an app's client is made from. */
export interface ServiceClientOptions {
  readonly deps: PushkinDeps;
  /** Requests under way at one push service. */
  readonly perHost: number;
  /** Absent: requests carry no VAPID header. */
  readonly vapid?: Vapid | undefined;
  /** `apps.<id>.endpoint`: all requests go there instead, with the path of their own endpoint. */
  readonly base?: string | undefined;
  /** PEM of `ca_file`. */
  readonly ca?: string | undefined;
}

/** Where nothing is configured nothing is allowed that is not public. */
const strictest: Outbound = { allow_addresses: [], allow_ports: [443], allow_http: false };

/** One app's way to push services: RFC 8030 with RFC 8292, each service in its own bulkhead. */
export class ServiceClient {
  readonly #http: GuardedHttp;
  readonly #hosts: Hosts;
  readonly #vapid: Vapid | undefined;
  readonly #base: Endpoint | undefined;
  readonly #clock: Clock;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #cut = new AbortController();
  #closing = false;

  constructor({ deps, perHost, vapid, base, ca }: ServiceClientOptions) {
    const {
      clock,
      proxy,
      outbound = strictest,
      http2ToPushServices = false,
      http2Client,
      threads = 1,
    } = deps;
    const share = Math.max(1, Math.floor(perHost / threads));
    this.#clock = clock;
    this.#vapid = vapid;
    this.#base = base === undefined ? undefined : parseEndpoint(base);
    this.#hosts = new Hosts({ clock, perHost: share, threads });
    this.#http = new GuardedHttp({
      clock,
      outbound,
      http2: http2ToPushServices,
      ...(http2Client === undefined ? {} : { http2Client }),
      maxSockets: share,
      ...(proxy === undefined ? {} : { proxy }),
      ...(ca === undefined ? {} : { ca }),
    });
  }

  /** Requests that wait for a place at their push service. */
  waiting(): number {
    return this.#hosts.waiting;
  }

  /** Sends one message. Never rejects for what the network or the service did; ends within 10 s. */
  async send(request: ServiceRequest, signal: AbortSignal): Promise<ServiceResult> {
    if (this.#closing) return done({ kind: "retryable", reason: "shutting-down" });
    const sending = this.#enterAndSend(request, AbortSignal.any([signal, this.#cut.signal]));
    this.#underWay.add(sending);
    try {
      return await sending;
    } finally {
      this.#underWay.delete(sending);
    }
  }

  /** The host that an endpoint's requests go to, with its port where that is not the usual one. */
  upstreamOf(endpoint: string): string {
    return (this.#base ?? parseEndpoint(endpoint))?.url.host ?? "";
  }

  /** Lets what is under way end, at most until the signal aborts. */
  async close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    const cut = (): void => this.#cut.abort();
    if (signal.aborted) cut();
    signal.addEventListener("abort", cut, { once: true });
    await Promise.allSettled([...this.#underWay]);
    signal.removeEventListener("abort", cut);
    this.#hosts.destroy();
  }

  async #enterAndSend(request: ServiceRequest, signal: AbortSignal): Promise<ServiceResult> {
    const endpoint = parseEndpoint(request.endpoint);
    if (endpoint === undefined || endpoint.isOdd) return done(NOT_ALLOWED);
    const target = this.#base ?? endpoint;
    const trusted = this.#base !== undefined;
    const place = await this.#hosts.enter(
      target.url.origin,
      () => this.#http.open(target, { trusted }),
      signal,
    );
    switch (place.kind) {
      case "overloaded":
        return done({ kind: "retryable", reason: "overloaded" });
      case "aborted":
        // Nothing was asked of the service, so nothing is said against it.
        return done({ kind: "retryable", reason: "overloaded", detail: "aborted in the queue" });
      case "place":
        return this.#sendAt(place, endpoint, request, signal);
    }
  }

  async #sendAt(
    place: Place,
    endpoint: Endpoint,
    request: ServiceRequest,
    signal: AbortSignal,
  ): Promise<ServiceResult> {
    let verdict: Verdict = { outcome: { kind: "retryable", reason: "internal" }, reaction: "done" };
    try {
      const { origin } = endpoint.url;
      const authorization = this.#vapid?.header(origin);
      const result = await place.origin.send(
        {
          url: this.#targetOf(endpoint),
          headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
          body: request.body,
        },
        signal,
      );
      verdict = this.#judge(result, endpoint, place.isProven);
      if (verdict.reaction === "renew-and-repeat" && authorization !== undefined) {
        this.#vapid?.invalidate(origin, authorization);
      }
      return { outcome: verdict.outcome, reaction: verdict.reaction, queueMs: place.queueMs };
    } finally {
      place.leave(verdict.outcome.kind === "delivered");
    }
  }

  #judge(result: GuardedResult, { host }: Endpoint, isProven: boolean): Verdict {
    switch (result.kind) {
      case "refused":
        return { outcome: NOT_ALLOWED, reaction: "done" };
      case "failed":
        return { outcome: outcomeWithoutAnswer(result.failure, result.written), reaction: "done" };
      case "response": {
        const { status, body } = result;
        const after = retryAfterMs(result.headers["retry-after"], this.#clock.now());
        return serviceVerdict({
          host,
          isProven,
          status,
          body,
          ...(after === undefined ? {} : { retryAfterMs: after }),
        });
      }
    }
  }

  #targetOf({ url }: Endpoint): URL {
    if (this.#base === undefined) return url;
    const { href } = this.#base.url;
    return new URL(`${href.replace(/\/$/, "")}${url.pathname}${url.search}`);
  }
}

/** The same for whatever kept the operator's rules from it (webpush.md 4). */
const NOT_ALLOWED: Outcome = { kind: "dropped", reason: "endpoint-not-allowed" };

function done(outcome: Outcome): ServiceResult {
  return { outcome, reaction: "done" };
}
