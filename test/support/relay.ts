import { connect, createServer, type Socket } from "node:net";
import { listen, type Listening } from "./upstream-server.ts";

/** Which way bytes go. */
export type Direction = "to-server" | "to-client";

/** A TCP relay before a server, with the network's faults on demand. */
export interface Relay extends Listening {
  /** Nothing passes any more on the connections of now, in neither direction, and nobody is told. */
  freeze(): void;
  /** Connections are accepted from now on but stay silent, until `unstall`; those of now are not touched. */
  stall(): void;
  unstall(): void;
  /** Ends the connections of now: `reset` with RST, `fin` in order. */
  cut(how: "reset" | "fin"): void;
  /** Each connection, of now too, is cut once so many more bytes have passed it in that direction. */
  cutAfter(bytes: number, direction: Direction, how: "reset" | "fin"): void;
  /** The clients of now are told that the server has ended (FIN), while what they send is still taken. */
  halfClose(): void;
  /** Connections are refused from now on, and those of now end with RST, until `accept`. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** Milliseconds that each chunk is held back, in both directions. Default 0. */
  delayMs: number;
  /** Bytes a second and direction of each connection. Default: as they come. */
  bytesPerSecond: number;
  /** Calls back with what clients send, before it is passed on. */
  onClientData: ((chunk: Buffer) => void) | undefined;
}

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
  /** What may still pass before it is cut. */
  readonly left: Record<Direction, number>;
  cutHow: "reset" | "fin";
}

/** Relays every connection to a port of 127.0.0.1. */
export async function startRelay(targetPort: number): Promise<Relay> {
  const pairs = new Set<Pair>();
  const silent = new Set<Socket>();
  let isStalled = false;
  let limit: { bytes: number; direction: Direction; how: "reset" | "fin" } | undefined;

  const cutPair = (pair: Pair, how: "reset" | "fin"): void => {
    if (how === "reset") pair.client.resetAndDestroy();
    else pair.client.destroy();
    pairs.delete(pair);
  };

  /** Passes chunks on in their order, late or slowly where that is asked for. */
  const pass = (pair: Pair, from: Socket, to: Socket, direction: Direction): void => {
    let freeAtMs = 0;
    let held = 0;
    const write = (chunk: Buffer): void => {
      const left = pair.left[direction];
      if (!to.destroyed) to.write(left < chunk.length ? chunk.subarray(0, left) : chunk);
      pair.left[direction] = left - chunk.length;
      if (pair.left[direction] <= 0) cutPair(pair, pair.cutHow);
    };
    from.on("data", (chunk: Buffer) => {
      if (direction === "to-server") relay.onClientData?.(chunk);
      const nowMs = performance.now();
      freeAtMs = Math.max(nowMs, freeAtMs) + (chunk.length / relay.bytesPerSecond) * 1_000;
      const waitMs = freeAtMs - nowMs + relay.delayMs;
      if (waitMs < 1 && held === 0) return write(chunk);
      held += 1;
      if (held > 64) from.pause();
      setTimeout(() => {
        held -= 1;
        if (held < 32 && pairs.has(pair)) from.resume();
        write(chunk);
      }, waitMs);
    });
  };

  const join = (client: Socket): void => {
    const target = connect(targetPort, "127.0.0.1");
    const left = { "to-server": Infinity, "to-client": Infinity };
    const pair: Pair = { client, target, left, cutHow: limit?.how ?? "fin" };
    if (limit !== undefined) left[limit.direction] = limit.bytes;
    pairs.add(pair);
    target.on("error", () => {});
    pass(pair, client, target, "to-server");
    pass(pair, target, client, "to-client");
    client.on("close", () => {
      pairs.delete(pair);
      target.destroy();
    });
    target.on("close", () => client.destroy());
  };

  // Half-closed connections stay: whether the other half ends is the fault's business.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on("end", () => client.end());
    if (!isStalled) return join(client);
    silent.add(client.pause());
    client.on("close", () => silent.delete(client));
  });
  const listening = await listen(server);
  const relay: Relay = {
    ...listening,
    delayMs: 0,
    bytesPerSecond: Infinity,
    onClientData: undefined,
    freeze() {
      for (const { client, target } of pairs) {
        client.pause();
        target.pause();
      }
      pairs.clear();
    },
    stall() {
      isStalled = true;
    },
    unstall() {
      isStalled = false;
      for (const client of silent) {
        join(client);
        client.resume();
      }
      silent.clear();
    },
    cut(how) {
      for (const pair of [...pairs]) cutPair(pair, how);
    },
    cutAfter(bytes, direction, how) {
      limit = { bytes, direction, how };
      for (const pair of pairs) {
        pair.left[direction] = bytes;
        pair.cutHow = how;
      }
    },
    halfClose() {
      for (const { client } of pairs) client.end();
    },
    async refuse() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of listening.sockets) if (!socket.destroyed) socket.resetAndDestroy();
      pairs.clear();
      await closed;
    },
    accept: () => new Promise((resolve) => server.listen(listening.port, "127.0.0.1", () => resolve())),
  };
  return relay;
}
