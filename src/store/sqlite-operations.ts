import type { SQLOutputValue } from "node:sqlite";
import type { Statements } from "./sqlite-connection.ts";
import { deviceOperations } from "./sqlite-device-operations.ts";
import { blob, read, write } from "./sqlite-operation.ts";
import type { Operation } from "./sqlite-operation.ts";
import { outboxOperations } from "./sqlite-outbox-operations.ts";
import { outcomeOperations } from "./sqlite-outcome-operations.ts";
import type { Digest, KnownApp, Verdict } from "./store.ts";

/** Everything the writer thread does; a new need is a new entry. */
export const operations = {
  findRejection: read((db, args: { app: string; device: Digest; nowMs: number }): Verdict | undefined => {
    const row = db.get(
      "SELECT since_ms, keep_until_ms FROM rejections WHERE device = ? AND app = ? AND keep_until_ms >= ?",
      blob(args.device),
      args.app,
      args.nowMs,
    );
    if (row === undefined) return undefined;
    return { sinceMs: Number(row["since_ms"]), keepUntilMs: Number(row["keep_until_ms"]) };
  }),

  putRejection: write((db, args: { app: string; device: Digest; verdict: Verdict }): void => {
    db.run(
      "INSERT OR REPLACE INTO rejections (device, app, since_ms, keep_until_ms) VALUES (?, ?, ?, ?)",
      blob(args.device),
      args.app,
      args.verdict.sinceMs,
      args.verdict.keepUntilMs,
    );
  }),

  removeRejection: write((db, args: { app: string; device: Digest }): void => {
    db.run("DELETE FROM rejections WHERE device = ? AND app = ?", blob(args.device), args.app);
  }),

  countRejections: read((db, args: { nowMs: number }): ReadonlyMap<string, number> => {
    const rows = db.all(
      "SELECT app, count(*) AS verdicts FROM rejections WHERE keep_until_ms >= ? GROUP BY app",
      args.nowMs,
    );
    return new Map(rows.map((row) => [String(row["app"]), Number(row["verdicts"])]));
  }),

  hasDelivered: read((db, args: { key: Digest; nowMs: number }): boolean => {
    const sql = "SELECT 1 AS known FROM delivered WHERE dedupe_key = ? AND keep_until_ms >= ?";
    return db.get(sql, blob(args.key), args.nowMs) !== undefined;
  }),

  putDelivered: write((db, args: { keys: readonly Digest[]; keepUntilMs: number }): void => {
    for (const key of args.keys) {
      db.run(
        `INSERT INTO delivered (dedupe_key, keep_until_ms) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET keep_until_ms = max(keep_until_ms, excluded.keep_until_ms)`,
        blob(key),
        args.keepUntilMs,
      );
    }
  }),

  allKnownApps: read((db, _args: object): readonly KnownApp[] => {
    return db.all("SELECT * FROM known_apps ORDER BY app").map(knownApp);
  }),

  updateKnownApp: write(
    (
      db,
      args: {
        app: string;
        /** Null = leave as it is. */
        lastConfiguredAtMs: number | null;
        served: boolean;
        /** Null = leave as it is. */
        succeededWith: string | null;
        /** Undefined = leave as it is; null = clear. */
        guardTrippedAtMs: number | null | undefined;
      },
    ): void => {
      db.run(
        `INSERT INTO known_apps (app, last_configured_at_ms, served, succeeded_with, guard_tripped_at_ms)
         VALUES (?1, coalesce(?2, 0), ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET
           last_configured_at_ms = coalesce(?2, last_configured_at_ms),
           served = max(served, ?3),
           succeeded_with = coalesce(?4, succeeded_with),
           guard_tripped_at_ms = CASE ?6 WHEN 1 THEN ?5 ELSE guard_tripped_at_ms END`,
        args.app,
        args.lastConfiguredAtMs,
        args.served ? 1 : 0,
        args.succeededWith,
        args.guardTrippedAtMs ?? null,
        args.guardTrippedAtMs === undefined ? 0 : 1,
      );
    },
  ),

  forgetKnownApps: write((db, args: { configuredBeforeMs: number }): void => {
    db.run("DELETE FROM known_apps WHERE last_configured_at_ms < ?", args.configuredBeforeMs);
  }),

  /** At most `maxRows` of each kind, so that no commit is held up for long; answers how many it deleted. */
  pruneSome: write((db, args: { nowMs: number; maxRows: number }): number => {
    const { nowMs, maxRows } = args;
    const verdicts = db.run(
      `DELETE FROM rejections WHERE (device, app) IN
         (SELECT device, app FROM rejections WHERE keep_until_ms < ? ORDER BY keep_until_ms LIMIT ?)`,
      nowMs,
      maxRows,
    );
    const delivered = db.run(
      `DELETE FROM delivered WHERE dedupe_key IN
         (SELECT dedupe_key FROM delivered WHERE keep_until_ms < ? ORDER BY keep_until_ms LIMIT ?)`,
      nowMs,
      maxRows,
    );
    return verdicts + delivered;
  }),

  ...outboxOperations,
  ...deviceOperations,
  ...outcomeOperations,
};

function knownApp(row: Record<string, SQLOutputValue>): KnownApp {
  const succeededWith = row["succeeded_with"];
  const trippedAtMs = row["guard_tripped_at_ms"];
  return {
    app: String(row["app"]),
    lastConfiguredAtMs: Number(row["last_configured_at_ms"]),
    served: row["served"] === 1,
    ...(typeof succeededWith === "string" ? { succeededWith } : {}),
    ...(typeof trippedAtMs === "number" ? { guardTrippedAtMs: trippedAtMs } : {}),
  };
}

export type OperationName = keyof typeof operations;
export type ArgsOf<Name extends OperationName> = Parameters<(typeof operations)[Name]["run"]>[1];
export type ResultOf<Name extends OperationName> = ReturnType<(typeof operations)[Name]["run"]>;

/** What the main thread sends. Ids only grow. */
export type Request = {
  [Name in OperationName]: { readonly id: number; readonly name: Name; readonly args: ArgsOf<Name> };
}[OperationName];

const table: { readonly [Name in OperationName]: Operation<ArgsOf<Name>, ResultOf<Name>> } = operations;

export function writes(request: Request): boolean {
  return table[request.name].writes;
}

/** Does what is asked; throws what SQLite throws. */
export function run<Name extends OperationName>(
  db: Statements,
  name: Name,
  args: ArgsOf<Name>,
): ResultOf<Name> {
  return table[name].run(db, args);
}
