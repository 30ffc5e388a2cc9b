import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";

/** What every request is answered with. */
export interface LeanAnswer {
  /** An HPACK block that needs no dynamic table, such as `0x88` for `:status: 200`. */
  readonly headers: Buffer;
  /** Absent: END_STREAM on the headers. */
  readonly body?: Buffer;
}

/** An HTTP/2 server that answers every request alike. */
export interface LeanUpstream {
  readonly port: number;
  /** Requests that have come whole. */
  requests(): number;
  /** From a request's last byte to its answer. Milliseconds. */
  setLatency(ms: number): void;
  close(): void;
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const endStream = 0x1;
const ack = 0x1;
const endHeaders = 0x4;
const largestWindow = 2 ** 31 - 1;
const windowStep = 2 ** 20;

/**
 * An upstream that costs so little that it is never what a benchmark measures: it reads frames, decodes no header (its
 * answers depend on none), and writes all answers of one read together. What it answers is read by the same clients as
 * anything else, and the benchmark compares its count of requests with the pushes that the callers were told of.
 */
export async function startLeanUpstream(
  tls: { readonly certPem: string; readonly keyPem: string },
  answer: LeanAnswer,
): Promise<LeanUpstream> {
  let requests = 0;
  let latencyMs = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ key: tls.keyPem, cert: tls.certPem, ALPNProtocols: ["h2"] });
  server.on("tlsClientError", () => {});
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serve(socket, answer, {
      arrived: () => (requests += 1),
      latencyMs: () => latencyMs,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests: () => requests,
    setLatency: (ms) => (latencyMs = ms),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function serve(
  socket: TLSSocket,
  answer: LeanAnswer,
  pace: { readonly arrived: () => void; readonly latencyMs: () => number },
): void {
  let pending: Buffer = Buffer.alloc(0);
  let greeted = false;
  let consumed = 0;
  let out: Buffer[] = [];
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());

  const respond = (stream: number): void => {
    if (answer.body === undefined) {
      out.push(
        frameHead(answer.headers.length, frame.headers, endHeaders | endStream, stream),
        answer.headers,
      );
      return;
    }
    out.push(frameHead(answer.headers.length, frame.headers, endHeaders, stream), answer.headers);
    out.push(frameHead(answer.body.length, frame.data, endStream, stream), answer.body);
  };
  const flush = (): void => {
    if (out.length === 0 || socket.destroyed) return;
    socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
    out = [];
  };
  const complete = (stream: number): void => {
    pace.arrived();
    const latencyMs = pace.latencyMs();
    if (latencyMs === 0) return respond(stream);
    setTimeout(() => {
      respond(stream);
      flush();
    }, latencyMs);
  };
  const onFrame = (type: number, flags: number, stream: number, payload: Buffer): void => {
    if (type === frame.data) {
      consumed += payload.length;
      if (consumed >= windowStep) {
        out.push(windowUpdate(consumed));
        consumed = 0;
      }
    }
    if ((type === frame.data || type === frame.headers) && (flags & endStream) !== 0) complete(stream);
    else if (type === frame.settings && (flags & ack) === 0) out.push(frameHead(0, frame.settings, ack, 0));
    else if (type === frame.ping && (flags & ack) === 0) {
      out.push(frameHead(payload.length, frame.ping, ack, 0), Buffer.from(payload));
    } else if (type === frame.goaway) socket.end();
  };

  out.push(settings({ 0x3: 1000, 0x4: largestWindow }), windowUpdate(largestWindow - 65_535));
  flush();
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    if (!greeted) {
      if (pending.length < preface.length) return;
      if (pending.toString("latin1", 0, preface.length) !== preface) return void socket.destroy();
      greeted = true;
      at = preface.length;
    }
    while (pending.length - at >= 9) {
      const length = pending.readUIntBE(at, 3);
      if (pending.length - at < 9 + length) break;
      const payload = pending.subarray(at + 9, at + 9 + length);
      onFrame(pending[at + 3] ?? 0, pending[at + 4] ?? 0, pending.readUInt32BE(at + 5) & 0x7fffffff, payload);
      at += 9 + length;
    }
    pending = pending.subarray(at);
    flush();
  });
}

function frameHead(length: number, type: number, flags: number, stream: number): Buffer {
  const head = Buffer.allocUnsafe(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return head;
}

function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes, 0);
  return Buffer.concat([frameHead(4, frame.windowUpdate, 0, 0), payload]);
}

function settings(values: Readonly<Record<number, number>>): Buffer {
  const entries = Object.entries(values).map(([id, value]) => {
    const entry = Buffer.alloc(6);
    entry.writeUInt16BE(Number(id), 0);
    entry.writeUInt32BE(value, 2);
    return entry;
  });
  return Buffer.concat([frameHead(entries.length * 6, frame.settings, 0, 0), ...entries]);
}

/** A literal header field without indexing, name and value as plain text (RFC 7541, 6.2.2). */
export function literalField(name: string, value: string): Buffer {
  // Lengths below 127 fit into one byte.
  return Buffer.concat([
    Buffer.from([0x00, name.length]),
    Buffer.from(name, "latin1"),
    Buffer.from([value.length]),
    Buffer.from(value, "latin1"),
  ]);
}
