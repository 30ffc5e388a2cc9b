import { Agent } from "node:https";
import type { Duplex } from "node:stream";
import { connect as tlsConnect, type ConnectionOptions } from "node:tls";
import type * as GotLibrary from "got";
import type { Got, PlainResponse } from "got";
import { classifyNetError, type NetFailure } from "./net-error.ts";
import { openTunnel } from "./proxy-tunnel.ts";

/** One outgoing HTTP request. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** The answer, or why there is none. */
export type HttpResult =
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      /** At most `MAX_ANSWER_BYTES`. */
      readonly body: string;
    }
  | { readonly kind: "failed"; readonly failure: NetFailure };

/** Sends one request; never rejects, ends within the client's time. */
export type HttpClient = (request: HttpRequest) => Promise<HttpResult>;

/** No answer that this gateway asks for is longer. */
export const MAX_ANSWER_BYTES = 64 * 1024;
const DEADLINE_MS = 10_000;
const TUNNEL_LIMIT_MS = 5_000;

/**
 * Every outgoing HTTP request that is not HTTP/2 to Apple or Google: one deadline over all of it, a bounded answer, no
 * redirects, no decompression, no repeats (retrying has its one place, design D10).
 *
 * @param options.ca PEM that replaces the machine's list of authorities
 * @param options.proxy forward proxy for https targets
 * @param options.deadlineMs for everything from the name to the answer's last byte. Default 10 s
 */
export function createHttpClient(options: {
  readonly ca?: string;
  readonly proxy?: URL;
  readonly deadlineMs?: number;
}): HttpClient {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  const tunnelLimitMs = Math.min(TUNNEL_LIMIT_MS, deadlineMs);
  // Requests are too far apart for connections to be kept: one that the peer has left would only fail the next.
  const agent =
    options.proxy === undefined
      ? new Agent({ keepAlive: false })
      : new TunnelAgent(options.proxy, tunnelLimitMs);
  const load = async (): Promise<Library> => {
    const library = await import("got");
    return { ...library, client: library.default.extend(settings) };
  };
  const settings = {
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    timeout: { request: deadlineMs },
    https: {
      ...(options.ca === undefined ? {} : { certificateAuthority: options.ca }),
      minVersion: "TLSv1.2",
    },
    agent: { https: agent },
  } as const;
  let loaded: Promise<Library> | undefined;
  return async (request) => send(await (loaded ??= load()), request);
}

/** got is loaded with the first request: most gateways send none of these. */
type Library = Pick<typeof GotLibrary, "ReadError" | "RequestError" | "TimeoutError"> & {
  readonly client: Got;
};

async function send({ client, ...errors }: Library, request: HttpRequest): Promise<HttpResult> {
  const stream = client.stream(request.url, {
    method: request.method,
    headers: { ...request.headers },
    ...(request.body === undefined ? {} : { body: request.body }),
  });
  let response: PlainResponse | undefined;
  stream.on("response", (head: PlainResponse) => (response = head));
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES)
        return { kind: "failed", failure: { class: "other", detail: "answer-too-long" } };
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof errors.TimeoutError) return { kind: "failed", failure: { class: "timeout" } };
    const cause = error instanceof errors.RequestError ? (error.cause ?? error) : error;
    if (cause instanceof NoTunnel) return { kind: "failed", failure: cause.failure };
    const failure = classifyNetError(cause);
    // An answer that broke off, for which got has codes of its own.
    const brokeOff = error instanceof errors.ReadError && failure.class === "other";
    return { kind: "failed", failure: brokeOff ? { ...failure, class: "closed" } : failure };
  }
  if (response === undefined) return { kind: "failed", failure: { class: "closed" } };
  return {
    kind: "response",
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks).toString("utf8"),
  };
}

/** A proxy's failure on its way through Node's agent. */
class NoTunnel extends Error {
  readonly failure: NetFailure;

  constructor(failure: NetFailure) {
    super("the proxy gave no tunnel");
    this.failure = failure;
  }
}

/** Reaches https targets through CONNECT; TLS is with the target, not with the proxy. */
class TunnelAgent extends Agent {
  readonly #proxy: URL;
  readonly #limitMs: number;

  /** @param limitMs for the tunnel; until a request has its socket, Node lets no other time limit end it */
  constructor(proxy: URL, limitMs: number) {
    super({ keepAlive: false });
    this.#proxy = proxy;
    this.#limitMs = limitMs;
  }

  override createConnection(
    options: Parameters<Agent["createConnection"]>[0],
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const host = options.host ?? "";
    const port = Number(options.port ?? 443);
    const limit = AbortSignal.timeout(this.#limitMs);
    void openTunnel(this.#proxy, host, port, limit).then((tunnel) => {
      if (!tunnel.ok) {
        // Node wants a stream even beside an error; it looks at the error first.
        const failure: NetFailure = limit.aborted ? { class: "proxy", detail: "timeout" } : tunnel.failure;
        callback(new NoTunnel(failure), undefined as unknown as Duplex);
        return;
      }
      callback(null, tlsConnect({ ...(options as ConnectionOptions), socket: tunnel.socket }));
    });
    return undefined;
  }
}
