import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { openMemoryStore } from "./memory.ts";
import { openSqliteStore, takeSqliteSeat } from "./sqlite.ts";
import type { SqliteOptions, SqliteSeat } from "./sqlite.ts";
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
  /** Connections to a database server at most; absent = 10. */
  readonly maxConnections?: number;
}

/** A store, and for one in a file, how other threads of this process get to it. */
export type OpenedStore = Store & { readonly seat?: () => SqliteSeat };

/**
 * Opens the store that the URL names, makes and migrates it where needed.
 * @throws StoreError (as a rejection) with a sentence for the operator
 */
export async function openStore(url: string, deps: StoreDeps): Promise<OpenedStore> {
  const location = parseStoreUrl(url);
  if ("problem" in location) throw new StoreError("unavailable", `store.url: ${location.problem}`);
  if (location.kind === "memory") return openMemoryStore(deps.clock);
  if (location.kind === "postgresql") {
    const { clock, log, maxConnections } = deps;
    const onWarning = (reason: string): void =>
      log.warn("the store is less safe than it could be", { reason });
    // The driver is loaded by those who use it only.
    const { openPostgresStore } = await import("./postgres.ts");
    const onHealth = tellHealth(deps);
    return openPostgresStore(location.server, {
      clock,
      onHealth,
      onWarning,
      ...(maxConnections === undefined ? {} : { maxConnections }),
    });
  }
  return openSqliteStore(location.file, sqliteOptions(deps));
}

/** The store that another thread has opened, at the seat that it gave this one. */
export function takeStoreSeat(seat: SqliteSeat, deps: StoreDeps): Store {
  return takeSqliteSeat(seat, sqliteOptions(deps));
}

function sqliteOptions(deps: StoreDeps): SqliteOptions {
  return {
    clock: deps.clock,
    onFailure(error) {
      deps.log.error("the store is lost", { error: error.code, reason: error.message });
      deps.onFailure?.(error);
    },
    onHealth: tellHealth(deps),
  };
}

function tellHealth({ log, onHealth }: StoreDeps): (trouble: StoreError | undefined) => void {
  return (trouble) => {
    if (trouble === undefined) log.info("the store works again");
    else log.error("the store does not work", { error: trouble.code, reason: trouble.message });
    onHealth?.(trouble);
  };
}
