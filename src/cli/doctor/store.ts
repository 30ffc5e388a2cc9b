import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { failed, ok, warning, type Diagnosis } from "../../core/diagnosis.ts";
import { migrations } from "../../store/migrations.ts";
import { inspectDatabaseFiles } from "../../store/sqlite-files.ts";
import { isInstanceLocked } from "../../store/sqlite-lock.ts";
import { StoreError } from "../../store/store.ts";
import { parseStoreUrl } from "../../store/store-url.ts";
import type { PostgresServer } from "../../store/postgres-url.ts";

/** Below this a day of an upstream's outage may not fit. */
const LITTLE_SPACE_BYTES = 512 * 2 ** 20;
/** A larger database would be read for seconds. */
const CHECKED_BYTES = 128 * 2 ** 20;
const NEWER: readonly [string, string] = [
  "was made by a newer version of signalbox",
  "run that version again; a store is never taken back to an older one",
];

/** Whether what is promised can be kept. Makes and changes nothing, also while a gateway runs on it. */
export async function storeLines(url: string): Promise<readonly Diagnosis[]> {
  const location = parseStoreUrl(url);
  if ("problem" in location) return [failed("url", `store.url ${location.problem}`, "correct store.url")];
  switch (location.kind) {
    case "memory": {
      const remedy =
        "set store.url to sqlite:FILE or postgresql://… unless losing pushes in an outage is fine";
      return [
        warning("url", "memory: nothing is promised, and dead tokens are forgotten at every restart", remedy),
      ];
    }
    case "sqlite":
      return sqliteLines(resolve(location.file));
    case "postgresql":
      return postgresLines(location.server);
  }
}

async function sqliteLines(file: string): Promise<readonly Diagnosis[]> {
  const directory = dirname(file);
  const space = await directoryLine(directory);
  if (space.verdict === "failed") return [space];
  const stats = await stat(file).catch(() => undefined);
  if (stats === undefined) return [space, ok("file", `${file} is made at the first start`)];
  const lines: Diagnosis[] = [space];
  if ((stats.mode & 0o007) !== 0) {
    lines.push(warning("permissions", `others can read ${file}`, `chmod 600 ${file}`));
  }
  return [...lines, ...databaseLines(file, stats.size)];
}

async function directoryLine(directory: string): Promise<Diagnosis> {
  try {
    if (!(await stat(directory)).isDirectory()) throw new Error("ENOTDIR");
    await access(directory, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    const amount = `${Math.floor(free / 2 ** 20)} MiB are free in ${directory}`;
    return free < LITTLE_SPACE_BYTES
      ? warning(
          "directory",
          `only ${amount}`,
          "make room: what is promised while an upstream is down lies there",
        )
      : ok("directory", amount);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") {
      return failed(
        "directory",
        `${directory} is not there`,
        `mkdir -p ${directory}, and chown it to the user that runs the gateway`,
      );
    }
    const finding = ["EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED"].includes(code ?? "")
      ? "cannot be written"
      : "is no directory";
    return failed(
      "directory",
      `${directory} ${finding}`,
      "chown it to the user that runs the gateway, or name another place in store.url",
    );
  }
}

function databaseLines(file: string, bytes: number): readonly Diagnosis[] {
  const lines: Diagnosis[] = [];
  let db: DatabaseSync | undefined;
  try {
    const isHeld = isInstanceLocked(file);
    lines.push(
      ok("lock", isHeld ? "a running gateway holds the store, as it should" : "no gateway holds the store"),
    );
    // While another process writes, its log may look torn.
    if (!isHeld) inspectDatabaseFiles(file);
    db = new DatabaseSync(file, { readOnly: true, timeout: 2_000 });
    const schema = Number(valueOf(db, "PRAGMA user_version"));
    if (schema > migrations.length) return [...lines, failed("database", `the store ${NEWER[0]}`, NEWER[1])];
    const journal = String(valueOf(db, "PRAGMA journal_mode"));
    if (journal !== "wal" && schema > 0) {
      lines.push(
        warning(
          "database",
          `journal_mode is ${journal}`,
          "the next start sets it to wal; let no other program change it",
        ),
      );
    }
    const isChecked = !isHeld && bytes <= CHECKED_BYTES;
    const found = isChecked ? valueOf(db, "PRAGMA quick_check(1)") : "ok";
    if (found !== "ok") throw new StoreError("corrupt", `${file} is damaged`);
    const state = isChecked ? "undamaged" : "readable";
    lines.push(ok("database", `${state}, ${journal.toUpperCase()}; every start sets synchronous=FULL`));
    return lines;
  } catch (error) {
    const what = error instanceof StoreError ? error.message : `${file} cannot be opened`;
    return [
      ...lines,
      failed(
        "database",
        what,
        "check that the file is readable here; if it is damaged, restore a backup or move it away",
      ),
    ];
  } finally {
    db?.close();
  }
}

function valueOf(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0];
}

async function postgresLines(server: PostgresServer): Promise<readonly Diagnosis[]> {
  try {
    const { lookAtPostgres } = await import("../../store/postgres-schema.ts");
    const limits = { connectMs: 5_000, statementMs: 5_000, lockMs: 5_000, answerMs: 5_000 };
    const { schema, warnings } = await lookAtPostgres(server, limits);
    if (schema > migrations.length) return [failed("database", `the store ${NEWER[0]}`, NEWER[1])];
    const state =
      schema === 0 ? "the tables are made at the first start" : `schema ${schema} of ${migrations.length}`;
    return [
      ok("database", `${server.label} answers; ${state}; commits are flushed (synchronous_commit on)`),
      ...warnings.map((text) => warning("durability", text, "switch it on in postgresql.conf")),
    ];
  } catch (error) {
    const what = error instanceof StoreError ? error.message : "the database cannot be looked at";
    return [
      failed("database", what, "check host, user, password and database in store.url, and pg_hba.conf"),
    ];
  }
}
