import { StoreError } from "./store.ts";

/** Result codes of SQLite (https://www.sqlite.org/rescode.html) that this store tells apart. */
const resultCode = {
  busy: 5,
  locked: 6,
  ioError: 10,
  corrupt: 11,
  full: 13,
  constraint: 19,
  mismatch: 20,
  notADb: 26,
};
/** PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL, AUTH: the world's fault, may pass. */
const passing: ReadonlySet<number> = new Set([3, 5, 6, 7, 8, 9, 10, 14, 15, 23]);

/** The primary result code; undefined when the error is not SQLite's. */
function primaryCode(error: unknown): number | undefined {
  // By shape and not by class: errors come from other realms too.
  if (typeof error !== "object" || error === null || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

/** Maps what SQLite or the file system threw. SQLite's own words for the code are kept, no statement and no value. */
export function toStoreError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = primaryCode(error);
  if (code !== undefined && error instanceof Error) {
    const words =
      "errstr" in error && typeof error.errstr === "string" ? error.errstr : `SQLite error ${code}`;
    const text = `${doing}: ${words}`;
    if (code === resultCode.full) return new StoreError("full", text, { cause: error });
    if (code === resultCode.corrupt || code === resultCode.notADb) {
      return new StoreError("corrupt", text, { cause: error });
    }
    return new StoreError(passing.has(code) ? "unavailable" : "internal", text, { cause: error });
  }
  // Of the file system, or of Node's permission model, which knows no system call.
  const isOfFiles = error instanceof Error && ("syscall" in error || "permission" in error);
  if (isOfFiles && "code" in error && typeof error.code === "string") {
    const full = error.code === "ENOSPC" || error.code === "EDQUOT";
    return new StoreError(full ? "full" : "unavailable", `${doing}: ${error.code}`, { cause: error });
  }
  return new StoreError("internal", `${doing}: unexpected ${error instanceof Error ? error.name : "value"}`, {
    cause: error,
  });
}

/** True when SQLite reports that somebody else holds the lock. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === resultCode.busy || code === resultCode.locked;
}

/** True when the failure lies in one statement's data, not in the database: the rest of its transaction is sound. */
export function isStatementFault(error: unknown): boolean {
  const code = primaryCode(error);
  return code === undefined || !(passing.has(code) || code === resultCode.full || isDamage(code));
}

/** True when the connection must not be used again: after a failed flush nobody knows what its file holds (SS04). */
export function spoilsConnection(error: unknown): boolean {
  const code = primaryCode(error);
  return code !== undefined && (isDamage(code) || (passing.has(code) && !isBusy(error)));
}

function isDamage(code: number): boolean {
  return code === resultCode.corrupt || code === resultCode.notADb;
}
