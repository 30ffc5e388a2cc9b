import type { ClientRequest } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { LookupFunction, Socket } from "node:net";
import type { Got, OptionsInit, PlainResponse, RequestError } from "got";
import type { Clock } from "../clock.ts";
import { silentLog } from "../log.ts";
import { Agent as HttpAgent } from "../node-http.ts";
import { AddressGuard } from "./address-guard.ts";
import type { Endpoint } from "./endpoint-url.ts";
import { GuardedTunnelAgent, GuardedTunnelAgentPlain, type TunnelTo } from "./guarded-tunnel.ts";
import { preferHttp2 } from "./guarded-http2.ts";
import type { Http2Client } from "./http2-api.ts";
import {
  REFUSED_CODE,
  type GuardedOrigin,
  type GuardedRequest,
  type GuardedResult,
} from "./guarded-origin.ts";
import { MAX_ANSWER_BYTES } from "./http-client.ts";
import { classifyNetError, errorCode, type NetFailure } from "./net-error.ts";
import { createResolver, type ResolvedAddress, type Resolver } from "./resolver.ts";

/** The operator's rules for user-supplied endpoints, as under `outbound`. */
export interface OutboundRules {
  readonly allow_addresses: readonly string[];
  readonly allow_ports: readonly number[];
  readonly allow_http: boolean;
}

/** How endpoints are reached. */
export interface GuardedHttpOptions {
  readonly clock: Clock;
  readonly outbound: OutboundRules;
  /** Forward proxy. It is told checked addresses, never names. */
  readonly proxy?: URL;
  /** PEM that replaces the machine's list of authorities. */
  readonly ca?: string;
  /** Connections to one origin. */
  readonly maxSockets: number;
  /** HTTP/2 where the endpoint speaks it. Not through a proxy. Default false. */
  readonly http2?: boolean;
  /** Who speaks it. Default: the pool's own. */
  readonly http2Client?: Http2Client;
  /** Default: the machine's name servers. */
  readonly resolver?: Resolver;
  readonly guard?: AddressGuard;
  /** Of the whole request. Default 9.5 s: less than the core gives an attempt. */
  readonly limitMs?: number;
  /** For name, TCP, proxy and TLS together. Default 5 s. */
  readonly connectLimitMs?: number;
}

const LIMIT_MS = 9_500;
const CONNECT_LIMIT_MS = 5_000;
/** The status decides; a body that dawdles behind it is not waited for. */
const BODY_LIMIT_MS = 1_000;
/** Answers of 1xx before the real one; who sends more keeps us busy and says nothing (H18). */
const MAX_INTERIM_ANSWERS = 16;
/** Connections without work that one origin may keep: whoever has many origins must not fill the descriptors. */
const MAX_IDLE = 8;
/** … and for how long. */
const IDLE_MS = 60_000;
/** The second address of a name gets its turn after this (UW08). */
const NEXT_ADDRESS_MS = 250;

/**
 * Requests to endpoints that strangers choose. Where a connection goes is decided inside the connection's own lookup,
 * so there is no second look that could come out differently (H15, H16); a literal has no lookup and is judged before.
 * One answer, of bounded size and time, no redirects, no decompression, no repeats.
 */
export class GuardedHttp {
  readonly #options: GuardedHttpOptions;
  readonly #guard: AddressGuard;
  readonly #resolver: Resolver;
  /** got with our settings, loaded with the first request. */
  #library: Promise<Library> | undefined;

  constructor(options: GuardedHttpOptions) {
    this.#options = options;
    this.#guard = options.guard ?? new AddressGuard(options.outbound.allow_addresses);
    this.#resolver = options.resolver ?? createResolver({ clock: options.clock });
  }

