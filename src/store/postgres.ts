import type { Clock } from "../clock.ts";
import { createGate } from "./call-gate.ts";
import type { Gate } from "./call-gate.ts";
import { createLane } from "./call-lane.ts";
import { postgresDevices } from "./postgres-devices.ts";
import { watchHealth } from "./postgres-health.ts";
import { postgresOutbox } from "./postgres-outbox.ts";
import { postgresOutcomes } from "./postgres-outcomes.ts";
import { createPostgresPool } from "./postgres-pool.ts";
import type { PostgresPool, PostgresTimeouts } from "./postgres-pool.ts";
import { postgresDedupe, postgresKnownApps, postgresRejections, toBigint } from "./postgres-remembered.ts";
import { preparePostgres } from "./postgres-schema.ts";
import type { PostgresServer } from "./postgres-url.ts";
import type { Store, StoreError } from "./store.ts";

/** How a PostgreSQL store is opened. The bounds are for tests; absent = the default. */
export interface PostgresOptions {
  readonly clock: Clock;
  readonly onHealth: (trouble: StoreError | undefined) => void;
  /** A setting of the server weakens a promise; a sentence for the log. */
  readonly onWarning: (warning: string) => void;
  readonly deadlineMs?: number;
  readonly maxWaiting?: number;
  readonly maxConnections?: number;
  readonly timeouts?: Partial<PostgresTimeouts>;
}

/** The server ends a statement before the caller's deadline, so that he hears why; then we end the connection. */
const defaultTimeouts: PostgresTimeouts = {
  connectMs: 2000,
  statementMs: 1500,
  lockMs: 1000,
  answerMs: 2000,
};
/** Rows deleted in one commit when pruning. */
const pruneRows = 1000;

/**
 * The store that several replicas share. Nothing is cached: what another replica wrote counts at once.
 * @throws StoreError (as a rejection) with the reason why this database cannot be the store; no password is in it
 */
export async function openPostgresStore(server: PostgresServer, options: PostgresOptions): Promise<Store> {
  const { clock, onHealth } = options;
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const { installationKey, warnings } = await preparePostgres(server, timeouts);
  for (const warning of warnings) options.onWarning(warning);

  const health = watchHealth({ clock, onHealth, probe: () => probe(pool) });
  const pool = createPostgresPool(server, {
    clock,
    timeouts,
    maxConnections: options.maxConnections ?? 10,
    onFailure: (failure) => health.note(failure),
    onIdleLoss: () => health.look(),
  });
  const gate = createGate({
    clock,
    deadlineMs: options.deadlineMs ?? 2000,
    maxWaiting: options.maxWaiting ?? 10_000,
    refusal: () => health.refusal(),
    onSilence: (error) => health.note({ error, down: false }),
  });

  let closing: Promise<void> | undefined;
  return {
    durable: true,
    installationKey,
    rejections: postgresRejections(gate, pool),
    dedupe: postgresDedupe(gate, pool),
    knownApps: postgresKnownApps(gate, pool),
    outcomes: postgresOutcomes(gate, pool),
    outbox: postgresOutbox(gate, pool),
    devices: postgresDevices(gate, pool),
    prune: postgresPrune(gate, pool),
    close: () =>
      (closing ??= (async () => {
        await gate.close();
        await health.close();
        await pool.close();
      })()),
  };
}

/** Whether a commit goes through and nobody keeps us from writing to a table. */
async function probe(pool: PostgresPool): Promise<void> {
  // Several statements in one message are one transaction, which the server ends by itself.
  await pool.run(
    "cannot write to the database",
    `LOCK TABLE signalbox_outbox, signalbox_outbox_apps, signalbox_rejections, signalbox_delivered,
       signalbox_known_apps, signalbox_devices IN ROW EXCLUSIVE MODE;
     INSERT INTO signalbox_meta (name, value) VALUES ('probe', '')
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
  );
}

function postgresPrune(gate: Gate, pool: PostgresPool): Store["prune"] {
  const prune = createLane<number, number>({
    gate,
    maxBatch: 1,
    async run([nowMs = 0]) {
      const rows = await pool.run<{ deleted: number }>(
        "cannot delete what has expired",
        `WITH verdicts AS (
           DELETE FROM signalbox_rejections WHERE (device, app) IN (
             SELECT device, app FROM signalbox_rejections WHERE keep_until_ms < $1
             ORDER BY keep_until_ms LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1
         ), delivered AS (
           DELETE FROM signalbox_delivered WHERE dedupe_key IN (
             SELECT dedupe_key FROM signalbox_delivered WHERE keep_until_ms < $1
             ORDER BY keep_until_ms LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1
         )
         SELECT ((SELECT count(*) FROM verdicts) + (SELECT count(*) FROM delivered))::int AS deleted`,
        [toBigint(nowMs), pruneRows],
      );
      return [rows[0]?.deleted ?? 0];
    },
  });
  return async (nowMs) => {
    for (let total = 0; ;) {
      const deleted = await prune(nowMs);
      total += deleted;
      if (deleted === 0) return total;
    }
  };
}
