import { connect, createServer, type Socket } from "node:net";
import { listen, type Listening } from "./upstream-server.ts";

/** A TCP relay before a server, with the network's faults on demand. */
export interface Relay extends Listening {
  /** Nothing passes any more on the connections of now, in neither direction, and nobody is told. */
  freeze(): void;
  /** Ends the connections of now: `reset` with RST, `fin` in order. */
  cut(how: "reset" | "fin"): void;
  /** Calls back with what clients send, before it is passed on. */
  onClientData: ((chunk: Buffer) => void) | undefined;
}

/** Relays every connection to a port of 127.0.0.1. */
export async function startRelay(targetPort: number): Promise<Relay> {
  const pairs = new Set<{ client: Socket; target: Socket }>();
  const server = createServer((client) => {
    const target = connect(targetPort, "127.0.0.1");
    const pair = { client, target };
    pairs.add(pair);
    target.on("error", () => {});
    client.on("data", (chunk: Buffer) => {
      relay.onClientData?.(chunk);
      target.write(chunk);
    });
    target.on("data", (chunk: Buffer) => client.write(chunk));
    client.on("close", () => target.destroy());
    target.on("close", () => client.destroy());
  });
  const relay: Relay = {
    ...(await listen(server)),
    onClientData: undefined,
    freeze() {
      for (const { client, target } of pairs) {
        client.pause();
        target.pause();
      }
      pairs.clear();
    },
    cut(how) {
      for (const { client } of pairs) {
        if (how === "reset") client.resetAndDestroy();
        else client.destroy();
      }
      pairs.clear();
    },
  };
  return relay;
}
