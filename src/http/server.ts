import type {
  RequestListener,
  Server as PlainServer,
  ServerOptions as NodeServerOptions,
  ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { Server as NetServer, type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../clock.ts";
import { LinkedList, type Linked } from "../linked-list.ts";
import { createServer as createPlainServer } from "../node-http.ts";
import { HttpError } from "./errors.ts";
import type { HttpObserver } from "./observer.ts";
import { refusalFor, refuseBody, refuseConnection } from "./unreadable.ts";

/** How long a caller may take for each thing. Milliseconds. */
export interface HttpTimeouts {
  /** An idle connection is kept this long: Synapse uses one again for 120 s (matrix-push 1). */
  readonly keepAliveMs: number;
  /** From a request's first byte, or a connection's start, to the end of the headers. */
  readonly headersMs: number;
  /** From a request's first byte to its last. */
  readonly requestMs: number;
  /** Without a byte in either direction while something is under way: a caller that does not read (H04). */
  readonly silentMs: number;
  /** How often headers and requests are looked at. */
  readonly checkEveryMs: number;
}

/** The figures of matrix-push 1 and reliability H01, H02. */
export const defaultTimeouts: HttpTimeouts = {
  keepAliveMs: 130_000,
  headersMs: 5000,
  requestMs: 10_000,
  silentMs: 60_000,
  checkEveryMs: 1000,
};

/** Where to listen. */
export interface ListenAddress {
  /** An IP address or a host name; `""` is every address. */
  readonly address: string;
  /** 0 = any free one. */
  readonly port: number;
}

/** A certificate with its key, both PEM. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/** How an HTTP listener is set up. */
export interface HttpServerOptions {
  readonly handler: RequestListener;
  readonly clock: Clock;
  readonly observer: Pick<HttpObserver, "unreadable">;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** Request line and headers. 16 KiB when absent. */
  readonly maxHeaderBytes?: number;
  /** Per address; one more is closed at once. Unlimited when absent: set it below the limit on open files (H03). */
  readonly maxConnections?: number;
  /** Connections that the kernel keeps until they are accepted. 1024 when absent. */
  readonly backlog?: number;
  /** Lets several threads or processes listen on the same port. */
  readonly reusePort?: boolean;
  /** HTTPS when given. */
  readonly tls?: TlsIdentity;
}

/** An HTTP listener on one or more addresses. */
export interface HttpServer {
  /** Listens on all of them, or on none and throws Node's error (`EADDRINUSE`, …). Addresses in the given order. */
  listen(addresses: readonly ListenAddress[]): Promise<readonly AddressInfo[]>;
  /** From the next request on, another application answers; those under way end in the one they began with. */
  setHandler(handler: RequestListener): void;
  /** New connections get this certificate. Throws on one that does not fit its key; then the old one stays. */
  setTls(identity: TlsIdentity): void;
  /** Every answer from now on closes its connection, so that callers move elsewhere; everything is still served. */
  drain(): void;
  /** Drains, accepts nothing more, ends idle connections, waits for what is under way, after `withinMs` cuts it. */
  stop(withinMs: number): Promise<void>;
}

type NodeServer = PlainServer | TlsServer;

/** A request that is being answered. */
interface UnderWay extends Linked<UnderWay> {
  readonly res: ServerResponse;
}

/** An HTTP/1.1 server whose every answer, to broken requests too, is JSON; nothing listens yet. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { clock, observer } = options;
  let { handler, tls } = options;
  let draining = false;
  let stopping = false;
  const servers: NodeServer[] = [];
  const underWay = new LinkedList<UnderWay>();
  /** The latest response on a connection: what its parser's errors are about. */
  const latest = new WeakMap<Duplex, ServerResponse>();
  const refused = new WeakSet<Duplex>();

  /** Node takes a connection for idle when its answer was ended, though the caller may not have read all of it yet. */
  const closeIdle = (): void => {
    for (let entry = underWay.first; entry !== undefined; entry = entry.later) {
      if (entry.res.writableEnded && !entry.res.writableFinished) return;
    }
    for (const server of servers) server.closeIdleConnections();
  };

  const listener: RequestListener = (req, res) => {
    const entry: UnderWay = { res, earlier: undefined, later: undefined };
    underWay.push(entry);
    latest.set(req.socket, res);
    res.on("close", () => {
      underWay.remove(entry);
      // An answer whose headers were out before the stop has left its connection open.
      if (stopping) setImmediate(closeIdle);
    });
    if (draining) res.setHeader("Connection", "close");
    handler(req, res);
  };

  const onClientError = (error: NodeJS.ErrnoException, socket: Duplex): void => {
    if (refused.has(socket)) return;
    refused.add(socket);
    const refusal = refusalFor(error.code);
    const response = latest.get(socket);
    if (refusal === undefined || !socket.writable) {
      observer.unreadable(0);
      socket.destroy();
    } else if (response === undefined || response.writableFinished) {
      observer.unreadable(refusal.status);
      refuseConnection(socket, refusal, clock);
    } else if (response.headersSent) {
      // It is being answered already; what came after that will not be.
      response.once("close", () => socket.destroy());
    } else if (response.req.complete) {
      // A good request is under way and rubbish came after it: the answer goes out, the connection ends.
      response.setHeader("Connection", "close");
    } else {
      refuseBody(response, refusal, clock);
    }
  };

  const build = (): NodeServer => {
    const server =
      tls === undefined
        ? createPlainServer(nodeOptions(options))
        : createTlsServer({ ...nodeOptions(options), ...tls, handshakeTimeout: 10_000 });
    server.timeout = options.timeouts?.silentMs ?? defaultTimeouts.silentMs;
    server.maxConnections = options.maxConnections ?? Infinity;
    // Node would drop the headers above a count without a word; the application refuses instead.
    server.maxHeadersCount = 0;
    server.on("request", listener);
    // Both would be answered by Node before the application could refuse.
    server.on("checkContinue", listener);
    server.on("checkExpectation", listener);
    server.on("clientError", onClientError);
    server.on("connect", (_req, socket: Duplex) => {
      socket.on("error", () => socket.destroy());
      refuseConnection(socket, new HttpError("wrong-method", { allow: "GET, HEAD, POST" }), clock);
    });
    server.on("tlsClientError", (_error, socket: Duplex) => {
      observer.unreadable(0);
      socket.destroy();
    });
    return server;
  };

  const drain = (): void => {
    draining = true;
    for (const { res } of underWay.all()) if (!res.headersSent) res.setHeader("Connection", "close");
  };

  return {
    async listen(addresses) {
      const bound: AddressInfo[] = [];
      for (const address of addresses) {
        const server = build();
        try {
          bound.push(await bind(server, address, addresses, options));
        } catch (error) {
          await Promise.all(servers.map((one) => closeServer(one, 0, clock, closeIdle)));
          servers.length = 0;
          throw error;
        }
        servers.push(server);
      }
      return bound;
    },
    setHandler(next) {
      handler = next;
    },
    setTls(identity) {
      for (const server of servers) if ("setSecureContext" in server) server.setSecureContext(identity);
      tls = identity;
    },
    drain,
    async stop(withinMs) {
      stopping = true;
      drain();
      await Promise.all(servers.map((server) => closeServer(server, withinMs, clock, closeIdle)));
    },
  };
}

function nodeOptions(options: HttpServerOptions): NodeServerOptions {
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  return {
    keepAliveTimeout: timeouts.keepAliveMs,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkEveryMs,
    maxHeaderSize: options.maxHeaderBytes ?? 16 * 1024,
    // Nothing here depends on Host, and Node's own refusal has no body.
    requireHostHeader: false,
  };
}

/** Twisted's `::` never takes IPv4 along, so configurations name both wildcards; on Linux that would clash. */
function isIpv6Only(address: string, all: readonly ListenAddress[]): boolean {
  return address === "::" && all.some((other) => other.address === "0.0.0.0");
}

function bind(
  server: NodeServer,
  { address, port }: ListenAddress,
  all: readonly ListenAddress[],
  { backlog = 1024, reusePort = false }: HttpServerOptions,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const host = address === "" ? {} : { host: address };
    server.listen({ ...host, port, backlog, reusePort, ipv6Only: isIpv6Only(address, all) }, () => {
      server.off("error", reject);
      // From here on an error is one of accept (too many open files): the next connection may be luckier.
      server.on("error", () => {});
      resolve(server.address() as AddressInfo);
    });
  });
}

/** Ends a server; `withinMs` later at the latest, even where answers are under way. */
async function closeServer(
  server: NodeServer,
  withinMs: number,
  clock: Clock,
  closeIdle: () => void,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    // The HTTP server's own close ends idle connections at once and stops its timers; some of these connections may
    // have a request waiting to be read, and the timers must go on for the half-read ones.
    NetServer.prototype.close.call(server, () => resolve());
  });
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  closeIdle();
  const cancel = clock.schedule(withinMs, () => server.closeAllConnections());
  await closed;
  cancel();
  // Nothing is left to close: this stops the timers. It reports that the server is not running, which is the point.
  server.close(() => {});
}
