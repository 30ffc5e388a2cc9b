import { Agent } from "node:https";
import type { Duplex } from "node:stream";
import { connect as tlsConnect, type ConnectionOptions } from "node:tls";
import got, { RequestError, type Got, type PlainResponse } from "got";
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
 */
export function createHttpClient(options: { readonly ca?: string; readonly proxy?: URL }): HttpClient {
  const agent = options.proxy === undefined ? undefined : new TunnelAgent(options.proxy);
  const client: Got = got.extend({
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    timeout: { request: DEADLINE_MS },
    https: {
      ...(options.ca === undefined ? {} : { certificateAuthority: options.ca }),
      minVersion: "TLSv1.2",
    },
    ...(agent === undefined ? {} : { agent: { https: agent } }),
  });
  return (request) => send(client, request);
}

async function send(client: Got, request: HttpRequest): Promise<HttpResult> {
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
    const cause = error instanceof RequestError ? (error.cause ?? error) : error;
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    return { kind: "failed", failure: timedOut ? { class: "timeout" } : classifyNetError(cause) };
  }
  if (response === undefined) return { kind: "failed", failure: { class: "closed" } };
  return {
    kind: "response",
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks).toString("utf8"),
  };
}

/** Reaches https targets through CONNECT; TLS is with the target, not with the proxy. */
class TunnelAgent extends Agent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super({ keepAlive: false });
    this.#proxy = proxy;
  }

  override createConnection(
    options: Parameters<Agent["createConnection"]>[0],
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const host = options.host ?? "";
    const port = Number(options.port ?? 443);
    void openTunnel(this.#proxy, host, port, AbortSignal.timeout(TUNNEL_LIMIT_MS)).then((tunnel) => {
      if (!tunnel.ok) {
        const code =
          tunnel.failure.status === undefined ? tunnel.failure.detail : `PROXY_${tunnel.failure.status}`;
        // Node wants a stream even beside an error; it looks at the error first.
        callback(
          Object.assign(new Error("the proxy gave no tunnel"), { code }),
          undefined as unknown as Duplex,
        );
        return;
      }
      callback(null, tlsConnect({ ...(options as ConnectionOptions), socket: tunnel.socket }));
    });
    return undefined;
  }
}
