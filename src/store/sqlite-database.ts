import { statSync } from "node:fs";
import { installationKey, openConnection } from "./sqlite-connection.ts";
import type { Connection, ConnectionOptions } from "./sqlite-connection.ts";
import { isStatementFault, spoilsConnection, toStoreError } from "./sqlite-error.ts";
import { fileBytes } from "./sqlite-files.ts";
import { StoreError } from "./store.ts";

/** What one piece of work came to: its result, or why it was not done. */
export type Done<Result> = { readonly value: Result } | { readonly error: StoreError };

/** The database file through one connection that is replaced when an error has spoilt it. */
export interface Database {
  readonly installationKey: Uint8Array;
  /** The connection, for reading; opened anew when it had to be given up. Throws StoreError. */
  connection(): Connection;
  /** Runs one reading piece of work. */
  read<Result>(work: (connection: Connection) => Result): Done<Result>;
  /** Runs all in one transaction: all that answer with a value are flushed. A fault of one undoes that one only. */
  commit<Result>(works: readonly ((connection: Connection) => Result)[]): readonly Done<Result>[];
  /** A real commit of one small row: finds out whether writing works again. */
  probe(): StoreError | undefined;
  /** Whether the file is still the one that was opened (SS08). */
  fileProblem(): StoreError | undefined;
  close(): void;
}

/** Opens the database for good. Throws StoreError when this file cannot be the store. */
export function openDatabase(
  file: string,
  options: ConnectionOptions & { readonly maxWalBytes: number },
): Database {
  let open: Connection | undefined = openConnection(file, options);
  const key = installationKey(open);
  const opened = statSync(file);

  const fileProblem = (): StoreError | undefined => {
    try {
      const now = statSync(file, { throwIfNoEntry: false });
      if (now?.ino === opened.ino && now.dev === opened.dev) return undefined;
    } catch (error) {
      return toStoreError(error, `cannot look at ${file}`);
    }
    return new StoreError("unavailable", `${file} was deleted, moved or replaced while in use`);
  };

  const connection = (): Connection => {
    if (open === undefined) {
      const problem = fileProblem();
      if (problem !== undefined) throw problem;
      open = openConnection(file, options);
    }
    return open;
  };

  /** Undoes, and gives the connection up when it cannot be trusted any more. */
  const recover = (error: unknown): void => {
    let spoilt = spoilsConnection(error);
    try {
      if (open?.inTransaction() === true) open.exec("ROLLBACK");
    } catch {
      spoilt = true;
    }
    if (spoilt) giveUp();
  };

  const giveUp = (): void => {
    const old = open;
    open = undefined;
    try {
      old?.close();
    } catch {
      // It is freed all the same.
    }
  };

  /** A reader that never ends keeps the log from being reset; it must not eat the disk (SS09). */
  const boundWal = (db: Connection): void => {
    if (fileBytes(`${file}-wal`) <= options.maxWalBytes) return;
    db.exec("PRAGMA busy_timeout = 0");
    db.get("PRAGMA wal_checkpoint(TRUNCATE)");
    db.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
    if (fileBytes(`${file}-wal`) > options.maxWalBytes) {
      throw new StoreError(
        "unavailable",
        "the write-ahead log is at its limit: another process keeps on reading",
      );
    }
  };

  const inSavepoint = <Result>(db: Connection, work: (connection: Connection) => Result): Done<Result> => {
    db.exec("SAVEPOINT work");
    try {
      const value = work(db);
      db.exec("RELEASE work");
      return { value };
    } catch (error) {
      if (!isStatementFault(error) || !db.inTransaction()) throw error;
      db.exec("ROLLBACK TO work; RELEASE work");
      return { error: toStoreError(error, "a statement failed") };
    }
  };

  const commit: Database["commit"] = (works) => {
    try {
      const problem = fileProblem();
      if (problem !== undefined) throw problem;
      const db = connection();
      boundWal(db);
      db.exec("BEGIN IMMEDIATE");
      const done = works.map((work) => inSavepoint(db, work));
      db.exec("COMMIT");
      return done;
    } catch (thrown) {
      recover(thrown);
      const error = toStoreError(thrown, "cannot write to the store");
      return works.map(() => ({ error }));
    }
  };

  return {
    installationKey: key,
    connection,
    fileProblem,
    commit,
    read(work) {
      try {
        return { value: work(connection()) };
      } catch (error) {
        recover(error);
        return { error: toStoreError(error, "cannot read from the store") };
      }
    },
    probe() {
      const [done] = commit([(db) => db.run("INSERT OR REPLACE INTO meta VALUES ('probe', randomblob(8))")]);
      return done !== undefined && "error" in done ? done.error : undefined;
    },
    close: giveUp,
  };
}