  /**
   * The connections to an endpoint's origin.
   *
   * @param trusted the operator named it (`apps.<id>.endpoint`): no rule for strangers applies
   */
  open(endpoint: Endpoint, { trusted = false }: { readonly trusted?: boolean } = {}): GuardedOrigin {
    const mayReach = trusted ? () => true : this.#ruleFor(endpoint);
    if (mayReach === undefined || (endpoint.literal !== 0 && !mayReach(endpoint.host))) return closedOrigin;
    const tunnelTo: TunnelTo = async (host) =>
      trusted ? [host] : (await this.#resolve(host, mayReach)).map(({ address }) => address);
    const lookup = this.#lookup(mayReach);
    const { proxy, maxSockets } = this.#options;
    const pool = {
      keepAlive: true,
      maxSockets,
      maxFreeSockets: Math.min(maxSockets, MAX_IDLE),
      timeout: IDLE_MS,
    };
    const happyEyeballs = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS };
    const agent =
      proxy === undefined
        ? {
            https: new HttpsAgent({ ...pool, ...happyEyeballs }),
            http: new HttpAgent({ ...pool, ...happyEyeballs }),
          }
        : {
            https: new GuardedTunnelAgent(pool, proxy, tunnelTo),
            http: new GuardedTunnelAgentPlain(pool, proxy, tunnelTo),
          };
    const way: Way = { agent, dnsLookup: lookup };
    const http1: GuardedOrigin = {
      send: (request, signal) => this.#sendOnce(way, request, signal),
      destroy: () => {
        agent.https.destroy();
        agent.http.destroy();
      },
    };
    if (this.#options.http2 !== true || proxy !== undefined || endpoint.isPlainHttp) return http1;
    const { clock, ca, http2Client, limitMs = LIMIT_MS, connectLimitMs = CONNECT_LIMIT_MS } = this.#options;
    return preferHttp2(http1, {
      origin: endpoint.url,
      lookup,
      clock,
      // Strangers choose these hosts: what becomes of them is told by the outcomes, not by the log.
      log: silentLog,
      ...(ca === undefined ? {} : { tls: { ca } }),
      ...(http2Client === undefined ? {} : { client: http2Client }),
      requestTimeoutMs: limitMs,
      connectTimeoutMs: connectLimitMs,
    });
  }

  /** Which addresses this origin may lead to; undefined = none, whatever they are. */
  #ruleFor(endpoint: Endpoint): ((address: string) => boolean) | undefined {
    const { allow_http: allowHttp, allow_ports: allowPorts } = this.#options.outbound;
    if (endpoint.isPlainHttp && !allowHttp) return undefined;
    // Only listed addresses are reached in these ways: by http, on any port, and without a name.
    const mustBeListed =
      endpoint.isPlainHttp || endpoint.literal !== 0 || !allowPorts.includes(endpoint.port);
    return mustBeListed
      ? (address) => this.#guard.isListed(address)
      : (address) => this.#guard.isAllowed(address);
  }

