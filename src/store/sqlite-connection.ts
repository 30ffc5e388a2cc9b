import { createHash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { migrations, pendingMigrations } from "./migrations.ts";
import { toStoreError } from "./sqlite-error.ts";
import { applicationId, fileBytes, inspectDatabaseFiles } from "./sqlite-files.ts";
import { createPrivately } from "./sqlite-lock.ts";
import { StoreError } from "./store.ts";

/** What a connection is opened with. */
export interface ConnectionOptions {
  /** How long a statement waits for another process's lock. Below the callers' deadline, so that they hear why. */
  readonly busyTimeoutMs: number;
  /** The database never grows past this many pages of 4 KiB; absent = no bound but the disk. */
  readonly maxPages?: number;
}

/** Statements against the one connection, each prepared once. */
export interface Statements {
  get(sql: string, ...values: readonly SQLInputValue[]): Record<string, SQLOutputValue> | undefined;
  all(sql: string, ...values: readonly SQLInputValue[]): Record<string, SQLOutputValue>[];
  /** Resolves to the number of rows changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number;
}

/** The one connection to the database. */
export interface Connection extends Statements {
  /** Several statements, or one that is run once. */
  exec(sql: string): void;
  /** Row by row, for what may not fit into memory. */
  iterate(sql: string): Iterable<Record<string, SQLOutputValue>>;
  inTransaction(): boolean;
  close(): void;
}

/** The first release without the WAL-reset bug (https://www.sqlite.org/wal.html). */
const minimumSqlite = [3, 51, 3];
const walBytesKept = 64 * 2 ** 20;
/** 16 MiB of log before it is copied into the database: with SQLite's own 4 a thousand puts fill more than one. */
const checkpointPages = 4000;
/** Holds the upper pages of the indexes when a million pushes wait; taken as it is needed. */
const cacheKiB = 16 * 1024;
/** Above these sizes a full check of all content would delay the start by many seconds, so less is checked. */
const fullCheckBytes = 128 * 2 ** 20;
const quickCheckBytes = 2 ** 30;

/** Refuses to promise anything on settings that lose commits (SS15). `synchronous` is 2 for FULL. */
export function checkDurability(settings: {
  version: string;
  journalMode: unknown;
  synchronous: unknown;
}): void {
  const version = settings.version.split(".").map(Number);
  const difference = minimumSqlite.map((part, i) => (version[i] ?? 0) - part).find((d) => d !== 0) ?? 0;
  const refuse = (why: string): StoreError =>
    new StoreError("unavailable", `cannot keep a store safely: ${why}`);
  if (!(difference >= 0)) throw refuse(`SQLite ${settings.version} is older than ${minimumSqlite.join(".")}`);
  if (settings.journalMode !== "wal")
    throw refuse(`journal_mode is ${String(settings.journalMode)}, not wal`);
  if (settings.synchronous !== 2)
    throw refuse(`synchronous is ${String(settings.synchronous)}, not 2 (FULL)`);
}

/**
 * Opens, checks and migrates. Must be the process's only connection to this file.
 * @throws StoreError, with the reason why this file cannot be the store
 */
export function openConnection(file: string, options: ConnectionOptions): Connection {
  let db: DatabaseSync | undefined;
  try {
    inspectDatabaseFiles(file);
    createPrivately(file);
    const isNew = fileBytes(file) === 0;
    db = new DatabaseSync(file, { timeout: options.busyTimeoutMs });
    const connection = wrap(db);
    if (isNew) db.exec(`PRAGMA application_id = ${applicationId}`);
    const journalMode = connection.get("PRAGMA journal_mode = WAL")?.["journal_mode"];
    db.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = ${walBytesKept};
      PRAGMA wal_autocheckpoint = ${checkpointPages};
      PRAGMA cache_size = -${cacheKiB};
      PRAGMA secure_delete = ON;
      PRAGMA cell_size_check = ON;
      PRAGMA trusted_schema = OFF;
    `);
    const synchronous = connection.get("PRAGMA synchronous")?.["synchronous"];
    const version = String(connection.get("SELECT sqlite_version() AS version")?.["version"]);
    checkDurability({ version, journalMode, synchronous });
    checkIntegrity(connection, file);
    migrate(connection);
    if (options.maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${options.maxPages}`);
    return connection;
  } catch (error) {
    try {
      db?.close();
    } catch {
      // The first error says more.
    }
    throw toStoreError(error, `cannot open ${file}`);
  }
}

function wrap(db: DatabaseSync): Connection {
  const prepared = new Map<string, StatementSync>();
  const statement = (sql: string): StatementSync => {
    let found = prepared.get(sql);
    if (found === undefined) prepared.set(sql, (found = db.prepare(sql)));
    return found;
  };
  return {
    get: (sql, ...values) => statement(sql).get(...values),
    all: (sql, ...values) => statement(sql).all(...values),
    run: (sql, ...values) => Number(statement(sql).run(...values).changes),
    exec: (sql) => db.exec(sql),
    iterate: (sql) => db.prepare(sql).iterate(),
    inTransaction: () => db.isTransaction,
    close: () => db.close(),
  };
}

function checkIntegrity(connection: Connection, file: string): void {
  const bytes = statSync(file).size;
  if (bytes > quickCheckBytes) return;
  const check = bytes > fullCheckBytes ? "quick_check" : "integrity_check";
  const found = Object.values(connection.get(`PRAGMA ${check}(1)`) ?? {})[0];
  if (found !== "ok") throw new StoreError("corrupt", `${file} is damaged: ${String(found)}`);
}

/** The schema's number stands twice, so that a damaged header is not taken for an older schema. */
function migrate(connection: Connection): void {
  const schema = Number(connection.get("PRAGMA user_version")?.["user_version"]);
  const pending = pendingMigrations(schema);
  if (schema > 0) {
    const again = connection.get("SELECT value FROM meta WHERE name = 'schema'")?.["value"];
    if (!(again instanceof Uint8Array) || Buffer.from(again).toString() !== String(schema)) {
      throw new StoreError("corrupt", "the store's schema number is damaged");
    }
  } else if (Number(connection.get("SELECT count(*) AS tables FROM sqlite_schema")?.["tables"]) > 0) {
    throw new StoreError("corrupt", "the store's schema number is damaged");
  }
  if (pending.length === 0) return;
  connection.exec("BEGIN IMMEDIATE");
  for (const { sqlite } of pending) connection.exec(sqlite);
  connection.exec(`PRAGMA user_version = ${migrations.length}`);
  connection.run("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", Buffer.from(String(migrations.length)));
  connection.exec("COMMIT");
}

/** The installation's secret, made when there is none; kept with a checksum, since a wrong one would forget every device. */
export function installationKey(connection: Connection): Uint8Array {
  const checksum = (key: Uint8Array): Buffer => createHash("sha256").update(key).digest().subarray(0, 8);
  const kept = connection.get("SELECT value FROM meta WHERE name = 'installation_key'")?.["value"];
  if (kept === undefined) {
    const key = randomBytes(32);
    connection.run("INSERT INTO meta VALUES ('installation_key', ?)", Buffer.concat([key, checksum(key)]));
    return new Uint8Array(key);
  }
  const key = kept instanceof Uint8Array ? kept.slice(0, 32) : new Uint8Array();
  if (!(kept instanceof Uint8Array) || !checksum(key).equals(kept.subarray(32))) {
    throw new StoreError("corrupt", "the store's installation key is damaged");
  }
  return key;
}
