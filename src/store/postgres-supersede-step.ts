// The PostgreSQL dialect of a step in migrations.ts. Like those: never changed once released (see postgres-steps.ts).

/**
 * Older pushes of a device and slot of which a newer one has been handed over. The usual case, that none waits, is one
 * look into the index and takes no lock.
 */
export const supersedeStep = `
  CREATE FUNCTION signalbox_outbox_supersede(apps TEXT[], devices BYTEA[], slots TEXT[], received BIGINT[])
    RETURNS VOID LANGUAGE plpgsql AS $body$
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
    UPDATE signalbox_outbox o SET expires_at = least(o.expires_at, now())
      WHERE o.id = ANY (older) AND o.owner IS NOT NULL;
    WITH gone AS (
      DELETE FROM signalbox_outbox o WHERE o.id = ANY (older) AND o.owner IS NULL RETURNING o.app, o.bytes
    )
    UPDATE signalbox_outbox_apps a SET dropped = a.dropped + s.entries, pending = a.pending - s.entries,
        pending_bytes = a.pending_bytes - s.bytes
      FROM (SELECT gone.app, count(*) AS entries, sum(gone.bytes) AS bytes FROM gone GROUP BY gone.app) s
      WHERE a.app = s.app;
  END $body$;
`;
