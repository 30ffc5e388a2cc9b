import { availableParallelism } from "node:os";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { silentLog, type Log } from "../log.ts";
import { openStore, takeStoreSeat, type OpenedStore } from "../store/open.ts";
import type { ThreadPart } from "../workers/part.ts";
import { asStartError } from "./start-error.ts";

/** To a database server, of all threads together; each has two at least. */
const CONNECTIONS = 10;

/** How many threads the configuration wants. What nothing but one process can see has one. */
export function threadsOf({ store, workers }: Config): number {
  if (workers !== "auto") return workers;
  return store.url === "memory:" ? 1 : availableParallelism();
}

/** Opens the store, or takes this thread's place at it. Rejects with `StartError`. */
export async function openGatewayStore(
  {
    clock,
    config,
    log,
    onFatal,
  }: {
    readonly config: Config;
    readonly clock: Clock;
    readonly log: Log;
    readonly onFatal: (what: string) => void;
  },
  part: ThreadPart | undefined,
  onTrouble: (code: string | undefined) => void,
): Promise<OpenedStore> {
  const deps = {
    clock,
    // What is wrong with the store the first thread says for all.
    log: part?.first === undefined ? log : silentLog,
    onFailure: () => onFatal("the store is lost"),
    onHealth: (trouble: { readonly code: string } | undefined) => onTrouble(trouble?.code),
    ...(part === undefined
      ? {}
      : { maxConnections: Math.max(2, Math.floor(CONNECTIONS / part.share.threads)) }),
  };
  try {
    return part?.first?.seat === undefined
      ? await openStore(config.store.url, deps)
      : takeStoreSeat(part.first.seat, deps);
  } catch (error) {
    throw asStartError(error);
  }
}
