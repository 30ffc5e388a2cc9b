import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { isBusy, toStoreError } from "./sqlite-error.ts";
import { StoreError } from "./store.ts";

/**
 * Keeps a second instance off the same file (SS11) until the returned function is called or the process ends, however
 * it ends: an exclusive lock of the operating system on an empty file beside the database, taken through SQLite because
 * Node has no call for it. The database itself stays open to readers, such as a backup or the `sqlite3` command.
 * Works inside one process too.
 * @throws StoreError `in-use`
 */
export function lockInstance(databaseFile: string): () => void {
  const file = `${databaseFile}-lock`;
  createPrivately(file);
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file, { timeout: 0 });
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    lock?.close();
    if (isBusy(error)) throw new StoreError("in-use", `${databaseFile} is in use by another instance`);
    throw toStoreError(error, `cannot lock ${file}`);
  }
  const held = lock;
  return () => held.close();
}

/** Whether an instance holds the file just now. Makes no file. Throws when the lock cannot be looked at. */
export function isInstanceLocked(databaseFile: string): boolean {
  const file = `${databaseFile}-lock`;
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return false;
  const lock = new DatabaseSync(file, { timeout: 0, readOnly: true });
  try {
    // A holder's lock is exclusive, so even reading is refused while it is there.
    lock.exec("SELECT 1 FROM sqlite_schema");
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  } finally {
    lock.close();
  }
}

/**
 * Makes an empty file that only its owner may read, or tightens the one that is there, as far as it is ours to tighten.
 * SQLite gives the database's mode to its -wal and -shm.
 */
export function createPrivately(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
      throw toStoreError(error, `cannot create ${file}`);
    }
    for (const existing of [file, `${file}-wal`, `${file}-shm`]) tighten(existing);
  }
}

function tighten(file: string): void {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined || (mode & 0o077) === 0) return;
  try {
    chmodSync(file, 0o600);
  } catch {
    // Somebody else's file, shared with us on purpose.
  }
}
