import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { ResolveError, type ResolvedAddress, type Resolver } from "../../src/upstream/resolver.ts";

/** Whatever connects there has got through. */
export class Sentinel {
  hits = 0;
  port = 0;
  readonly #servers: Server[] = [];
  readonly #hosts: readonly string[];

  /** @param hosts addresses of this machine, all on one port */
  constructor(hosts: readonly string[] = ["127.0.0.1", "::1"]) {
    this.#hosts = hosts;
  }

  async start(): Promise<void> {
    for (const host of this.#hosts) {
      const server = createServer((socket) => {
        this.hits += 1;
        socket.on("error", () => {});
        socket.destroy();
      });
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ port: this.port, host, ipv6Only: true }, resolve);
      });
      this.port = (server.address() as AddressInfo).port;
      this.#servers.push(server);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** A resolver that answers by name and turn, and counts. */
export function scripted(
  answer: (host: string, call: number) => readonly string[],
): Resolver & { calls: number } {
  const resolver = {
    calls: 0,
    resolve(host: string) {
      resolver.calls += 1;
      const addresses = answer(host, resolver.calls);
      return addresses.length === 0
        ? Promise.reject(new ResolveError("ENOTFOUND"))
        : Promise.resolve(addresses.map(resolved));
    },
  };
  return resolver;
}

function resolved(address: string): ResolvedAddress {
  return { address, family: address.includes(":") ? 6 : 4 };
}

/**
 * What a name answers that changes its mind, turn by turn (H16). 127.0.0.2 may be reached and nobody listens there;
 * 127.0.0.1 and ::1 are the sentinel's.
 */
export const rebindingTurns: readonly (readonly string[])[] = [
  ["127.0.0.2"],
  ["127.0.0.1"],
  ["127.0.0.2", "127.0.0.1"],
  ["::1"],
  ["::ffff:127.0.0.1", "127.0.0.2"],
  ["::ffff:7f00:1"],
];

/** How a round of such a name may end, counted. */
export interface RebindingCounts {
  readonly refused: number;
  readonly failed: number;
}

/** So many requests to names of these turns, 32 at once; every third to the same origin, whose connections may be kept. */
export async function rebindingRounds(
  rounds: number,
  port: number,
  post: (url: string) => Promise<{ readonly kind: string } | "unreadable">,
): Promise<RebindingCounts> {
  const seen = new Map<string, number>();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < rounds) {
      const round = next++;
      const host = round % 3 === 0 ? "same.example" : `r${round}.example`;
      const result = await post(`https://${host}:${port}/`);
      if (result === "unreadable") throw new Error(host);
      seen.set(result.kind, (seen.get(result.kind) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  return { refused: seen.get("refused") ?? 0, failed: seen.get("failed") ?? 0 };
}

/** Sends a text bit by bit, as long as the other side stays. */
export function drip(socket: Socket, text: string, everyMs: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || at >= text.length) clearInterval(timer);
    else socket.write(text[at++] ?? "");
  }, everyMs);
  socket.on("close", () => clearInterval(timer));
}

/** Sends a text again and again, as fast as it is taken. Tells how many bytes each time. */
export function flood(
  socket: Socket,
  text: string | Buffer,
  onBytes: (bytes: number) => void = () => {},
): void {
  const block = typeof text === "string" ? text.repeat(50) : text;
  const more = (): void => {
    if (socket.destroyed) return;
    onBytes(block.length);
    if (socket.write(block)) setImmediate(more);
    else socket.once("drain", more);
  };
  more();
}
