import { once } from "node:events";
import { isIP, type LookupFunction, type Socket } from "node:net";
import tls from "node:tls";
import type { Clock } from "../clock.ts";
import { classifyNetError, errorCode, type NetFailure } from "./net-error.ts";
import { openTunnel } from "./proxy-tunnel.ts";

/** What authenticates the two ends beside the machine's own list of authorities. */
export interface UpstreamTls {
  /** PEM. Replaces the built-in authorities: for simulators and inspecting proxies. */
  readonly ca?: string | Buffer;
  /** Client certificate and key, PEM (APNs certificate mode). */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
}

export interface ConnectOptions {
  readonly origin: URL;
  readonly tls?: UpstreamTls;
  /** Forward proxy, `http://[user:password@]host[:port]`, port 80 when none is given. */
  readonly proxy?: URL;
  /** Instead of the system's; not asked with a proxy, nor for an address. */
  readonly lookup?: LookupFunction;
  /** For everything together: name, TCP, proxy, TLS. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** A socket on which HTTP/2 may begin, or why there is none. Nothing has been sent to the upstream's HTTP layer. */
export type Connected =
  | { readonly ok: true; readonly socket: tls.TLSSocket }
  | { readonly ok: false; readonly failure: NetFailure };

/** Opens one connection. Never throws; resolves within the time limit, or when the signal aborts. */
export type Connector = (signal: AbortSignal) => Promise<Connected>;

/** Without PINGs (FCM allows none when idle) this is what notices a peer that vanished. */
const tcpKeepAliveMs = 30_000;

/**
 * Connects to one origin with TLS 1.2 or newer, a verified host name and ALPN `h2` alone. There is no switch to
 * weaken this, and `NODE_TLS_REJECT_UNAUTHORIZED` is not heard. The name is looked up at every connect.
 */
export function createConnector(options: ConnectOptions): Connector {
  const { origin, proxy, lookup, clock } = options;
  const host = origin.hostname.replace(/^\[|\]$/g, "");
  const port = origin.port === "" ? 443 : Number(origin.port);
  // Reading the authorities costs milliseconds: once for all connections, but not before the first.
  let context: tls.SecureContext | undefined;
  const tlsOptions = (): tls.ConnectionOptions => ({
    secureContext: (context ??= tls.createSecureContext({ minVersion: "TLSv1.2", ...options.tls })),
    ALPNProtocols: ["h2"],
    rejectUnauthorized: true,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(lookup === undefined ? {} : { lookup }),
  });

  return async (signal) => {
    const limit = new AbortController();
    let timedOut = false;
    const cancelTimer = clock.schedule(options.timeoutMs, () => {
      timedOut = true;
      limit.abort();
    });
    const onAbort = (): void => limit.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) limit.abort();
    try {
      const tunnel = proxy === undefined ? undefined : await openTunnel(proxy, host, port, limit.signal);
      if (tunnel?.ok === false) {
        return timedOut ? { ok: false, failure: { class: "proxy", detail: "timeout" } } : tunnel;
      }
      const connected = await secure(host, port, tunnel?.socket, tlsOptions, limit.signal);
      return !connected.ok && timedOut ? { ok: false, failure: { class: "timeout" } } : connected;
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", onAbort);
    }
  };
}

async function secure(
  host: string,
  port: number,
  tunnel: Socket | undefined,
  tlsOptions: () => tls.ConnectionOptions,
  signal: AbortSignal,
): Promise<Connected> {
  if (signal.aborted) {
    tunnel?.destroy();
    return { ok: false, failure: { class: "closed" } };
  }
  let tcpConnected = tunnel !== undefined;
  let socket: tls.TLSSocket;
  try {
    socket = tls.connect({
      host,
      ...(tunnel === undefined ? { port } : { socket: tunnel }),
      ...tlsOptions(),
    });
  } catch (error) {
    tunnel?.destroy();
    return { ok: false, failure: { class: "tls", ...detailOf(error) } };
  }
  // The socket outlives this function, and an 'error' without a listener would end the process.
  socket.on("error", () => {});
  socket.once("connect", () => (tcpConnected = true));
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  let failure: NetFailure;
  try {
    const closed = new AbortController();
    socket.once("close", () => closed.abort());
    await once(socket, "secureConnect", { signal: closed.signal });
    if (socket.alpnProtocol === "h2" && !socket.destroyed) {
      socket.setKeepAlive(true, tcpKeepAliveMs);
      return { ok: true, socket };
    }
    failure = { class: socket.destroyed ? "closed" : "no-h2" };
  } catch (error) {
    failure = classifyNetError(error);
    // Cut in the handshake: for an operator that is a TLS problem (a peer that dislikes us), whatever the code.
    if (tcpConnected && failure.class !== "no-h2" && failure.class !== "local") {
      failure = { ...failure, class: "tls" };
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  socket.destroy();
  tunnel?.destroy();
  return { ok: false, failure };
}

function detailOf(error: unknown): { detail?: string } {
  const code = errorCode(error);
  return code === undefined ? {} : { detail: code };
}
