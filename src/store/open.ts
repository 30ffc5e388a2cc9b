import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { openMemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";
import { parseStoreUrl } from "./store-url.ts";
import { StoreError, type Store } from "./store.ts";

/** What a store may use, and whom it tells. */
export interface StoreDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Nothing can be stored any more and nothing will mend it but a new process. Called at most once. */
  readonly onFailure?: (error: StoreError) => void;
  /** Writing does not work for now (a full disk, a lock, a lost file); undefined = it works again. */
  readonly onHealth?: (trouble: StoreError | undefined) => void;
}

/**
 * Opens the store that the URL names, makes and migrates it where needed.
 * @throws StoreError (as a rejection) with a sentence for the operator
 */
export async function openStore(url: string, deps: StoreDeps): Promise<Store> {
  const location = parseStoreUrl(url);
  if ("problem" in location) throw new StoreError("unavailable", `store.url: ${location.problem}`);
  if (location.kind === "memory") return openMemoryStore(deps.clock);
  const { clock, log } = deps;
  const onHealth = (trouble: StoreError | undefined): void => {
    if (trouble === undefined) log.info("the store works again");
    else log.error("the store does not work", { error: trouble.code, reason: trouble.message });
    deps.onHealth?.(trouble);
  };
  if (location.kind === "postgresql") {
    const onWarning = (reason: string): void =>
      log.warn("the store is less safe than it could be", { reason });
    // The driver is loaded by those who use it only.
    const { openPostgresStore } = await import("./postgres.ts");
    return openPostgresStore(location.server, { clock, onHealth, onWarning });
  }
  return openSqliteStore(location.file, {
    clock,
    onFailure(error) {
      log.error("the store is lost", { error: error.code, reason: error.message });
      deps.onFailure?.(error);
    },
    onHealth,
  });
}
