import { devicesStep } from "./postgres-devices-step.ts";
import { outcomesStep } from "./postgres-outcomes-step.ts";
import { promisedStep, rememberedStep } from "./postgres-steps.ts";
import { supersededStep } from "./postgres-superseded-step.ts";
import { supersedeStep } from "./postgres-supersede-step.ts";
import { StoreError } from "./store.ts";

/** One step of the schema, in each database's own dialect. */
export interface Migration {
  /** For people. */
  readonly name: string;
  /** Statements; none where the step concerns the other database. */
  readonly sqlite: string;
  /** One or more statements that can run in a transaction, and only add to what an older version uses (SP12). */
  readonly postgres: string;
}

/**
 * The schema's history: steps are appended, never changed and never removed. The schema's number is how many steps
 * have been run. Digests are 32-byte BLOBs; times are milliseconds since 1970; `_until_ms` is the last instant that
 * counts. No column holds a pushkey or a token but those of `devices`, which are what is sent to; `outbox.payload` alone
 * holds content, until its push is settled.
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
    postgres: rememberedStep,
  },
  {
    // The indexes are partial: an entry in somebody's hands is in none that is searched for work, and one that nobody
    // holds is in one of two, by when it falls due, or (`ready`: found to be due) by its age.
    name: "promised pushes",
    sqlite: `
      CREATE TABLE outbox_apps (
        app_number INTEGER PRIMARY KEY NOT NULL,
        app TEXT NOT NULL UNIQUE,
        accepted INTEGER NOT NULL DEFAULT 0,
        handed INTEGER NOT NULL DEFAULT 0,
        rejected INTEGER NOT NULL DEFAULT 0,
        expired INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
        pending_bytes INTEGER NOT NULL DEFAULT 0 CHECK (pending_bytes >= 0),
        CHECK (accepted = handed + rejected + expired + dropped + pending)
      ) STRICT;
      CREATE TABLE outbox (
        entry INTEGER PRIMARY KEY NOT NULL,
        id TEXT NOT NULL,
        app_number INTEGER NOT NULL,
        device BLOB NOT NULL CHECK (length(device) = 32),
        dedupe_key BLOB CHECK (length(dedupe_key) = 32),
        slot TEXT,
        attempts INTEGER NOT NULL,
        received_ms INTEGER NOT NULL,
        queued_ms INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        ready INTEGER NOT NULL CHECK (ready IN (0, 1)),
        expires_ms INTEGER NOT NULL,
        owner TEXT,
        claims INTEGER NOT NULL,
        lease_until_ms INTEGER,
        crashes INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL,
        payload TEXT NOT NULL,
        CHECK ((owner IS NULL) = (lease_until_ms IS NULL))
      ) STRICT;
      CREATE UNIQUE INDEX outbox_by_key ON outbox (dedupe_key) WHERE dedupe_key IS NOT NULL;
      CREATE INDEX outbox_by_slot ON outbox (device, slot, app_number) WHERE slot IS NOT NULL;
      CREATE INDEX outbox_by_age ON outbox (app_number, received_ms, expires_ms)
        WHERE owner IS NULL AND crashes = 0 AND ready = 1;
      CREATE INDEX outbox_by_due ON outbox (app_number, due_ms, expires_ms)
        WHERE owner IS NULL AND crashes = 0 AND ready = 0;
      CREATE INDEX outbox_by_expiry ON outbox (expires_ms) WHERE owner IS NULL;
      CREATE INDEX outbox_suspects ON outbox (app_number, received_ms) WHERE owner IS NULL AND crashes > 0;
      CREATE INDEX outbox_held ON outbox (lease_until_ms) WHERE owner IS NOT NULL;
    `,
    postgres: promisedStep,
  },
  {
    // `pushkey` is the token itself, the one secret of users' in the store: an event for an owner is sent to it. A
    // row is deleted with its registration, or by an upstream's rejection.
    name: "registered devices",
    sqlite: `
      CREATE TABLE devices (
        entry INTEGER PRIMARY KEY NOT NULL,
        owner TEXT NOT NULL,
        selector TEXT,
        kind TEXT NOT NULL CHECK (kind IN ('messages', 'calls', 'registry')),
        app_id TEXT NOT NULL,
        pushkey TEXT NOT NULL,
        device BLOB NOT NULL CHECK (length(device) = 32),
        sandbox INTEGER CHECK (sandbox IN (0, 1)),
        application_id TEXT,
        apns_topic TEXT,
        user_agent TEXT,
        first_seen_ms INTEGER NOT NULL,
        last_seen_ms INTEGER NOT NULL,
        CHECK ((kind = 'registry') = (selector IS NULL))
      ) STRICT;
      CREATE UNIQUE INDEX devices_by_selector ON devices (selector, owner, kind) WHERE selector IS NOT NULL;
      CREATE UNIQUE INDEX devices_registered ON devices (owner, device) WHERE selector IS NULL;
      CREATE INDEX devices_by_owner ON devices (owner);
      CREATE INDEX devices_by_device ON devices (device);
    `,
    postgres: devicesStep,
  },
  {
    name: "superseded pushes",
    sqlite: "",
    postgres: supersedeStep,
  },
  {
    // What became of pushes lately. In the order of `entry` the oldest go first.
    name: "past outcomes",
    sqlite: `
      CREATE TABLE outcomes (
        entry INTEGER PRIMARY KEY NOT NULL,
        push TEXT NOT NULL UNIQUE,
        at_ms INTEGER NOT NULL,
        app TEXT NOT NULL,
        pushkin TEXT NOT NULL,
        device BLOB NOT NULL CHECK (length(device) = 32),
        event BLOB CHECK (length(event) = 32),
        request TEXT,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        status INTEGER,
        answer TEXT,
        attempts INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX outcomes_by_device ON outcomes (device);
      CREATE INDEX outcomes_by_event ON outcomes (event) WHERE event IS NOT NULL;
      CREATE INDEX outcomes_by_request ON outcomes (request) WHERE request IS NOT NULL;
    `,
    postgres: outcomesStep,
  },
  {
    name: "superseded pushes are told of",
    sqlite: "",
    postgres: supersededStep,
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
