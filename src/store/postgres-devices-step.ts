// The PostgreSQL dialect of a step in migrations.ts. Like those: never changed once released (see postgres-steps.ts).

/**
 * Registered devices; `pushkey` is the token itself, which is what is sent to. A report is a function: one statement
 * that the server finishes or undoes by itself. It locks the selector's and the tokens' names first, in one order, so
 * that two reports of one token come one after the other and the second one takes it from the first.
 */
export const devicesStep = `
  CREATE TABLE signalbox_devices (
    entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    selector TEXT COLLATE "C",
    kind TEXT NOT NULL CHECK (kind IN ('messages', 'calls', 'registry')),
    app_id TEXT NOT NULL,
    pushkey TEXT NOT NULL,
    device BYTEA NOT NULL CHECK (octet_length(device) = 32),
    sandbox BOOLEAN,
    application_id TEXT,
    apns_topic TEXT,
    user_agent TEXT,
    first_seen_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    CHECK ((kind = 'registry') = (selector IS NULL))
  );
  CREATE UNIQUE INDEX signalbox_devices_by_selector ON signalbox_devices (selector, owner, kind)
    WHERE selector IS NOT NULL;
  CREATE UNIQUE INDEX signalbox_devices_registered ON signalbox_devices (owner, device) WHERE selector IS NULL;
  CREATE INDEX signalbox_devices_by_owner ON signalbox_devices (owner);
  CREATE INDEX signalbox_devices_by_device ON signalbox_devices (device);

  -- False where the selector is another owner's and may not be taken.
  CREATE FUNCTION signalbox_devices_report(
    for_owner TEXT, for_selector TEXT, agent TEXT, now_ms BIGINT, may_take BOOLEAN, max_per_owner BIGINT,
    kinds TEXT[], app_ids TEXT[], pushkeys TEXT[], digests BYTEA[], sandboxes BOOLEAN[], application_ids TEXT[],
    topics TEXT[]
  ) RETURNS BOOLEAN LANGUAGE plpgsql AS $body$
  DECLARE
    name BIGINT;
    given RECORD;
  BEGIN
    FOR name IN
      SELECT DISTINCT ('x' || substr(encode(sha256(n.bytes), 'hex'), 1, 16))::bit(64)::bigint AS key
      FROM (
        SELECT unnest(digests) AS bytes
        UNION ALL SELECT convert_to('selector ' || for_selector, 'UTF8') WHERE for_selector IS NOT NULL
        UNION ALL SELECT convert_to('owner ' || for_owner, 'UTF8')
      ) n ORDER BY key
    LOOP
      PERFORM pg_advisory_xact_lock(name);
    END LOOP;
    IF for_selector IS NOT NULL THEN
      IF NOT may_take AND EXISTS (
        SELECT 1 FROM signalbox_devices d WHERE d.selector = for_selector AND d.owner <> for_owner
      ) THEN RETURN false; END IF;
      DELETE FROM signalbox_devices d WHERE d.selector = for_selector AND d.owner <> for_owner;
    END IF;
    FOR given IN
      SELECT * FROM unnest(kinds, app_ids, pushkeys, digests, sandboxes, application_ids, topics)
        AS g (kind, app_id, pushkey, device, sandbox, application_id, topic)
    LOOP
      DELETE FROM signalbox_devices d WHERE d.device = given.device AND d.owner <> for_owner;
      UPDATE signalbox_devices d SET app_id = given.app_id, pushkey = given.pushkey, device = given.device,
          sandbox = given.sandbox, application_id = given.application_id, apns_topic = given.topic,
          user_agent = agent, last_seen_ms = now_ms
        WHERE d.owner = for_owner AND d.kind = given.kind AND d.selector IS NOT DISTINCT FROM for_selector
          AND (for_selector IS NOT NULL OR d.device = given.device);
      IF NOT FOUND THEN
        INSERT INTO signalbox_devices (owner, selector, kind, app_id, pushkey, device, sandbox, application_id,
            apns_topic, user_agent, first_seen_ms, last_seen_ms)
          VALUES (for_owner, for_selector, given.kind, given.app_id, given.pushkey, given.device, given.sandbox,
            given.application_id, given.topic, agent, now_ms, now_ms);
      END IF;
    END LOOP;
    DELETE FROM signalbox_devices d WHERE d.entry IN (
      SELECT e.entry FROM signalbox_devices e WHERE e.owner = for_owner
      ORDER BY e.last_seen_ms DESC, e.entry DESC OFFSET max_per_owner
    );
    RETURN true;
  END $body$;
`;
