import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";

/** A TCP proxy whose connections can be broken in the ways that networks do. */
export interface TcpProxy {
  readonly port: number;
  /** The next bytes that the server sends are dropped and its connection is cut: the request was done, unanswered. */
  cutBeforeNextAnswer(): void;
  /** What is open passes nothing on any more and is not closed: half-open. New connections are fine unless `all`. */
  stall(all?: boolean): void;
  /** New connections are fine again. */
  resume(): void;
  close(): Promise<void>;
}

/** Listens on loopback and passes on to a Unix socket. */
export async function startTcpProxy(socketFile: string): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const stalled = new Set<Socket>();
  let cut = false;
  let stallNew = false;
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      sockets.delete(socket);
      stalled.delete(socket);
    });
    return socket;
  };
  const server = createServer((client) => {
    track(client);
    const upstream = track(connect(socketFile));
    if (stallNew) for (const socket of [client, upstream]) stalled.add(socket);
    client.on("data", (chunk) => {
      if (!stalled.has(client)) upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (stalled.has(upstream)) return;
      if (cut) {
        cut = false;
        client.resetAndDestroy();
        return;
      }
      client.write(chunk);
    });
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => {
      if (!stalled.has(client)) client.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    cutBeforeNextAnswer: () => (cut = true),
    stall(all = false) {
      for (const socket of sockets) stalled.add(socket);
      stallNew = all;
    },
    resume: () => (stallNew = false),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
