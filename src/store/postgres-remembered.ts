import type { Gate } from "./call-gate.ts";
import { createLane } from "./call-lane.ts";
import { checkDigests } from "./digest.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import type { Dedupe, Digest, KnownApp, KnownApps, Rejections, Verdict } from "./store.ts";

/** Rows in one statement at most. */
const maxBatch = 500;

/** A digest as the database keeps it. */
export const blob = (digest: Digest): Buffer => Buffer.from(digest, "hex");

/** Times come from clocks and configuration: whole, and no larger than what a number holds exactly. */
export function toBigint(ms: number): number {
  return Math.round(Math.max(-Number.MAX_SAFE_INTEGER, Math.min(ms, Number.MAX_SAFE_INTEGER)));
}

/** Rejects with the problem when one is no digest; else does it. */
export async function withDigests<Result>(
  digests: readonly Digest[],
  act: () => Promise<Result>,
): Promise<Result> {
  checkDigests(...digests);
  return act();
}

interface Device {
  readonly app: string;
  readonly device: Digest;
}

/** Dead pushkeys. Other replicas write too, so each question is asked; those of one turn together. */
export function postgresRejections(gate: Gate, pool: PostgresPool): Rejections {
  const find = createLane<Device & { readonly nowMs: number }, Verdict | undefined>({
    gate,
    maxBatch,
    parallel: 2,
    async run(batch) {
      const rows = await pool.run<{ n: number; since: number; until: number }>(
        "cannot read dead tokens",
        `SELECT g.n::int AS n, r.since_ms::float8 AS since, r.keep_until_ms::float8 AS until
         FROM unnest($1::text[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS g (app, device, now_ms, n)
         JOIN signalbox_rejections r ON r.device = g.device AND r.app = g.app AND r.keep_until_ms >= g.now_ms`,
        [
          batch.map(({ app }) => app),
          batch.map(({ device }) => blob(device)),
          batch.map(({ nowMs }) => toBigint(nowMs)),
        ],
      );
      const found = new Map(rows.map(({ n, since, until }) => [n, { sinceMs: since, keepUntilMs: until }]));
      return batch.map((_, i) => found.get(i + 1));
    },
  });

  /** Puts and removals in one lane, so that they keep their order. */
  const write = createLane<Device & { readonly verdict?: Verdict }, undefined>({
    gate,
    maxBatch,
    touches: ({ app, device }) => [device + app],
    async run(batch) {
      const puts = batch.flatMap(({ app, device, verdict }) =>
        verdict === undefined ? [] : [{ app, device, ...verdict }],
      );
      if (puts.length > 0) {
        await pool.run(
          "cannot write dead tokens",
          `INSERT INTO signalbox_rejections (device, app, since_ms, keep_until_ms)
           SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[]) AS g (device, app, since, until)
           ORDER BY g.device, g.app
           ON CONFLICT (device, app) DO UPDATE SET since_ms = excluded.since_ms, keep_until_ms = excluded.keep_until_ms`,
          [
            puts.map(({ device }) => blob(device)),
            puts.map(({ app }) => app),
            puts.map(({ sinceMs }) => toBigint(sinceMs)),
            puts.map(({ keepUntilMs }) => toBigint(keepUntilMs)),
          ],
        );
      }
      const removals = batch.filter(({ verdict }) => verdict === undefined);
      if (removals.length > 0) {
        await pool.run(
          "cannot remove dead tokens",
          `DELETE FROM signalbox_rejections WHERE (device, app) IN
             (SELECT r.device, r.app FROM signalbox_rejections r
              JOIN unnest($1::bytea[], $2::text[]) AS g (device, app) ON r.device = g.device AND r.app = g.app
              ORDER BY r.device, r.app FOR UPDATE OF r)`,
          [removals.map(({ device }) => blob(device)), removals.map(({ app }) => app)],
        );
      }
      return batch.map(() => undefined);
    },
  });

  const count = createLane<number, ReadonlyMap<string, number>>({
    gate,
    maxBatch: 1,
    async run([nowMs = 0]) {
      const rows = await pool.run<{ app: string; verdicts: number }>(
        "cannot count dead tokens",
        `SELECT app, count(*)::float8 AS verdicts FROM signalbox_rejections WHERE keep_until_ms >= $1 GROUP BY app`,
        [toBigint(nowMs)],
      );
      return [new Map(rows.map(({ app, verdicts }) => [app, verdicts]))];
    },
  });

  return {
    find: (app, device, nowMs) => withDigests([device], () => find({ app, device, nowMs })),
    put: (app, device, verdict) => withDigests([device], () => write({ app, device, verdict })),
    remove: (app, device) => withDigests([device], () => write({ app, device })),
    count,
  };
}

