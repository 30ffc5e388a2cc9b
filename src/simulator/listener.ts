import { createServer as createHttp1Server } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { performServerHandshake } from "node:http2";
import type { IncomingHttpHeaders as Http2Headers, ServerHttp2Stream } from "node:http2";
import { createServer as createTlsServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import type { Connection, Connections } from "./connection.ts";
import type { KeyAndCertificate } from "./certificate.ts";

/** What the simulator sends back. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Absent: END_STREAM on the headers. */
  readonly body?: string | Buffer;
  /** Ends the body with a second, empty DATA frame, as FCM does (fcm.md section 3). */
  readonly emptyLastFrame?: boolean;
}

/** One request that has arrived whole, or up to the body limit, and waits for its answer. */
export interface Exchange<S> {
  readonly connection: Connection<S>;
  /** 0 over HTTP/1.1. */
  readonly streamId: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** True when a header field came twice. */
  readonly duplicateHeaders: boolean;
  readonly body: Buffer;
  /** True when the body exceeds the listener's limit; `body` is then only its beginning. */
  readonly truncated: boolean;
  reply(reply: Reply): void;
  /** RST_STREAM with this code; over HTTP/1.1 the connection goes. */
  reset(code: number): void;
}

/** How one simulator listens. */
export interface ListenerOptions<S> {
  readonly host: string;
  readonly port: number;
  readonly tls: KeyAndCertificate;
  /** Asks for a client certificate and trusts this authority's; a connection without one is let in. */
  readonly clientCa?: string;
  /** Offers `http/1.1` beside `h2`. */
  readonly http1: boolean;
  readonly maxBodyBytes: number;
  /** Where its connections are kept. */
  readonly connections: Connections<S>;
  /** Called for each new connection, before its first SETTINGS frame. */
  open(socket: TLSSocket): { readonly state: S; readonly maxConcurrentStreams: number };
  onConnection?(connection: Connection<S>): void;
  handle(exchange: Exchange<S>): void;
}

/** A TLS server of one simulator. */
export interface Listener {
  readonly port: number;
  /** Destroys every connection and stops listening. */
  close(): Promise<void>;
}

const ignore = (): void => {};

/**
 * Listens with TLS. A request without `:authority` is refused by Node's HTTP/2 itself (RST_STREAM 1); what a client asks for by ALPN decides
 * between HTTP/2, HTTP/1.1 and a closed door.
 */
export async function startListener<S>(options: ListenerOptions<S>): Promise<Listener> {
  const bySocket = new WeakMap<object, Connection<S>>();
  const http1 = createHttp1Server((request, response) => {
    const connection = bySocket.get(request.socket);
    if (connection !== undefined) serveHttp1(connection, request, response, options);
  });
  const server = createTlsServer({
    key: options.tls.keyPem,
    cert: options.tls.certPem,
    minVersion: "TLSv1.2",
    ALPNProtocols: options.http1 ? ["h2", "http/1.1"] : ["h2"],
    ...(options.clientCa === undefined
      ? {}
      : { ca: options.clientCa, requestCert: true, rejectUnauthorized: false }),
  });
  server.on("tlsClientError", ignore);
  server.on("secureConnection", (socket) => {
    socket.on("error", ignore);
    socket.setNoDelay(true);
    const isHttp2 = socket.alpnProtocol === "h2";
    if (!isHttp2 && !options.http1) {
      socket.destroy();
      return;
    }
    const { state, maxConcurrentStreams } = options.open(socket);
    const session = isHttp2
      ? performServerHandshake(socket, { settings: { maxConcurrentStreams, maxHeaderListSize: 8000 } })
      : undefined;
    const connection = options.connections.add(socket, session, state);
    bySocket.set(socket, connection);
    if (session === undefined) {
      http1.emit("connection", socket);
    } else {
      session.on("error", ignore);
      session.on("stream", (stream, headers, _flags, rawHeaders) => {
        serveHttp2(connection, stream, headers, rawHeaders, options);
      });
    }
    options.onConnection?.(connection);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.removeListener("error", reject);
      server.on("error", ignore);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        options.connections.closeAll();
      }),
  };
}

/** Collects up to the limit, then calls back once. What exceeds the limit is read and thrown away. */
function collect(
  source: ServerHttp2Stream | IncomingMessage,
  maxBytes: number,
  done: (body: Buffer, truncated: boolean) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let finished = false;
  source.on("data", (chunk: Buffer) => {
    if (finished) return;
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes <= maxBytes) return;
    finished = true;
    done(Buffer.concat(chunks).subarray(0, maxBytes), true);
  });
  source.on("end", () => {
    if (finished) return;
    finished = true;
    done(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks), false);
  });
}

function serveHttp2<S>(
  connection: Connection<S>,
  stream: ServerHttp2Stream,
  headers: Http2Headers,
  rawHeaders: readonly string[],
  options: ListenerOptions<S>,
): void {
  stream.on("error", ignore);
  connection.requests += 1;
  collect(stream, options.maxBodyBytes, (body, truncated) => {
    options.handle({
      connection,
      streamId: stream.id ?? 0,
      method: headers[":method"] ?? "",
      path: headers[":path"] ?? "",
      headers,
      duplicateHeaders: hasDuplicates(rawHeaders),
      body,
      truncated,
      reply: (reply) => {
        if (stream.destroyed || stream.closed || stream.headersSent) return;
        stream.respond(
          { ":status": reply.status, ...reply.headers },
          { endStream: reply.body === undefined },
        );
        if (reply.body === undefined) return;
        if (reply.emptyLastFrame === true) {
          // Ending sooner would put END_STREAM on the only frame.
          stream.write(reply.body, () => stream.end());
        } else {
          stream.end(reply.body);
        }
      },
      reset: (code) => {
        if (!stream.destroyed) stream.close(code);
      },
    });
  });
}

function serveHttp1<S>(
  connection: Connection<S>,
  request: IncomingMessage,
  response: ServerResponse,
  options: ListenerOptions<S>,
): void {
  request.on("error", ignore);
  response.on("error", ignore);
  connection.requests += 1;
  collect(request, options.maxBodyBytes, (body, truncated) => {
    options.handle({
      connection,
      streamId: 0,
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      duplicateHeaders: hasDuplicates(request.rawHeaders),
      body,
      truncated,
      reply: (reply) => {
        if (response.headersSent || response.destroyed) return;
        response.writeHead(reply.status, reply.headers);
        response.end(reply.body);
      },
      reset: () => connection.destroy(),
    });
  });
}

/** `rawHeaders` is a flat list of names and values. */
function hasDuplicates(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    for (let j = i + 2; j < rawHeaders.length; j += 2)
      if (rawHeaders[j] === name && name !== "cookie") return true;
  }
  return false;
}
