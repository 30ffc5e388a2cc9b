import { lookup as systemLookup } from "node:dns";
import { connect as connectHttp2, type ClientHttp2Session, type OutgoingHttpHeaders } from "node:http2";
import { isIP, type LookupFunction } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import { createConnector, type UpstreamTls } from "./connect.ts";
import { classifyNetError, type NetFailure } from "./net-error.ts";

/** What a look at an upstream needs. */
export interface ProbeOptions {
  readonly origin: URL;
  readonly tls: UpstreamTls;
  readonly proxy?: URL;
  readonly lookup?: LookupFunction;
  readonly clock: Clock;
}

/** One request of a probe. */
export interface ProbeRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What it answered. */
export interface ProbeAnswer {
  readonly status: number;
  readonly body: string;
  /** Its `Date` header, milliseconds since 1970; absent when it sends none. */
  readonly dateMs?: number;
}

/** The addresses of a name. */
export type Resolved =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly failure: NetFailure };

/** An open connection that a probe may use for a few requests. */
export interface Probe {
  /** The end of the upstream's own certificate, milliseconds since 1970. */
  readonly certificateEndsAtMs: number;
  /** POSTs, and waits for the answer for 10 s at most. Never rejects. */
  ask(request: ProbeRequest): Promise<ProbeAnswer | { readonly failure: NetFailure }>;
  close(): void;
}

const CONNECT_LIMIT_MS = 10_000;
const ANSWER_LIMIT_MS = 10_000;
const MAX_BODY_BYTES = 64 * 1024;

/** The addresses of the origin's name, as the gateway itself would find them. Never rejects. */
export function resolveOrigin(origin: URL, lookup: LookupFunction = systemLookup): Promise<Resolved> {
  const host = hostOf(origin);
  if (isIP(host) !== 0) return Promise.resolve({ ok: true, addresses: [host] });
  return new Promise((resolve) => {
    lookup(host, { all: true }, (error, addresses) => {
      if (error !== null) return resolve({ ok: false, failure: classifyNetError(error) });
      const list = Array.isArray(addresses) ? addresses.map(({ address }) => address) : [addresses];
      resolve(list.length === 0 ? { ok: false, failure: { class: "dns" } } : { ok: true, addresses: list });
    });
  });
}

/** One HTTP/2 connection as the gateway makes them, proxy and verification included. Never rejects. */
export async function openProbe(options: ProbeOptions): Promise<Probe | { readonly failure: NetFailure }> {
  const { origin, tls, proxy, lookup, clock } = options;
  const connect = createConnector({
    origin,
    tls,
    clock,
    timeoutMs: CONNECT_LIMIT_MS,
    ...(proxy === undefined ? {} : { proxy }),
    ...(lookup === undefined ? {} : { lookup }),
  });
  const connected = await connect(new AbortController().signal);
  if (!connected.ok) return { failure: connected.failure };
  return new OpenProbe(origin, connected.socket, clock);
}

class OpenProbe implements Probe {
  readonly certificateEndsAtMs: number;
  readonly #session: ClientHttp2Session;
  readonly #clock: Clock;
  #lost: NetFailure | undefined;

  constructor(origin: URL, socket: TLSSocket, clock: Clock) {
    this.#clock = clock;
    this.certificateEndsAtMs = Date.parse(socket.getPeerCertificate().valid_to);
    this.#session = connectHttp2(origin, { createConnection: () => socket });
    // A handshake with a client certificate that the peer dislikes fails only now (TLS 1.3).
    this.#session.on("error", (error) => (this.#lost ??= classifyNetError(error)));
    this.#session.on("goaway", (_code, _last, data: Buffer | undefined) => {
      const reason = /"reason"\s*:\s*"([A-Za-z]{1,64})"/.exec(data?.toString("latin1") ?? "")?.[1];
      if (reason !== undefined) this.#lost = { class: "goaway", detail: reason };
    });
  }

  ask({ path, headers, body }: ProbeRequest): Promise<ProbeAnswer | { readonly failure: NetFailure }> {
    return new Promise((resolve) => {
      if (this.#session.destroyed || this.#session.closed)
        return resolve({ failure: this.#lost ?? { class: "closed" } });
      const all: OutgoingHttpHeaders = { ":method": "POST", ":path": path, ...headers };
      const stream = this.#session.request(all);
      let answer: Omit<ProbeAnswer, "body"> | undefined;
      let text = "";
      let failure: NetFailure | undefined;
      const cancel = this.#clock.schedule(ANSWER_LIMIT_MS, () => {
        failure = { class: "timeout" };
        stream.destroy();
      });
      stream.on("response", (received) => {
        const dateMs = Date.parse(received.date ?? "");
        answer = { status: received[":status"] ?? 0, ...(Number.isFinite(dateMs) ? { dateMs } : {}) };
      });
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => {
        if (text.length < MAX_BODY_BYTES) text += chunk;
      });
      stream.on("error", (error) => (failure ??= classifyNetError(error)));
      stream.on("close", () => {
        cancel();
        if (answer !== undefined) resolve({ ...answer, body: text });
        else resolve({ failure: this.#lost ?? failure ?? { class: "closed" } });
      });
      stream.end(body);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** An origin's host without the brackets of IPv6. */
export function hostOf(origin: URL): string {
  return origin.hostname.replace(/^\[|\]$/g, "");
}
