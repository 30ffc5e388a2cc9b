import type { Gate } from "./call-gate.ts";
import { createLane } from "./call-lane.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import { blob, toBigint, withDigests } from "./postgres-remembered.ts";
import { StoreError } from "./store.ts";
import type {
  ClaimedEntry,
  Digest,
  FinalState,
  Lease,
  Outbox,
  OutboxCaps,
  OutboxCounts,
  OutboxEntry,
  PutResult,
  SupersededEntry,
} from "./store.ts";

/** Calls in one statement at most; content is in them. */
const maxPutCalls = 200;
const maxCalls = 500;

interface Put {
  readonly entries: readonly OutboxEntry[];
  readonly caps: OutboxCaps;
  readonly lease: Lease | undefined;
}

interface Held {
  readonly id: string;
  readonly token: number;
}

type Later = Parameters<Outbox["postpone"]>[0][number];
type Ended = Held & { readonly state: FinalState };

interface ClaimedRow {
  readonly id: string;
  readonly app: string;
  readonly device: string;
  readonly key: string | null;
  readonly slot: string | null;
  readonly payload: Buffer;
  readonly attempts: number;
  readonly expires_in: number;
  readonly received: number;
  readonly token: number;
  readonly crashes: number;
  readonly waited: number;
}

/** Promised pushes, shared by the replicas: who may do what is decided by rows, tokens and the server's clock alone. */
export function postgresOutbox(gate: Gate, pool: PostgresPool): Outbox {
  const put = createLane<Put, readonly PutResult[]>({
    gate,
    maxBatch: maxPutCalls,
    // Two that clash inside one call are told apart by the server, which takes one after the other.
    touches: ({ entries }) => [
      ...new Set(
        entries.flatMap(({ id, key, device, slot }) => [
          id,
          key ?? id,
          slot === undefined ? id : device + slot,
        ]),
      ),
    ],
    run: (batch) => runPuts(pool, batch),
  });

  const holds = createLane<Digest, boolean>({
    gate,
    maxBatch: maxCalls,
    parallel: 2,
    async run(keys) {
      const rows = await pool.run<{ key: string }>(
        "cannot read promised pushes",
        "SELECT encode(dedupe_key, 'hex') AS key FROM signalbox_outbox WHERE dedupe_key = ANY ($1::bytea[])",
        [keys.map(blob)],
      );
      const held = new Set(rows.map(({ key }) => key));
      return keys.map((key) => held.has(key));
    },
  });

  const renew = createLane<{ readonly held: readonly Held[]; readonly lease: Lease }, readonly string[]>({
    gate,
    maxBatch: 1,
    run: async (batch) => Promise.all(batch.map((call) => runRenew(pool, call.held, call.lease))),
  });

  const settle = createLane<readonly Ended[], readonly boolean[]>({
    gate,
    maxBatch: maxCalls,
    touches: (ended) => [...new Set(ended.map(({ id }) => id))],
    async run(batch) {
      const all = batch.flat();
      const rows = await pool.run<{ n: number }>(
        "cannot record how pushes ended",
        "SELECT n::int FROM signalbox_outbox_settle($1::text[], $2::bigint[], $3::text[]) AS n",
        [all.map(({ id }) => id), all.map(({ token }) => token), all.map(({ state }) => state)],
      );
      return deal(batch, new Map(rows.map(({ n }) => [n, true])));
    },
  });

  const postpone = createLane<readonly Later[], readonly (boolean | "superseded")[]>({
    gate,
    maxBatch: maxCalls,
    touches: (later) => [...new Set(later.map(({ id }) => id))],
    async run(batch) {
      const all = batch.flat();
      const rows = await pool.run<{ n: number; superseded: boolean }>(
        "cannot postpone pushes",
        `SELECT told_place::int AS n, told_superseded AS superseded
         FROM signalbox_outbox_postpone_telling($1::text[], $2::bigint[], $3::bigint[], $4::float8[])`,
        [
          all.map(({ id }) => id),
          all.map(({ token }) => token),
          all.map(({ attempts }) => attempts),
          all.map(({ dueInMs }) => dueInMs),
        ],
      );
      return deal(batch, new Map(rows.map(({ n, superseded }) => [n, superseded ? "superseded" : true])));
    },
  });

  const supersede = createLane<Parameters<Outbox["supersede"]>[0], readonly SupersededEntry[]>({
    gate,
    maxBatch: maxCalls,
    async run(batch) {
      const rows = await pool.run<SupersededEntry & { readonly n: number }>(
        "cannot drop what is outdated",
        `SELECT told_place::int AS n, told_id AS id, told_attempts::float8 AS attempts
         FROM signalbox_outbox_supersede_telling($1::text[], $2::bytea[], $3::text[], $4::bigint[])`,
        [
          batch.map(({ app }) => app),
          batch.map(({ device }) => blob(device)),
          batch.map(({ slot }) => slot),
          batch.map(({ receivedAtMs }) => toBigint(receivedAtMs)),
        ],
      );
      return batch.map((_call, i) =>
        rows.filter(({ n }) => n === i + 1).map(({ id, attempts }) => ({ id, attempts })),
      );
    },
  });

  /** What is asked now and then. */
  const ask = createLane<() => Promise<void>, undefined>({
    gate,
    maxBatch: 1,
    parallel: 2,
    async run(batch) {
      for (const work of batch) await work();
      return batch.map(() => undefined);
    },
  });
  const asking = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    let done: { readonly result: Result } | undefined;
    await ask(async () => {
      done = { result: await work() };
    });
    if (done === undefined) throw new StoreError("internal", "no result");
    return done.result;
  };

  return {
    put: (entries, caps, lease) =>
      withDigests(
        entries.flatMap(({ device, key }) => (key === undefined ? [device] : [device, key])),
        () => put({ entries, caps, lease }),
      ),
    holds: (key) => withDigests([key], () => holds(key)),
    async claim(options) {
      let tooLate = false;
      try {
        return await asking(async () => {
          const claimed = await runClaim(pool, options);
          if (tooLate) await giveBack(pool, claimed);
          return claimed;
        });
      } catch (error) {
        tooLate = true;
        throw error;
      }
    },
    renew: (held, lease) => renew({ held, lease }),
    settle,
    postpone,
    // Another replica may have put it, so each is asked for; those of one turn together.
    supersede: (by) => withDigests([by.device], () => supersede(by)),
    expire: (limit) =>
      asking(async () => {
        const rows = await pool.run<{ app: string; entries: number }>(
          "cannot end expired pushes",
          "SELECT expired_app AS app, entries::float8 AS entries FROM signalbox_outbox_expire($1)",
          [Math.max(0, limit)],
        );
        return new Map(rows.map(({ app, entries }) => [app, entries]));
      }),
    nextDueInMs: (apps) => asking(() => runNextDue(pool, apps)),
    oldestReceivedAtMs: () => asking(() => runOldest(pool)),
    counts: () => asking(() => runCounts(pool)),
    // Another replica's lease ends by its time alone; what has run out is found by whoever claims.
    releaseAbandoned: () => asking(() => runRelease(pool)),
    endLeases: (owner) =>
      asking(async () => {
        const sql = "UPDATE signalbox_outbox SET lease_until = now() WHERE owner = $1";
        await pool.run("cannot end the leases of a thread", sql, [owner]);
      }),
  };
}