  /** All of the name's addresses, or none: one that is not allowed spoils the answer it came in (H16). */
  async #resolve(host: string, mayReach: (address: string) => boolean): Promise<readonly ResolvedAddress[]> {
    const addresses = await this.#resolver.resolve(host);
    if (!addresses.every(({ address }) => mayReach(address))) {
      throw Object.assign(new Error("the name leads to an address that is not allowed"), {
        code: REFUSED_CODE,
      });
    }
    return addresses;
  }

  #lookup(mayReach: (address: string) => boolean): LookupFunction {
    return (host, options, callback) => {
      this.#resolve(host, mayReach).then(
        (addresses) => {
          if (options.all === true) callback(null, [...addresses]);
          else callback(null, addresses[0]?.address ?? "", addresses[0]?.family ?? 4);
        },
        (error: NodeJS.ErrnoException) => callback(error, options.all === true ? [] : ""),
      );
    };
  }

  /** A kept connection that had gone stale is no failure: the request goes again, on another one. */
  async #sendOnce(way: Way, request: GuardedRequest, signal: AbortSignal): Promise<GuardedResult> {
    const { clock, limitMs = LIMIT_MS } = this.#options;
    const endMs = clock.monotonic() + limitMs;
    const library = await (this.#library ??= loadLibrary(this.#options.ca));
    for (let tries = 1; ; tries += 1) {
      const { reused, ...result } = await this.#send(
        library,
        way,
        request,
        signal,
        endMs - clock.monotonic(),
      );
      const isStale =
        reused && result.kind === "failed" && STALE.has(result.failure.class) && !signal.aborted;
      if (!isStale || tries > MAX_STALE) return result;
    }
  }

  #send(
    { client, isRequestError }: Library,
    way: Way,
    request: GuardedRequest,
    signal: AbortSignal,
    limitMs: number,
  ): Promise<Sent> {
    const { clock, connectLimitMs = CONNECT_LIMIT_MS } = this.#options;
    if (signal.aborted) {
      return Promise.resolve({ kind: "failed", failure: ABORTED, written: false, reused: false });
    }
    return new Promise((resolve) => {
      let response: PlainResponse | undefined;
      let connected = false;
      let reused = false;
      let ended = false;
      const chunks: Buffer[] = [];
      let bytes = 0;
      const timers: (() => void)[] = [];
      const stream = openStream(client, way, request);
      if (stream === undefined) {
        return resolve({ kind: "failed", failure: { class: "other" }, written: false, reused });
      }

      const finish = (result: GuardedResult): void => {
        if (ended) return;
        ended = true;
        for (const cancel of timers) cancel();
        signal.removeEventListener("abort", onAbort);
        if (!stream.readableEnded) stream.destroy();
        resolve({ ...result, reused });
      };
      /** A status that has come counts, whatever became of the rest. */
      const end = (failure: NetFailure): void => {
        if (response === undefined) return finish({ kind: "failed", failure, written: connected });
        const { statusCode: status, headers } = response;
        const body = Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString("utf8");
        finish({ kind: "response", status, headers, body });
      };
      const onAbort = (): void => end(ABORTED);
      signal.addEventListener("abort", onAbort, { once: true });
      timers.push(
        clock.schedule(limitMs, () => end(TIMEOUT)),
        clock.schedule(connectLimitMs, () => {
          if (!connected) end(TIMEOUT);
        }),
      );

      stream.on("request", (sent: ClientRequest) => {
        let interim = 0;
        sent.on("information", () => {
          interim += 1;
          if (interim > MAX_INTERIM_ANSWERS) end(FLOOD);
        });
        sent.on("socket", (socket: Socket) => {
          reused = sent.reusedSocket;
          const onConnected = (): void => void (connected = true);
          if (!socket.connecting && (sent.reusedSocket || request.url.protocol === "http:"))
            return onConnected();
          socket.once(request.url.protocol === "http:" ? "connect" : "secureConnect", onConnected);
        });
      });
      stream.on("response", (head: PlainResponse) => {
        response = head;
        timers.push(clock.schedule(BODY_LIMIT_MS, () => end(TIMEOUT)));
      });
      stream.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) end(TIMEOUT);
      });
      stream.on("end", () => end({ class: "closed" }));
      stream.on("error", (error: unknown) => {
        const cause = isRequestError(error) ? (error.cause ?? error) : error;
        const code = errorCode(cause);
        if (code === REFUSED_CODE) finish({ kind: "refused" });
        else
          end(
            code?.startsWith("PROXY") === true ? { class: "proxy", detail: code } : classifyNetError(cause),
          );
      });
    });
  }
}

/** got, set up once. */
interface Library {
  readonly client: Got;
  readonly isRequestError: (error: unknown) => error is RequestError;
}

async function loadLibrary(ca: string | undefined): Promise<Library> {
  const { default: got, RequestError } = await import("got");
  const client = got.extend({
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    https: { ...(ca === undefined ? {} : { certificateAuthority: ca }), minVersion: "TLSv1.2" },
  });
  return { client, isRequestError: (error) => error instanceof RequestError };
}

/** Undefined for what got refuses to send, such as a host that it takes for a socket's path. */
function openStream(client: Got, way: Way, { url, headers, body }: GuardedRequest) {
  try {
    return client.stream(url, { ...way, method: "POST", headers: { ...headers }, body });
  } catch {
    return undefined;
  }
}

/** What a request on a kept connection meets when the other side has closed it in the meantime. */
const STALE: ReadonlySet<string> = new Set(["reset", "closed"]);
/** Others that are kept may be as old. */
const MAX_STALE = 2;

/** By which connections a request goes. */
type Way = Pick<OptionsInit, "agent" | "dnsLookup">;

type Sent = GuardedResult & { readonly reused: boolean };

const ABORTED: NetFailure = { class: "timeout", detail: "aborted" };
const TIMEOUT: NetFailure = { class: "timeout" };
const FLOOD: NetFailure = { class: "other", detail: "too many 1xx answers" };

/** Where nothing may be sent to. */
const closedOrigin: GuardedOrigin = {
  send: () => Promise.resolve({ kind: "refused" }),
  destroy() {},
};
