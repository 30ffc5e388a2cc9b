import type { Gate } from "./call-gate.ts";
import { createLane } from "./call-lane.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import { blob, toBigint, withDigests } from "./postgres-remembered.ts";
import type { Digest, Outcomes, PastOutcome } from "./store.ts";

/** Old rows deleted with one statement at most. */
const MAX_FORGOTTEN = 4_000;

type Put = Parameters<Outcomes["put"]>;
type Find = Parameters<Outcomes["find"]>;

interface Row {
  readonly push: string;
  readonly at: number;
  readonly app: string;
  readonly pushkin: string;
  readonly device: string;
  readonly event: string | null;
  readonly request: string | null;
  readonly kind: PastOutcome["kind"];
  readonly reason: string;
  readonly status: number | null;
  readonly answer: string | null;
  readonly attempts: number;
  readonly expires: number;
}

/** What became of pushes lately, whichever replica they went through. */
export function postgresOutcomes(gate: Gate, pool: PostgresPool): Outcomes {
  const put = createLane<Put, undefined>({
    gate,
    maxBatch: 1,
    async run(batch) {
      for (const [outcomes, bounds] of batch) await write(pool, outcomes, bounds);
      return batch.map(() => undefined);
    },
  });
  const find = createLane<Find, readonly PastOutcome[]>({
    gate,
    maxBatch: 1,
    parallel: 2,
    run: async (batch) => Promise.all(batch.map((each) => search(pool, ...each))),
  });
  return {
    shared: true,
    put: (outcomes, bounds) => withDigests(outcomes.flatMap(digestsOf), () => put([outcomes, bounds])),
    find: (by, limit) =>
      withDigests("devices" in by ? by.devices : "event" in by ? [by.event] : [], () => find([by, limit])),
  };
}

function digestsOf({ device, event }: PastOutcome): readonly Digest[] {
  return event === undefined ? [device] : [device, event];
}

async function write(
  pool: PostgresPool,
  outcomes: Put[0],
  { maxRows, forgetBeforeMs }: Put[1],
): Promise<void> {
  // Of one push the last state; rows in one order, so that two replicas never wait for each other in a circle.
  const rows = [...new Map(outcomes.map((each) => [each.push, each])).values()];
  if (rows.length > 0) {
    await pool.run(
      "cannot write past outcomes",
      `INSERT INTO signalbox_outcomes AS o
         (push, at_ms, app, pushkin, device, event, request, kind, reason, status, answer, attempts, expires_ms)
       SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[],
         $8::text[], $9::text[], $10::int[], $11::text[], $12::int[], $13::bigint[]) AS g (push)
       ORDER BY g.push
       ON CONFLICT (push) DO UPDATE SET at_ms = excluded.at_ms, app = excluded.app, pushkin = excluded.pushkin,
         event = coalesce(excluded.event, o.event), request = coalesce(excluded.request, o.request),
         kind = excluded.kind, reason = excluded.reason, status = excluded.status, answer = excluded.answer,
         attempts = excluded.attempts, expires_ms = excluded.expires_ms
       WHERE excluded.at_ms >= o.at_ms`,
      [
        rows.map(({ push }) => push),
        rows.map(({ atMs }) => toBigint(atMs)),
        rows.map(({ app }) => app),
        rows.map(({ pushkin }) => pushkin),
        rows.map(({ device }) => blob(device)),
        rows.map(({ event }) => (event === undefined ? null : blob(event))),
        rows.map(({ request }) => request ?? null),
        rows.map(({ kind }) => kind),
        rows.map(({ reason }) => reason),
        rows.map(({ status }) => status ?? null),
        rows.map(({ answer }) => answer ?? null),
        rows.map(({ attempts }) => attempts),
        rows.map(({ expiresAtMs }) => toBigint(expiresAtMs)),
      ],
    );
  }
  await pool.run(
    "cannot forget past outcomes",
    `DELETE FROM signalbox_outcomes WHERE entry IN (
       SELECT entry FROM signalbox_outcomes WHERE entry IN
         (SELECT entry FROM signalbox_outcomes ORDER BY entry LIMIT $1)
         AND (at_ms < $2 OR entry <= (SELECT max(entry) FROM signalbox_outcomes) - $3)
       ORDER BY entry FOR UPDATE SKIP LOCKED)`,
    [MAX_FORGOTTEN, toBigint(forgetBeforeMs), maxRows],
  );
}

async function search(pool: PostgresPool, by: Find[0], limit: number): Promise<readonly PastOutcome[]> {
  const [where, value]: [string, unknown] =
    "devices" in by
      ? ["device = ANY ($1::bytea[])", by.devices.map(blob)]
      : "event" in by
        ? ["event = $1::bytea", blob(by.event)]
        : ["push = $1::text OR request = $1::text", by.id];
  const rows = await pool.run<Row>(
    "cannot read past outcomes",
    `SELECT push, at_ms::float8 AS at, app, pushkin, encode(device, 'hex') AS device, encode(event, 'hex') AS event,
            request, kind, reason, status, answer, attempts, expires_ms::float8 AS expires
     FROM signalbox_outcomes WHERE ${where} ORDER BY at_ms DESC, entry DESC LIMIT $2`,
    [value, limit],
  );
  return rows.map(({ at: atMs, event, request, status, answer, expires: expiresAtMs, ...same }) => ({
    ...same,
    atMs,
    expiresAtMs,
    ...(event === null ? {} : { event }),
    ...(request === null ? {} : { request }),
    ...(status === null ? {} : { status }),
    ...(answer === null ? {} : { answer }),
  }));
}
