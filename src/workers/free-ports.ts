import { createServer, type ListenOptions } from "node:net";
import { StartError } from "../gateway/start-error.ts";
import type { ListenAddress } from "../http/server.ts";

/**
 * A port that threads share could be shared with another program of the same user as well, which would get half of the
 * requests without a word. So it is looked first whether it is free, as whoever does not share it would find out.
 * Rejects with Node's error (`EADDRINUSE`, …), and with `StartError` where the platform lets nobody share a port.
 */
export async function checkFree(addresses: readonly ListenAddress[]): Promise<void> {
  for (const { address, port } of addresses) {
    const host = address === "" ? {} : { host: address };
    // As http/server.ts listens.
    const ipv6Only = address === "::" && addresses.some((other) => other.address === "0.0.0.0");
    if (port !== 0) await listenOnce({ ...host, port, ipv6Only });
    await listenOnce({ ...host, port: 0, ipv6Only, reusePort: true }).catch((error: unknown) => {
      if (!cannotShare(error)) throw error;
      throw new StartError("workers: this platform does not let threads listen on the same port; write 1");
    });
  }
}

async function listenOnce(options: ListenOptions): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

function cannotShare(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && (error.code === "ENOTSUP" || error.code === "ENOPROTOOPT")
  );
}
