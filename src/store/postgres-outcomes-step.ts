// The PostgreSQL dialect of a step in migrations.ts. Like those: never changed once released (see postgres-steps.ts).

/** What became of pushes lately. Nothing depends on it, so a crash of the server may lose it: no write-ahead log. */
export const outcomesStep = `
  CREATE UNLOGGED TABLE signalbox_outcomes (
    entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    push TEXT COLLATE "C" NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    app TEXT NOT NULL,
    pushkin TEXT NOT NULL,
    device BYTEA NOT NULL CHECK (octet_length(device) = 32),
    event BYTEA CHECK (octet_length(event) = 32),
    request TEXT COLLATE "C",
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    answer TEXT,
    attempts INTEGER NOT NULL,
    expires_ms BIGINT NOT NULL
  );
  CREATE INDEX signalbox_outcomes_by_device ON signalbox_outcomes (device);
  CREATE INDEX signalbox_outcomes_by_event ON signalbox_outcomes (event) WHERE event IS NOT NULL;
  CREATE INDEX signalbox_outcomes_by_request ON signalbox_outcomes (request) WHERE request IS NOT NULL;
`;