/** Gives each call of a batch its part: what is said of its places (from 1, over all calls), false where nothing is. */
function deal<Said>(
  batch: readonly (readonly unknown[])[],
  said: ReadonlyMap<number, Said>,
): readonly (readonly (Said | false)[])[] {
  let place = 0;
  return batch.map((call) => call.map(() => said.get((place += 1)) ?? false));
}

async function runPuts(
  pool: PostgresPool,
  batch: readonly Put[],
): Promise<readonly (readonly PutResult[])[]> {
  const all = batch.flatMap(({ entries, caps, lease }) => entries.map((entry) => ({ entry, caps, lease })));
  if (all.length === 0) return batch.map(() => []);
  const rows = await pool.run<{ token: number; superseded: readonly SupersededEntry[] | null }>(
    "cannot commit pushes",
    `SELECT told_result::float8 AS token, told_superseded AS superseded FROM signalbox_outbox_put_telling(
       $1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::bytea[], $7::bigint[], $8::bigint[],
       $9::float8[], $10::float8[], $11::text[], $12::float8[], $13::bigint[], $14::bigint[], $15::bigint[],
       $16::bigint[])`,
    [
      all.map(({ entry }) => entry.id),
      all.map(({ entry }) => entry.app),
      all.map(({ entry }) => blob(entry.device)),
      all.map(({ entry }) => (entry.key === undefined ? null : blob(entry.key))),
      all.map(({ entry }) => entry.slot ?? null),
      all.map(({ entry }) => Buffer.from(entry.payload)),
      all.map(({ entry }) => entry.attempts),
      all.map(({ entry }) => toBigint(entry.receivedAtMs)),
      all.map(({ entry }) => entry.dueInMs),
      all.map(({ entry }) => entry.expiresInMs),
      all.map(({ lease }) => lease?.owner ?? null),
      all.map(({ lease }) => lease?.leaseMs ?? null),
      all.map(({ caps }) => toBigint(caps.maxRows)),
      all.map(({ caps }) => toBigint(caps.maxBytes)),
      all.map(({ caps }) => toBigint(caps.maxAppRows)),
      all.map(({ caps }) => toBigint(caps.maxAppBytes)),
    ],
  );
  const results = rows.map(({ superseded, token }): PutResult => {
    if (token > 0) return { kind: "stored", token, ...(superseded === null ? {} : { superseded }) };
    if (token === -2) return { kind: "superseded" };
    return token === 0 ? { kind: "already-held" } : { kind: "refused" };
  });
  let next = 0;
  return batch.map(({ entries }) => results.slice(next, (next += entries.length)));
}

