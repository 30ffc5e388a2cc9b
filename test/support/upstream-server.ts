import { readFileSync } from "node:fs";
import http2, { type ServerHttp2Session, type ServerHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import tls, { type TLSSocket } from "node:tls";

const folder = new URL("./tls/", import.meta.url);
const pem = (name: string): string => readFileSync(new URL(name, folder), "utf8");

/** The synthetic authority behind all test certificates. */
export const testCa = pem("ca.pem");

/** A certificate and its key: `localhost` (also 127.0.0.1), `expired` (the same, long ago), `wrong-host`. */
export function testCertificate(name: "localhost" | "expired" | "wrong-host"): { cert: string; key: string } {
  return { cert: pem(`${name}.pem`), key: pem(`${name}-key.pem`) };
}

/** A listening server's port, and how to end it with all its connections. */
export interface Listening {
  readonly port: number;
  readonly origin: URL;
  /** Every connection accepted so far, in order. */
  readonly sockets: Socket[];
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1 and keeps hold of every connection. */
export async function listen(server: Server, port = 0): Promise<Listening> {
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    origin: new URL(`https://localhost:${address.port}`),
    sockets,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A request as the server saw it. */
export interface SeenRequest {
  readonly stream: ServerHttp2Stream;
  readonly session: ServerHttp2Session;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Which connection, from 0. */
  readonly connection: number;
}

export interface Http2Upstream extends Listening {
  readonly sessions: ServerHttp2Session[];
  readonly seen: SeenRequest[];
  /** The most streams that were open at once on each connection. */
  readonly mostOpen: number[];
}

export interface Http2UpstreamOptions {
  readonly settings?: http2.Settings;
  readonly certificate?: { cert: string; key: string };
  readonly tls?: http2.SecureServerOptions;
  readonly port?: number;
  readonly onSession?: (session: ServerHttp2Session, index: number) => void;
}

/** A real HTTP/2 server that calls back for every request whose body has come; `answer` replies or does not. */
export async function startHttp2Upstream(
  answer: (request: SeenRequest) => void,
  options: Http2UpstreamOptions = {},
): Promise<Http2Upstream> {
  const sessions: ServerHttp2Session[] = [];
  const seen: SeenRequest[] = [];
  const mostOpen: number[] = [];
  const server = http2.createSecureServer({
    ...testCertificate("localhost"),
    ...options.certificate,
    ...options.tls,
    settings: { maxConcurrentStreams: 1000, ...options.settings },
  });
  server.on("sessionError", () => {});
  server.on("session", (session) => {
    const connection = sessions.push(session) - 1;
    let open = 0;
    mostOpen.push(0);
    session.on("error", () => {});
    session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      open += 1;
      mostOpen[connection] = Math.max(mostOpen[connection] ?? 0, open);
      stream.on("close", () => (open -= 1));
      stream.on("error", () => {});
      let body = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => (body += chunk));
      stream.on("end", () => {
        const request = { stream, session, headers, body, connection };
        seen.push(request);
        if (!stream.destroyed) answer(request);
      });
    });
    options.onSession?.(session, connection);
  });
  return { ...(await listen(server, options.port)), sessions, seen, mostOpen };
}

/** Answers with a status and, unless it is empty, a body. */
export function reply(request: SeenRequest, status = 200, body = ""): void {
  const { stream } = request;
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ":status": status }, { endStream: body === "" });
  if (body !== "") stream.end(body);
}

/** One HTTP/2 frame's header, as it came (RFC 9113, 4.1). */
export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly socket: TLSSocket;
}

const noBytes = Buffer.alloc(0);

/** An HTTP/2 frame's bytes. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = noBytes): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A GOAWAY frame; Node's own server cannot send last stream id 0. */
export function goawayFrame(code: number, lastStreamId: number, debugData = ""): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(lastStreamId, 0);
  head.writeUInt32BE(code, 4);
  return frame(7, 0, 0, Buffer.concat([head, Buffer.from(debugData)]));
}

/** TLS with ALPN h2 and nothing behind it: the test sees each frame's header and writes what it likes. */
export async function startRawUpstream(
  onFrame: (frame: SeenFrame) => void,
  onSecure: (socket: TLSSocket) => void = (socket) => void socket.write(frame(4, 0, 0)),
): Promise<Listening> {
  const server = tls.createServer({ ...testCertificate("localhost"), ALPNProtocols: ["h2"] }, (socket) => {
    let pending = Buffer.alloc(0);
    let preface = 24;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      const skipped = Math.min(preface, pending.length);
      preface -= skipped;
      pending = pending.subarray(skipped);
      while (pending.length >= 9) {
        const end = 9 + pending.readUIntBE(0, 3);
        if (pending.length < end) break;
        const seen = {
          type: pending.readUInt8(3),
          flags: pending.readUInt8(4),
          streamId: pending.readUInt32BE(5),
        };
        pending = pending.subarray(end);
        onFrame({ ...seen, socket });
      }
    });
    onSecure(socket);
  });
  return listen(server);
}
