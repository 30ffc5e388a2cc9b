// The PostgreSQL dialect of the steps in migrations.ts. Like those: never changed once released. A function that must
// change gets a new name in a new step, so that a replica of the version before keeps the one that it calls (SP12).

/** Dead pushkeys, delivered pushes, known apps. */
export const rememberedStep = `
  CREATE TABLE signalbox_meta (
    name TEXT PRIMARY KEY,
    value BYTEA NOT NULL
  );
  CREATE TABLE signalbox_rejections (
    device BYTEA NOT NULL CHECK (octet_length(device) = 32),
    app TEXT COLLATE "C" NOT NULL,
    since_ms BIGINT NOT NULL,
    keep_until_ms BIGINT NOT NULL,
    PRIMARY KEY (device, app)
  );
  CREATE INDEX signalbox_rejections_by_end ON signalbox_rejections (keep_until_ms, app);
  CREATE TABLE signalbox_delivered (
    dedupe_key BYTEA PRIMARY KEY CHECK (octet_length(dedupe_key) = 32),
    keep_until_ms BIGINT NOT NULL
  );
  CREATE INDEX signalbox_delivered_by_end ON signalbox_delivered (keep_until_ms);
  CREATE TABLE signalbox_known_apps (
    app TEXT COLLATE "C" PRIMARY KEY,
    last_configured_at_ms BIGINT NOT NULL,
    served BOOLEAN NOT NULL,
    succeeded_with TEXT,
    guard_tripped_at_ms BIGINT
  );
`;

/**
 * Promised pushes. What changes counts is a function: one statement that the server finishes or undoes by itself, so
 * that a replica which stops in the middle of it holds up no other. Whoever changes counts locks the apps' rows first,
 * in the order of their names, then entries in the order of their ids: so nobody waits in a circle. All times are the
 * server's.
 */
