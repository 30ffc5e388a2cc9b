import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** A TCP relay in front of a simulator, which can fail as a network does. */
export interface TcpRelay {
  readonly port: number;
  /** TCP connections accepted since the start. */
  readonly connectionCount: number;
  /** From now on not a byte passes, and connections are accepted but stay silent: neither RST nor FIN, no PING answered. */
  freeze(): void;
  /** Ends `freeze`; what was held back passes. */
  thaw(): void;
  /** Cuts every connection with RST. */
  reset(): void;
  stop(): Promise<void>;
}

/** Relays from a free port on loopback to a port on loopback. */
export async function startTcpRelay(targetPort: number, host = "127.0.0.1"): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  const waiting = new Set<Socket>();
  let frozen = false;
  let connectionCount = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      sockets.delete(socket);
      waiting.delete(socket);
    });
  };
  const join = (client: Socket): void => {
    const upstream = connect(targetPort, host);
    keep(upstream);
    client.pipe(upstream).pipe(client);
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => client.destroy());
  };
  const server = createServer((client) => {
    connectionCount += 1;
    keep(client);
    if (frozen) waiting.add(client.pause());
    else join(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connectionCount() {
      return connectionCount;
    },
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) if (!waiting.has(socket)) socket.resume();
      for (const client of waiting) join(client);
      waiting.clear();
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