/** Delivered pushes. */
export function postgresDedupe(gate: Gate, pool: PostgresPool): Dedupe {
  const has = createLane<{ readonly key: Digest; readonly nowMs: number }, boolean>({
    gate,
    maxBatch,
    parallel: 2,
    async run(batch) {
      const rows = await pool.run<{ n: number }>(
        "cannot read delivered pushes",
        `SELECT g.n::int AS n FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY AS g (dedupe_key, now_ms, n)
         JOIN signalbox_delivered d ON d.dedupe_key = g.dedupe_key AND d.keep_until_ms >= g.now_ms`,
        [batch.map(({ key }) => blob(key)), batch.map(({ nowMs }) => toBigint(nowMs))],
      );
      const found = new Set(rows.map(({ n }) => n));
      return batch.map((_, i) => found.has(i + 1));
    },
  });

  const put = createLane<{ readonly keys: readonly Digest[]; readonly keepUntilMs: number }, undefined>({
    gate,
    maxBatch,
    async run(batch) {
      const keys = batch.flatMap((each) => each.keys);
      if (keys.length > 0) {
        await pool.run(
          "cannot write delivered pushes",
          `INSERT INTO signalbox_delivered AS d (dedupe_key, keep_until_ms)
           SELECT g.dedupe_key, max(g.until) FROM unnest($1::bytea[], $2::bigint[]) AS g (dedupe_key, until)
           GROUP BY g.dedupe_key ORDER BY g.dedupe_key
           ON CONFLICT (dedupe_key) DO UPDATE SET keep_until_ms = greatest(d.keep_until_ms, excluded.keep_until_ms)`,
          [keys.map(blob), batch.flatMap((each) => each.keys.map(() => toBigint(each.keepUntilMs)))],
        );
      }
      return batch.map(() => undefined);
    },
  });

  return {
    has: (key, nowMs) => withDigests([key], () => has({ key, nowMs })),
    put: (keys, keepUntilMs) => withDigests(keys, () => put({ keys, keepUntilMs })),
  };
}

interface KnownAppRow {
  readonly app: string;
  readonly configured: number;
  readonly served: boolean;
  readonly succeeded_with: string | null;
  readonly tripped: number | null;
}

/** Apps that were ever configured. */
export function postgresKnownApps(gate: Gate, pool: PostgresPool): KnownApps {
  const ask = createLane<() => Promise<unknown>, unknown>({
    gate,
    maxBatch: 1,
    run: async (batch) => Promise.all(batch.map((each) => each())),
  });
  return {
    async all() {
      let apps: readonly KnownApp[] = [];
      await ask(async () => {
        const rows = await pool.run<KnownAppRow>(
          "cannot read the known apps",
          `SELECT app, last_configured_at_ms::float8 AS configured, served, succeeded_with,
                  guard_tripped_at_ms::float8 AS tripped
           FROM signalbox_known_apps`,
        );
        apps = rows.map(knownApp).sort((a, b) => (a.app < b.app ? -1 : 1));
      });
      return apps;
    },
    async update(app, change) {
      const { lastConfiguredAtMs, guardTrippedAtMs } = change;
      await ask(() =>
        pool.run(
          "cannot write a known app",
          `INSERT INTO signalbox_known_apps AS k
             (app, last_configured_at_ms, served, succeeded_with, guard_tripped_at_ms)
           VALUES ($1, coalesce($2::bigint, 0), $3::boolean, $4::text, $5::bigint)
           ON CONFLICT (app) DO UPDATE SET
             last_configured_at_ms = coalesce($2::bigint, k.last_configured_at_ms),
             served = k.served OR $3::boolean,
             succeeded_with = coalesce($4::text, k.succeeded_with),
             guard_tripped_at_ms = CASE WHEN $6::boolean THEN $5::bigint ELSE k.guard_tripped_at_ms END`,
          [
            app,
            lastConfiguredAtMs === undefined ? null : toBigint(lastConfiguredAtMs),
            change.served ?? false,
            change.succeededWith ?? null,
            guardTrippedAtMs === undefined || guardTrippedAtMs === null ? null : toBigint(guardTrippedAtMs),
            guardTrippedAtMs !== undefined,
          ],
        ),
      );
    },
    async forget(configuredBeforeMs) {
      await ask(() =>
        pool.run(
          "cannot forget known apps",
          "DELETE FROM signalbox_known_apps WHERE last_configured_at_ms < $1",
          [toBigint(configuredBeforeMs)],
        ),
      );
    },
  };
}

function knownApp(row: KnownAppRow): KnownApp {
  return {
    app: row.app,
    lastConfiguredAtMs: row.configured,
    served: row.served,
    ...(row.succeeded_with === null ? {} : { succeededWith: row.succeeded_with }),
    ...(row.tripped === null ? {} : { guardTrippedAtMs: row.tripped }),
  };
}
