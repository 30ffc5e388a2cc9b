import { createHash, randomBytes } from "node:crypto";
import pg from "pg";
import type { Client } from "pg";
import { migrations, pendingMigrations } from "./migrations.ts";
import type { Migration } from "./migrations.ts";
import { clientConfig, destroyClient, prepareSession, storeErrorOf } from "./postgres-pool.ts";
import type { PostgresTimeouts } from "./postgres-pool.ts";
import type { PostgresServer } from "./postgres-url.ts";
import { StoreError } from "./store.ts";

/** Names the advisory lock under which a schema is changed: "signalbx" as eight bytes. */
const lockKey = "8316292906026365560";
/** A start that takes longer hangs: another replica's migration is through by then. */
const migrationMs = 60_000;
/** The first with everything that the statements use, and maintained when this was written. */
const minimumVersion = 130_000;

/** What a start finds out and makes. */
export interface PostgresStart {
  readonly installationKey: Uint8Array;
  /** What the server should be told about in the log: settings that weaken a promise. */
  readonly warnings: readonly string[];
}

/**
 * Connects, makes or migrates the schema, and reads the installation's secret. All of it is one transaction under one
 * lock, so that replicas that start at the same time wait for each other, and a kill in the middle changes nothing.
 * @throws StoreError with a sentence for the operator
 */
export async function preparePostgres(
  server: PostgresServer,
  timeouts: PostgresTimeouts,
  list: readonly Migration[] = migrations,
): Promise<PostgresStart> {
  const patient = {
    ...timeouts,
    statementMs: migrationMs,
    lockMs: migrationMs,
    answerMs: migrationMs + 1000,
  };
  const client = new pg.Client(clientConfig(server, patient));
  client.on("error", () => undefined);
  try {
    await client.connect();
    await prepareSession(client, patient);
    const warnings = await checkServer(client);
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock($1)", [lockKey]);
    await migrate(client, list);
    const installationKey = await readInstallationKey(client);
    await client.query("COMMIT");
    await client.end();
    return { installationKey, warnings };
  } catch (error) {
    destroyClient(client);
    throw storeErrorOf(error, `cannot open the database at ${server.label}`);
  }
}

/**
 * Connects, looks and leaves: nothing is made or changed.
 * @throws StoreError with a sentence for the operator; no password is in it
 */
export async function lookAtPostgres(
  server: PostgresServer,
  timeouts: PostgresTimeouts,
): Promise<{ readonly warnings: readonly string[]; readonly schema: number }> {
  const client = new pg.Client(clientConfig(server, timeouts));
  client.on("error", () => undefined);
  try {
    await client.connect();
    await prepareSession(client, timeouts);
    const warnings = await checkServer(client);
    const { rows } = await client.query<{ found: boolean }>(
      "SELECT to_regclass('signalbox_meta') IS NOT NULL AS found",
    );
    const schema = rows[0]?.found === true ? await readSchema(client) : 0;
    await client.end();
    return { warnings, schema };
  } catch (error) {
    destroyClient(client);
    throw storeErrorOf(error, `cannot look at the database at ${server.label}`);
  }
}

async function checkServer(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ version: number; encoding: string; fsync: string; writes: string }>(
    `SELECT current_setting('server_version_num')::int AS version,
            current_setting('server_encoding') AS encoding,
            current_setting('fsync') AS fsync,
            current_setting('full_page_writes') AS writes`,
  );
  const [found] = rows;
  if (found === undefined || found.version < minimumVersion)
    throw new StoreError("unavailable", "cannot keep a store here: PostgreSQL 13 or newer is needed");
  if (found.encoding !== "UTF8" && found.encoding !== "SQL_ASCII")
    throw new StoreError(
      "unavailable",
      `cannot keep a store here: the database's encoding is ${found.encoding}, not UTF8`,
    );
  const off = [
    ["fsync", found.fsync],
    ["full_page_writes", found.writes],
  ].filter(([, value]) => value === "off");
  return off.map(
    ([name]) => `the database server runs with ${name}=off: a power loss can lose promised pushes`,
  );
}

/** An older replica that runs meanwhile goes on with its own statements: steps only ever add (SP12). */
async function migrate(client: Client, list: readonly Migration[]): Promise<void> {
  const { rows } = await client.query<{ found: boolean }>(
    "SELECT to_regclass('signalbox_meta') IS NOT NULL AS found",
  );
  const schema = rows[0]?.found === true ? await readSchema(client) : 0;
  const pending = pendingMigrations(schema, list);
  for (const { postgres } of pending) await client.query(postgres);
  if (pending.length > 0) {
    await client.query(
      `INSERT INTO signalbox_meta (name, value) VALUES ('schema', $1)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      [Buffer.from(String(list.length))],
    );
  }
}

async function readSchema(client: Client): Promise<number> {
  const { rows } = await client.query<{ value: Buffer }>(
    "SELECT value FROM signalbox_meta WHERE name = 'schema'",
  );
  const schema = Number(rows[0]?.value.toString());
  if (!(Number.isSafeInteger(schema) && schema > 0))
    throw new StoreError("corrupt", "the store's schema number is damaged");
  return schema;
}

/** Kept with a checksum, since a wrong one would forget every device. */
async function readInstallationKey(client: Client): Promise<Uint8Array> {
  const checksum = (key: Uint8Array): Buffer => createHash("sha256").update(key).digest().subarray(0, 8);
  const fresh = randomBytes(32);
  await client.query(
    "INSERT INTO signalbox_meta (name, value) VALUES ('installation_key', $1) ON CONFLICT DO NOTHING",
    [Buffer.concat([fresh, checksum(fresh)])],
  );
  const { rows } = await client.query<{ value: Buffer }>(
    "SELECT value FROM signalbox_meta WHERE name = 'installation_key'",
  );
  const kept = rows[0]?.value ?? Buffer.alloc(0);
  const key = new Uint8Array(kept.subarray(0, 32));
  if (key.length !== 32 || !checksum(key).equals(kept.subarray(32)))
    throw new StoreError("corrupt", "the store's installation key is damaged");
  return key;
}