async function runRenew(pool: PostgresPool, held: readonly Held[], lease: Lease): Promise<readonly string[]> {
  if (held.length === 0) return [];
  const rows = await pool.run<Held>(
    "cannot renew leases",
    `WITH held AS (
       SELECT o.id FROM signalbox_outbox o
       JOIN unnest($1::text[], $2::bigint[]) AS g (id, token) ON o.id = g.id AND o.token = g.token
       WHERE o.owner = $4 ORDER BY o.id FOR UPDATE OF o
     )
     UPDATE signalbox_outbox o SET lease_until = clock_timestamp() + $3 * interval '1 millisecond'
       FROM held WHERE o.id = held.id RETURNING o.id, o.token::float8 AS token`,
    [held.map(({ id }) => id), held.map(({ token }) => token), lease.leaseMs, lease.owner],
  );
  const renewed = new Map(rows.map(({ id, token }) => [id, token]));
  return held.filter(({ id, token }) => renewed.get(id) !== token).map(({ id }) => id);
}

/** Of one app's entries this many are looked at in one search, however many wait. */
const lookAt = 2000;

/**
 * Due entries that never saw a crash. Searched for among the freshest first; only when these are not enough, because
 * they wait for a later try, among those that have been due for longest. So no claim reads all of a long queue; the
 * array keeps the planner from joining with all of it.
 */
const freshSql = (order: "received_ms DESC" | "due_at"): string => `
  SELECT o.id, o.received_ms FROM signalbox_outbox o
  WHERE o.id = ANY (ARRAY(
      SELECT x.id FROM (
        SELECT y.id, y.received_ms, y.due_at, y.expires_at FROM signalbox_outbox y
        WHERE y.app = a.app COLLATE "C" AND y.owner IS NULL AND y.crashes = 0
          ${order === "due_at" ? "AND y.due_at <= now()" : ""} ORDER BY y.${order} LIMIT ${lookAt}
      ) x
      WHERE x.due_at <= now() AND x.expires_at > now() ORDER BY x.received_ms DESC LIMIT 2 * $2::bigint
    )) AND o.owner IS NULL AND o.crashes = 0 AND o.due_at <= now()
  ORDER BY o.received_ms DESC LIMIT $2 FOR UPDATE SKIP LOCKED`;

/** Entries that a process ended with in hand, or is ending with: its lease has run out. */
const suspectSql = `
  SELECT o.id, o.received_ms FROM signalbox_outbox o
  WHERE o.app = a.app COLLATE "C" AND o.expires_at > now()
    AND ((o.owner IS NULL AND o.crashes > 0 AND o.due_at <= now()) OR (o.owner IS NOT NULL AND o.lease_until <= now()))
    AND o.crashes + CASE WHEN o.owner IS NULL OR o.owner = $3 THEN 0 ELSE 1 END <= $5::bigint
  ORDER BY o.received_ms DESC LIMIT $2 FOR UPDATE SKIP LOCKED`;

const claimSql = (candidates: string): string => `
  WITH candidates AS MATERIALIZED (
    SELECT c.id, c.received_ms FROM unnest($1::text[]) AS a (app), LATERAL (${candidates}) c
  ), chosen AS (
    SELECT id FROM candidates ORDER BY received_ms DESC LIMIT $2
  )
  UPDATE signalbox_outbox o SET owner = $3, lease_until = clock_timestamp() + $4 * interval '1 millisecond',
      token = nextval('signalbox_outbox_tokens'),
      crashes = o.crashes + CASE WHEN o.owner IS NULL OR o.owner = $3 THEN 0 ELSE 1 END
    FROM chosen WHERE o.id = chosen.id
  RETURNING o.id, o.app, encode(o.device, 'hex') AS device, encode(o.dedupe_key, 'hex') AS key, o.slot, o.payload,
    o.attempts::float8 AS attempts, extract(epoch FROM o.expires_at - now())::float8 * 1000 AS expires_in,
    o.received_ms::float8 AS received, o.token::float8 AS token, o.crashes,
    extract(epoch FROM now() - o.queued_at)::float8 * 1000 AS waited`;

const claimSuspects = claimSql(suspectSql);
const claimFreshest = claimSql(freshSql("received_ms DESC"));
const claimLongestDue = claimSql(freshSql("due_at"));

