import { StoreError } from "./store.ts";

/** One step of the schema. A database with another dialect gets its own key beside `sqlite`. */
export interface Migration {
  /** For people. */
  readonly name: string;
  /** One or more statements. */
  readonly sqlite: string;
}

/**
 * The schema's history: steps are appended, never changed and never removed. The schema's number is how many steps
 * have been run. Digests are 32-byte BLOBs; times are milliseconds since 1970; `_until_ms` is the last instant that
 * counts. No column holds a pushkey, a token or content.
 */
export const migrations: readonly Migration[] = [
  {
    name: "dead pushkeys, delivered pushes, known apps",
    sqlite: `
      CREATE TABLE meta (
        name TEXT PRIMARY KEY NOT NULL,
        value BLOB NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE rejections (
        device BLOB NOT NULL CHECK (length(device) = 32),
        app TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        keep_until_ms INTEGER NOT NULL,
        PRIMARY KEY (device, app)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX rejections_by_end ON rejections (keep_until_ms, app);
      CREATE TABLE delivered (
        dedupe_key BLOB PRIMARY KEY NOT NULL CHECK (length(dedupe_key) = 32),
        keep_until_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX delivered_by_end ON delivered (keep_until_ms);
      CREATE TABLE known_apps (
        app TEXT PRIMARY KEY NOT NULL,
        last_configured_at_ms INTEGER NOT NULL,
        served INTEGER NOT NULL CHECK (served IN (0, 1)),
        succeeded_with TEXT,
        guard_tripped_at_ms INTEGER
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

/**
 * The steps that a database with this schema number still lacks.
 * @throws StoreError `too-new` when a newer program has written it: an older one could only damage it.
 */
export function pendingMigrations(
  schema: number,
  list: readonly Migration[] = migrations,
): readonly Migration[] {
  if (schema > list.length) {
    throw new StoreError(
      "too-new",
      `the store has schema ${schema}, written by a newer version; this version knows schema ${list.length} at most`,
    );
  }
  return list.slice(schema);
}