export const promisedStep = `
  CREATE SEQUENCE signalbox_outbox_tokens;
  CREATE TABLE signalbox_outbox_apps (
    app TEXT COLLATE "C" PRIMARY KEY,
    accepted BIGINT NOT NULL DEFAULT 0,
    handed BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    expired BIGINT NOT NULL DEFAULT 0,
    dropped BIGINT NOT NULL DEFAULT 0,
    pending BIGINT NOT NULL DEFAULT 0 CHECK (pending >= 0),
    pending_bytes BIGINT NOT NULL DEFAULT 0 CHECK (pending_bytes >= 0),
    CHECK (accepted = handed + rejected + expired + dropped + pending)
  ) WITH (fillfactor = 50);
  CREATE TABLE signalbox_outbox (
    id TEXT COLLATE "C" PRIMARY KEY,
    app TEXT COLLATE "C" NOT NULL,
    device BYTEA NOT NULL CHECK (octet_length(device) = 32),
    dedupe_key BYTEA CHECK (octet_length(dedupe_key) = 32),
    slot TEXT COLLATE "C",
    attempts BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    queued_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    owner TEXT,
    token BIGINT NOT NULL,
    lease_until TIMESTAMPTZ,
    crashes INTEGER NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    CHECK ((owner IS NULL) = (lease_until IS NULL))
  );
  CREATE UNIQUE INDEX signalbox_outbox_by_key ON signalbox_outbox (dedupe_key) WHERE dedupe_key IS NOT NULL;
  CREATE INDEX signalbox_outbox_by_slot ON signalbox_outbox (device, slot, app) WHERE slot IS NOT NULL;
  CREATE INDEX signalbox_outbox_by_age ON signalbox_outbox (app, received_ms)
    WHERE owner IS NULL AND crashes = 0;
  CREATE INDEX signalbox_outbox_by_due ON signalbox_outbox (app, due_at) WHERE owner IS NULL;
  CREATE INDEX signalbox_outbox_by_expiry ON signalbox_outbox (expires_at);
  CREATE INDEX signalbox_outbox_suspects ON signalbox_outbox (app, received_ms) WHERE owner IS NULL AND crashes > 0;
  CREATE INDEX signalbox_outbox_held ON signalbox_outbox (lease_until) WHERE owner IS NOT NULL;

  CREATE FUNCTION signalbox_lock_apps(names TEXT[]) RETURNS VOID LANGUAGE plpgsql AS $body$
  BEGIN
    PERFORM 1 FROM signalbox_outbox_apps a WHERE a.app = ANY (names) ORDER BY a.app FOR UPDATE;
  END $body$;

  CREATE FUNCTION signalbox_outbox_newer(of_device BYTEA, of_slot TEXT, of_app TEXT, than_ms BIGINT)
    RETURNS BOOLEAN LANGUAGE sql AS $body$
    SELECT EXISTS (
      SELECT FROM signalbox_outbox o WHERE o.device = of_device AND o.slot = of_slot COLLATE "C"
        AND o.app = of_app COLLATE "C" AND o.received_ms > than_ms
    )
  $body$;

  -- One result for each entry, in their order: its token, 0 = its key or id waits already, -1 = refused by a cap.
  CREATE FUNCTION signalbox_outbox_put(
    ids TEXT[], apps TEXT[], devices BYTEA[], keys BYTEA[], slots TEXT[], payloads BYTEA[], tries BIGINT[],
    received BIGINT[], due_in_ms FLOAT8[], expires_in_ms FLOAT8[], owners TEXT[], lease_ms FLOAT8[],
    max_rows BIGINT[], max_bytes BIGINT[], max_app_rows BIGINT[], max_app_bytes BIGINT[]
  ) RETURNS SETOF BIGINT LANGUAGE plpgsql AS $body$
  DECLARE
    e RECORD;
    replaced RECORD;
    total_rows BIGINT;
    total_bytes BIGINT;
    -- The apps in the order of their names, and in the same places what waits of each and what has changed.
    names TEXT[];
    app_rows BIGINT[];
    app_bytes BIGINT[];
    came BIGINT[];
    dropped_rows BIGINT[];
    added_bytes BIGINT[];
    k INTEGER;
    freed_rows BIGINT;
    freed_bytes BIGINT;
    new_bytes BIGINT;
    new_token BIGINT;
    moment TIMESTAMPTZ;
    ms CONSTANT INTERVAL := interval '1 millisecond';
  BEGIN
    INSERT INTO signalbox_outbox_apps (app)
      SELECT DISTINCT g.app COLLATE "C" FROM unnest(apps) AS g (app)
      WHERE NOT EXISTS (SELECT FROM signalbox_outbox_apps a WHERE a.app = g.app COLLATE "C")
      ORDER BY 1 ON CONFLICT DO NOTHING;
    PERFORM signalbox_lock_apps(apps);
    SELECT sum(a.pending), sum(a.pending_bytes) INTO total_rows, total_bytes FROM signalbox_outbox_apps a;
    SELECT array_agg(a.app), array_agg(a.pending), array_agg(a.pending_bytes) INTO names, app_rows, app_bytes
      FROM (SELECT * FROM signalbox_outbox_apps b WHERE b.app = ANY (apps) ORDER BY b.app) a;
    came := array_fill(0::BIGINT, ARRAY[cardinality(names)]);
    dropped_rows := came;
    added_bytes := came;
    moment := clock_timestamp();
    FOR e IN
      SELECT * FROM unnest(ids, apps, devices, keys, slots, payloads, tries, received, due_in_ms, expires_in_ms,
                           owners, lease_ms, max_rows, max_bytes, max_app_rows, max_app_bytes)
        WITH ORDINALITY AS g (id, app, device, dedupe_key, slot, payload, attempts, received_ms, due_in, expires_in,
                              owner, lease, max_rows, max_bytes, max_app_rows, max_app_bytes, n)
      ORDER BY g.n
    LOOP
      IF EXISTS (SELECT FROM signalbox_outbox o WHERE o.id = e.id COLLATE "C")
        OR (e.dedupe_key IS NOT NULL AND EXISTS (SELECT FROM signalbox_outbox o WHERE o.dedupe_key = e.dedupe_key))
      THEN
        RETURN NEXT 0;
        CONTINUE;
      END IF;
      freed_rows := 0; freed_bytes := 0;
      IF e.slot IS NOT NULL THEN
        -- What comes late must not overwrite what is newer (P8): the newer one is the promise.
        IF signalbox_outbox_newer(e.device, e.slot, e.app, e.received_ms) THEN
          RETURN NEXT 0;
          CONTINUE;
        END IF;
        SELECT coalesce(array_agg(w.id), '{}') AS ids, count(*) AS entries, coalesce(sum(w.bytes), 0) AS bytes
          INTO replaced FROM (
            SELECT o.id, o.bytes FROM signalbox_outbox o
            WHERE o.device = e.device AND o.slot = e.slot COLLATE "C" AND o.app = e.app COLLATE "C" AND o.owner IS NULL
            FOR UPDATE SKIP LOCKED
          ) w;
        freed_rows := replaced.entries; freed_bytes := replaced.bytes;
      END IF;
      k := array_position(names, e.app COLLATE "C");
      new_bytes := octet_length(e.payload);
      IF total_rows - freed_rows + 1 > e.max_rows OR total_bytes - freed_bytes + new_bytes > e.max_bytes
        OR app_rows[k] - freed_rows + 1 > e.max_app_rows OR app_bytes[k] - freed_bytes + new_bytes > e.max_app_bytes
      THEN
        RETURN NEXT -1;
        CONTINUE;
      END IF;
      IF freed_rows > 0 THEN
        DELETE FROM signalbox_outbox o WHERE o.id = ANY (replaced.ids);
      END IF;
      new_token := nextval('signalbox_outbox_tokens');
      -- A key that another app's name put at this moment is waited for, and fails the statement: it is tried again.
      INSERT INTO signalbox_outbox
          (id, app, device, dedupe_key, slot, attempts, received_ms, queued_at, due_at, expires_at, owner, token,
           lease_until, bytes, payload)
        VALUES (e.id, e.app, e.device, e.dedupe_key, e.slot, e.attempts, e.received_ms, moment,
                moment + e.due_in * ms, moment + e.expires_in * ms, e.owner, new_token,
                CASE WHEN e.owner IS NOT NULL THEN moment + e.lease * ms END, new_bytes, e.payload);
      came[k] := came[k] + 1;
      dropped_rows[k] := dropped_rows[k] + freed_rows;
      added_bytes[k] := added_bytes[k] + new_bytes - freed_bytes;
      total_rows := total_rows + 1 - freed_rows;
      total_bytes := total_bytes + new_bytes - freed_bytes;
      app_rows[k] := app_rows[k] + 1 - freed_rows;
      app_bytes[k] := app_bytes[k] + new_bytes - freed_bytes;
      RETURN NEXT new_token;
    END LOOP;
    UPDATE signalbox_outbox_apps a SET accepted = a.accepted + u.came, dropped = a.dropped + u.dropped,
        pending = a.pending + u.came - u.dropped, pending_bytes = a.pending_bytes + u.bytes
      FROM unnest(names, came, dropped_rows, added_bytes) AS u (app, came, dropped, bytes)
      WHERE a.app = u.app COLLATE "C" AND u.came > 0;
  END $body$;

  -- The places in the given lists of those that were ended.
  CREATE FUNCTION signalbox_outbox_settle(ids TEXT[], tokens BIGINT[], states TEXT[])
    RETURNS SETOF BIGINT LANGUAGE plpgsql AS $body$
  BEGIN
    PERFORM signalbox_lock_apps(ARRAY(SELECT DISTINCT o.app FROM signalbox_outbox o WHERE o.id = ANY (ids)));
    PERFORM 1 FROM signalbox_outbox o WHERE o.id = ANY (ids) ORDER BY o.id FOR UPDATE;
    RETURN QUERY
      WITH gone AS (
        DELETE FROM signalbox_outbox o
          USING (
            SELECT DISTINCT ON (f.id, f.token) f.*
            FROM unnest(ids, tokens, states) WITH ORDINALITY AS f (id, token, state, n) ORDER BY f.id, f.token, f.n
          ) g
          WHERE o.id = g.id COLLATE "C" AND o.token = g.token AND o.owner IS NOT NULL
          RETURNING g.n, o.app, o.bytes, g.state
      ), counted AS (
        UPDATE signalbox_outbox_apps a SET
            handed = a.handed + s.handed, rejected = a.rejected + s.rejected, expired = a.expired + s.expired,
            dropped = a.dropped + s.dropped, pending = a.pending - s.entries,
            pending_bytes = a.pending_bytes - s.bytes
          FROM (
            SELECT gone.app, count(*) AS entries, sum(gone.bytes) AS bytes,
                   count(*) FILTER (WHERE gone.state = 'handed') AS handed,
                   count(*) FILTER (WHERE gone.state = 'rejected') AS rejected,
                   count(*) FILTER (WHERE gone.state = 'expired') AS expired,
                   count(*) FILTER (WHERE gone.state = 'dropped') AS dropped
            FROM gone GROUP BY gone.app
          ) s WHERE a.app = s.app
      )
      SELECT gone.n FROM gone;
  END $body$;

  -- Drops, of entries that were given back, those whose slot has a newer one by now: they must not go after it (P8).
  CREATE FUNCTION signalbox_outbox_drop_superseded(ids TEXT[]) RETURNS VOID LANGUAGE plpgsql AS $body$
  BEGIN
    WITH gone AS (
      DELETE FROM signalbox_outbox o
        WHERE o.id = ANY (ids) AND o.slot IS NOT NULL AND o.owner IS NULL
          AND signalbox_outbox_newer(o.device, o.slot, o.app, o.received_ms)
        RETURNING o.app, o.bytes
    )
    UPDATE signalbox_outbox_apps a SET dropped = a.dropped + s.entries, pending = a.pending - s.entries,
        pending_bytes = a.pending_bytes - s.bytes
      FROM (SELECT gone.app, count(*) AS entries, sum(gone.bytes) AS bytes FROM gone GROUP BY gone.app) s
      WHERE a.app = s.app;
  END $body$;

  -- The places in the given lists of those that were given back.
  CREATE FUNCTION signalbox_outbox_postpone(ids TEXT[], tokens BIGINT[], tries BIGINT[], due_in_ms FLOAT8[])
    RETURNS SETOF BIGINT LANGUAGE plpgsql AS $body$
  BEGIN
    PERFORM signalbox_lock_apps(
      ARRAY(SELECT DISTINCT o.app FROM signalbox_outbox o WHERE o.id = ANY (ids) AND o.slot IS NOT NULL)
    );
    PERFORM 1 FROM signalbox_outbox o WHERE o.id = ANY (ids) ORDER BY o.id FOR UPDATE;
    RETURN QUERY
      UPDATE signalbox_outbox o SET owner = NULL, lease_until = NULL, attempts = g.attempts, crashes = 0,
          queued_at = clock_timestamp(), due_at = clock_timestamp() + g.due_in * interval '1 millisecond'
        FROM (
          SELECT DISTINCT ON (f.id, f.token) f.*
          FROM unnest(ids, tokens, tries, due_in_ms) WITH ORDINALITY AS f (id, token, attempts, due_in, n)
          ORDER BY f.id, f.token, f.n
        ) g
        WHERE o.id = g.id COLLATE "C" AND o.token = g.token AND o.owner IS NOT NULL
        RETURNING g.n;
    PERFORM signalbox_outbox_drop_superseded(ids);
  END $body$;

  -- How many leases had run out and are nobody's now.
  CREATE FUNCTION signalbox_outbox_release() RETURNS BIGINT LANGUAGE plpgsql AS $body$
  DECLARE
    released TEXT[];
  BEGIN
    PERFORM signalbox_lock_apps(ARRAY(
      SELECT DISTINCT o.app FROM signalbox_outbox o WHERE o.owner IS NOT NULL AND o.lease_until <= now()
    ));
    WITH ended AS (
      UPDATE signalbox_outbox o SET owner = NULL, lease_until = NULL, crashes = o.crashes + 1
      WHERE o.id IN (
        SELECT w.id FROM signalbox_outbox w WHERE w.owner IS NOT NULL AND w.lease_until <= now()
        FOR UPDATE SKIP LOCKED
      ) RETURNING o.id
    ) SELECT coalesce(array_agg(ended.id), '{}') INTO released FROM ended;
    PERFORM signalbox_outbox_drop_superseded(released);
    RETURN cardinality(released);
  END $body$;

  CREATE FUNCTION signalbox_outbox_expire(max_entries BIGINT)
    RETURNS TABLE (expired_app TEXT, entries BIGINT) LANGUAGE plpgsql AS $body$
  DECLARE
    victims TEXT[];
  BEGIN
    victims := ARRAY(
      SELECT o.id FROM signalbox_outbox o
      WHERE o.expires_at <= now() AND (o.owner IS NULL OR o.lease_until <= now())
      ORDER BY o.expires_at LIMIT max_entries
    );
    IF cardinality(victims) = 0 THEN RETURN; END IF;
    PERFORM signalbox_lock_apps(ARRAY(SELECT DISTINCT o.app FROM signalbox_outbox o WHERE o.id = ANY (victims)));
    RETURN QUERY
      WITH gone AS (
        DELETE FROM signalbox_outbox o WHERE o.id IN (
          SELECT v.id FROM signalbox_outbox v
          WHERE v.id = ANY (victims) AND (v.owner IS NULL OR v.lease_until <= now())
          FOR UPDATE SKIP LOCKED
        ) RETURNING o.app, o.bytes
      ), summed AS (
        SELECT gone.app, count(*) AS entries, sum(gone.bytes) AS bytes FROM gone GROUP BY gone.app
      ), counted AS (
        UPDATE signalbox_outbox_apps a SET expired = a.expired + s.entries, pending = a.pending - s.entries,
            pending_bytes = a.pending_bytes - s.bytes
          FROM summed s WHERE a.app = s.app
      )
      SELECT summed.app, summed.entries FROM summed;
  END $body$;
`;
