// The PostgreSQL dialect of a step in migrations.ts. Like those: never changed once released (see postgres-steps.ts).

/**
 * What the functions before it did without a word: which waiting pushes a newer one of their place has ended. An entry
 * in somebody's hands that was overtaken has expired since ever, so that its holder is told when he gives it back.
 */
export const supersededStep = `
  -- One row for each entry, in their order: its token, 0 = its key or id waits already, -1 = refused by a cap, -2 = a
  -- newer one of its place is the promise; and those that waited and that it has replaced.
  CREATE FUNCTION signalbox_outbox_put_telling(
    ids TEXT[], apps TEXT[], devices BYTEA[], keys BYTEA[], slots TEXT[], payloads BYTEA[], tries BIGINT[],
    received BIGINT[], due_in_ms FLOAT8[], expires_in_ms FLOAT8[], owners TEXT[], lease_ms FLOAT8[],
    max_rows BIGINT[], max_bytes BIGINT[], max_app_rows BIGINT[], max_app_bytes BIGINT[]
  ) RETURNS TABLE (told_result BIGINT, told_superseded JSONB) LANGUAGE plpgsql AS $body$
  DECLARE
    results BIGINT[];
    before_ids TEXT[] := '{}';
    before_apps TEXT[] := '{}';
    before_devices BYTEA[] := '{}';
    before_slots TEXT[] := '{}';
    before_tries BIGINT[] := '{}';
  BEGIN
    IF cardinality(array_remove(slots, NULL)) > 0 THEN
      -- From here on nobody else ends an entry of these apps.
      INSERT INTO signalbox_outbox_apps (app)
        SELECT DISTINCT g.app COLLATE "C" FROM unnest(apps) AS g (app)
        WHERE NOT EXISTS (SELECT FROM signalbox_outbox_apps a WHERE a.app = g.app COLLATE "C")
        ORDER BY 1 ON CONFLICT DO NOTHING;
      PERFORM signalbox_lock_apps(apps);
      SELECT coalesce(array_agg(w.id), '{}'), coalesce(array_agg(w.app), '{}'), coalesce(array_agg(w.device), '{}'),
             coalesce(array_agg(w.slot), '{}'), coalesce(array_agg(w.attempts), '{}')
        INTO before_ids, before_apps, before_devices, before_slots, before_tries FROM (
          SELECT DISTINCT o.id, o.app, o.device, o.slot, o.attempts FROM unnest(apps, devices, slots) AS g (app, device, slot)
          JOIN signalbox_outbox o ON o.device = g.device AND o.slot = g.slot COLLATE "C" AND o.app = g.app COLLATE "C"
          WHERE o.owner IS NULL
        ) w;
    END IF;
    SELECT array_agg(r.result ORDER BY r.n) INTO results
      FROM signalbox_outbox_put(ids, apps, devices, keys, slots, payloads, tries, received, due_in_ms, expires_in_ms,
                                owners, lease_ms, max_rows, max_bytes, max_app_rows, max_app_bytes)
        WITH ORDINALITY AS r (result, n);
    RETURN QUERY
      WITH put AS (
        SELECT g.*, results[g.n] AS result,
               row_number() OVER (PARTITION BY g.app, g.device, g.slot, results[g.n] > 0 ORDER BY g.n) AS turn
        FROM unnest(ids, apps, devices, keys, slots, tries)
          WITH ORDINALITY AS g (id, app, device, dedupe_key, slot, attempts, n)
      ), gone AS (
        SELECT w.* FROM (
          SELECT b.*, 0 AS turn FROM unnest(before_ids, before_apps, before_devices, before_slots, before_tries)
            AS b (id, app, device, slot, attempts)
          UNION ALL
          -- Of two in one call the second may have replaced the first.
          SELECT p.id, p.app, p.device, p.slot, p.attempts, p.turn FROM put p
          WHERE p.result > 0 AND p.slot IS NOT NULL
        ) w WHERE NOT EXISTS (SELECT FROM signalbox_outbox o WHERE o.id = w.id COLLATE "C")
      )
      SELECT CASE WHEN p.result = 0 AND p.slot IS NOT NULL
                    AND NOT EXISTS (SELECT FROM signalbox_outbox o WHERE o.id = p.id COLLATE "C")
                    AND NOT EXISTS (SELECT FROM signalbox_outbox o WHERE o.dedupe_key = p.dedupe_key)
                  THEN -2 ELSE p.result END,
             CASE WHEN p.result > 0 AND p.slot IS NOT NULL THEN (
               SELECT jsonb_agg(jsonb_build_object('id', w.id, 'attempts', w.attempts)) FROM gone w
               WHERE w.device = p.device AND w.slot = p.slot AND w.app = p.app AND w.turn = p.turn - 1
             ) END
      FROM put p ORDER BY p.n;
  END $body$;

  -- The places in the given lists of those that were given back, and whether a newer one of their place has ended them.
  CREATE FUNCTION signalbox_outbox_postpone_telling(ids TEXT[], tokens BIGINT[], tries BIGINT[], due_in_ms FLOAT8[])
    RETURNS TABLE (told_place BIGINT, told_superseded BOOLEAN) LANGUAGE plpgsql AS $body$
  DECLARE
    places BIGINT[];
  BEGIN
    places := ARRAY(SELECT p.n FROM signalbox_outbox_postpone(ids, tokens, tries, due_in_ms) AS p (n));
    WITH gone AS (
      DELETE FROM signalbox_outbox o
        WHERE o.id = ANY (ids) AND o.slot IS NOT NULL AND o.owner IS NULL AND o.expires_at = '-infinity'
        RETURNING o.app, o.bytes
    )
    UPDATE signalbox_outbox_apps a SET dropped = a.dropped + s.entries, pending = a.pending - s.entries,
        pending_bytes = a.pending_bytes - s.bytes
      FROM (SELECT gone.app, count(*) AS entries, sum(gone.bytes) AS bytes FROM gone GROUP BY gone.app) s
      WHERE a.app = s.app;
    RETURN QUERY
      SELECT p.n, NOT EXISTS (SELECT FROM signalbox_outbox o WHERE o.id = ids[p.n] COLLATE "C")
      FROM unnest(places) AS p (n);
  END $body$;

  -- Those that it has ended, each with the place of what was handed over after it.
  CREATE FUNCTION signalbox_outbox_supersede_telling(apps TEXT[], devices BYTEA[], slots TEXT[], received BIGINT[])
    RETURNS TABLE (told_place BIGINT, told_id TEXT, told_attempts BIGINT) LANGUAGE plpgsql AS $body$
  DECLARE
    older TEXT[];
  BEGIN
    older := ARRAY(
      SELECT DISTINCT o.id FROM unnest(apps, devices, slots, received) AS g (app, device, slot, received_ms)
      JOIN signalbox_outbox o ON o.device = g.device AND o.slot = g.slot COLLATE "C" AND o.app = g.app COLLATE "C"
        AND o.received_ms < g.received_ms
    );
    IF cardinality(older) = 0 THEN RETURN; END IF;
    PERFORM signalbox_lock_apps(ARRAY(SELECT DISTINCT o.app FROM signalbox_outbox o WHERE o.id = ANY (older)));
    PERFORM 1 FROM signalbox_outbox o WHERE o.id = ANY (older) ORDER BY o.id FOR UPDATE;
    UPDATE signalbox_outbox o SET expires_at = '-infinity' WHERE o.id = ANY (older) AND o.owner IS NOT NULL;
    RETURN QUERY
      WITH gone AS (
        DELETE FROM signalbox_outbox o WHERE o.id = ANY (older) AND o.owner IS NULL
        RETURNING o.id, o.app, o.device, o.slot, o.received_ms, o.attempts, o.bytes
      ), counted AS (
        UPDATE signalbox_outbox_apps a SET dropped = a.dropped + s.entries, pending = a.pending - s.entries,
            pending_bytes = a.pending_bytes - s.bytes
          FROM (SELECT gone.app, count(*) AS entries, sum(gone.bytes) AS bytes FROM gone GROUP BY gone.app) s
          WHERE a.app = s.app
      )
      SELECT min(g.n), w.id, w.attempts FROM gone w
      JOIN unnest(apps, devices, slots, received) WITH ORDINALITY AS g (app, device, slot, received_ms, n)
        ON w.device = g.device AND w.slot = g.slot COLLATE "C" AND w.app = g.app COLLATE "C"
        AND w.received_ms < g.received_ms
      GROUP BY w.id, w.attempts;
  END $body$;
`;