async function runClaim(
  pool: PostgresPool,
  { apps, limit, lease, suspects = false, maxCrashes }: Parameters<Outbox["claim"]>[0],
): Promise<readonly ClaimedEntry[]> {
  if (apps.length === 0 || limit < 1) return [];
  const claim = (sql: string, most: number, ...more: readonly number[]): Promise<readonly ClaimedRow[]> =>
    pool.run<ClaimedRow>("cannot claim pushes", sql, [apps, most, lease.owner, lease.leaseMs, ...more]);
  if (suspects) {
    return (await claim(claimSuspects, 1, maxCrashes ?? Number.MAX_SAFE_INTEGER)).map(claimedEntry);
  }
  const freshest = await claim(claimFreshest, limit);
  if (freshest.length >= limit) return freshest.map(claimedEntry).sort(byAge);
  // What was claimed is not let go of because more could not be.
  const more = await claim(claimLongestDue, limit - freshest.length).catch((error: unknown) => {
    if (freshest.length === 0) throw error;
    return [];
  });
  return [...freshest, ...more].map(claimedEntry).sort(byAge);
}

/** What was claimed after the caller's deadline is in nobody's hands: it must not wait for the lease to run out. */
async function giveBack(pool: PostgresPool, claimed: readonly ClaimedEntry[]): Promise<void> {
  await pool.run(
    "cannot give back pushes",
    "SELECT signalbox_outbox_postpone_telling($1::text[], $2::bigint[], $3::bigint[], $4::float8[])",
    [
      claimed.map(({ id }) => id),
      claimed.map(({ token }) => token),
      claimed.map(({ attempts }) => attempts),
      claimed.map(() => 0),
    ],
  );
}

const byAge = (a: ClaimedEntry, b: ClaimedEntry): number => b.receivedAtMs - a.receivedAtMs;

function claimedEntry(row: ClaimedRow): ClaimedEntry {
  return {
    id: row.id,
    app: row.app,
    device: row.device,
    ...(row.key === null ? {} : { key: row.key }),
    ...(row.slot === null ? {} : { slot: row.slot }),
    payload: row.payload.toString(),
    attempts: row.attempts,
    expiresInMs: row.expires_in,
    receivedAtMs: row.received,
    token: row.token,
    crashes: row.crashes,
    waitedMs: Math.max(0, row.waited),
  };
}

/** Counts what nobody holds, and what somebody held until his lease ran out: that is due at once. */
async function runNextDue(pool: PostgresPool, apps: readonly string[]): Promise<number | undefined> {
  const rows = await pool.run<{ due_in: number | null }>(
    "cannot look for due pushes",
    `SELECT extract(epoch FROM min(due) - now())::float8 * 1000 AS due_in FROM (
       SELECT (SELECT min(o.due_at) FROM signalbox_outbox o WHERE o.app = a.app COLLATE "C" AND o.owner IS NULL
                 AND o.expires_at > now()) AS due
       FROM unnest($1::text[]) AS a (app)
       UNION ALL
       SELECT min(o.lease_until) FROM signalbox_outbox o
         WHERE o.owner IS NOT NULL AND o.lease_until <= now() AND o.expires_at > now() AND o.app = ANY ($1::text[])
     ) w`,
    [apps],
  );
  const dueIn = rows[0]?.due_in ?? null;
  return dueIn === null ? undefined : Math.max(0, dueIn);
}

async function runCounts(pool: PostgresPool): Promise<ReadonlyMap<string, OutboxCounts>> {
  const rows = await pool.run<OutboxCounts & { readonly app: string }>(
    "cannot count promised pushes",
    `SELECT app, accepted::float8, handed::float8, rejected::float8, expired::float8, dropped::float8,
            pending::float8, pending_bytes::float8 AS "pendingBytes"
     FROM signalbox_outbox_apps WHERE accepted > 0`,
  );
  return new Map(rows.map(({ app, ...counts }) => [app, counts]));
}

/** One look into the index by age for each app. What is in somebody's hands just now is younger or back soon. */
async function runOldest(pool: PostgresPool): Promise<number | undefined> {
  const rows = await pool.run<{ oldest: number | null }>(
    "cannot look for the oldest push",
    `SELECT min(oldest)::float8 AS oldest FROM (
       SELECT (SELECT o.received_ms FROM signalbox_outbox o
               WHERE o.app = a.app AND o.owner IS NULL AND o.crashes = 0 ORDER BY o.received_ms LIMIT 1) AS oldest
       FROM signalbox_outbox_apps a WHERE a.pending > 0
     ) w`,
  );
  return rows[0]?.oldest ?? undefined;
}

async function runRelease(pool: PostgresPool): Promise<number> {
  const rows = await pool.run<{ released: number }>(
    "cannot release leases that ran out",
    "SELECT signalbox_outbox_release()::int AS released",
  );
  return rows[0]?.released ?? 0;
}
