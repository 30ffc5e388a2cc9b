import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { openMemoryStore } from "./memory.ts";
import { parsePostgresUrl } from "./postgres-url.ts";
import type { PostgresServer } from "./postgres-url.ts";
import { openSqliteStore } from "./sqlite.ts";
import { StoreError } from "./store.ts";
import type { Store } from "./store.ts";

/** What a store may use, and whom it tells. */
export interface StoreDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Nothing can be stored any more and nothing will mend it but a new process. Called at most once. */
  readonly onFailure?: (error: StoreError) => void;
  /** Writing does not work for now (a full disk, a lock, a lost file); undefined = it works again. */
  readonly onHealth?: (trouble: StoreError | undefined) => void;
}

/** What `store.url` says, or a sentence about what is wrong with it. */
export type StoreLocation =
  | { readonly kind: "sqlite"; readonly file: string }
  | { readonly kind: "postgresql"; readonly server: PostgresServer }
  | { readonly kind: "memory" }
  | { readonly problem: string };

/** Reads `store.url`. A password in it is not repeated in the problem. */
export function parseStoreUrl(url: string): StoreLocation {
  if (url === "memory:") return { kind: "memory" };
  if (url.startsWith("sqlite:")) {
    const file = url.slice("sqlite:".length);
    if (file === "" || file.endsWith("/"))
      return { problem: "sqlite: needs the name of a file, as in sqlite:signalbox.db" };
    if (file === ":memory:") return { problem: "a store without a file is written memory:" };
    if (file.includes("\0")) return { problem: "the name of the file holds a NUL character" };
    return { kind: "sqlite", file };
  }
  if (/^postgres(ql)?:\/\//.test(url)) {
    const server = parsePostgresUrl(url);
    return "problem" in server ? server : { kind: "postgresql", server };
  }
  return { problem: "must be sqlite:FILE, postgresql://user:password@host/database or memory:" };
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
