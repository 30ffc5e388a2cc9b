import pg from "pg";
import type { Client, PoolClient, PoolConfig } from "pg";
import type { Clock } from "../clock.ts";
import { toPostgresFailure } from "./postgres-error.ts";
import type { PostgresFailure } from "./postgres-error.ts";
import { tlsOptions } from "./postgres-url.ts";
import type { PostgresServer } from "./postgres-url.ts";
import type { StoreError } from "./store.ts";

/** Ends of all waits for the server. Milliseconds. */
export interface PostgresTimeouts {
  readonly connectMs: number;
  /** The server gives up on a statement. */
  readonly statementMs: number;
  /** The server gives up on a lock. */
  readonly lockMs: number;
  /** We give up on an answer, and on the connection. */
  readonly answerMs: number;
}

/** One row as declared by the statement that asks for it. */
export type Rows<Row> = readonly Row[];

/** Connections to the server, at most `maxConnections`. */
export interface PostgresPool {
  /** Runs one statement, again where the server says that nothing was done. Rejects with StoreError. */
  run<Row extends object>(doing: string, sql: string, values?: readonly unknown[]): Promise<Rows<Row>>;
  /** Resolves when no connection is left. */
  close(): Promise<void>;
}

/** Tries of a statement that lost to another in a deadlock or a conflict. */
const maxTries = 3;
const idleMs = 30_000;
const closeWithinMs = 2000;

/** The driver's configuration, for a pool and for a single client alike. */
export function clientConfig(server: PostgresServer, timeouts: PostgresTimeouts): PoolConfig {
  return {
    host: server.host,
    port: server.port,
    database: server.database,
    ...(server.user === undefined ? {} : { user: server.user }),
    ...(server.password === undefined ? {} : { password: server.password }),
    ...(server.options === undefined ? {} : { options: server.options }),
    ssl: tlsOptions(server.tls),
    application_name: server.applicationName,
    connectionTimeoutMillis: timeouts.connectMs,
    query_timeout: timeouts.answerMs,
    // With Node's ten probes a second apart, a half-open connection is noticed after 15 s (SP06).
    keepAlive: true,
    keepAliveInitialDelayMillis: 5000,
  };
}

/**
 * What every session is set to before it is used: commits are flushed (P1), each statement sees what was committed
 * before it, and nothing waits without an end. A stronger synchronous_commit is left as it is.
 */
export async function prepareSession(client: Client, timeouts: PostgresTimeouts): Promise<void> {
  await client.query(
    `SELECT set_config('synchronous_commit',
              CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
            set_config('default_transaction_isolation', 'read committed', false),
            set_config('statement_timeout', $1, false),
            set_config('lock_timeout', $2, false),
            set_config('idle_in_transaction_session_timeout', $1, false)`,
    [String(timeouts.statementMs), String(timeouts.lockMs)],
  );
}

/** Ends a connection at once, whatever it is doing. */
export function destroyClient(client: Client): void {
  client.connection.stream.destroy();
}

/** Opens no connection yet. `onFailure` hears of all that went wrong, also on a connection that nobody was using. */
export function createPostgresPool(
  server: PostgresServer,
  options: {
    readonly clock: Clock;
    readonly timeouts: PostgresTimeouts;
    readonly maxConnections: number;
    readonly onFailure: (failure: PostgresFailure) => void;
    readonly onIdleLoss: () => void;
  },
): PostgresPool {
  const { clock, timeouts } = options;
  const clients = new Set<Client>();
  const pool = new pg.Pool({
    ...clientConfig(server, timeouts),
    max: options.maxConnections,
    idleTimeoutMillis: idleMs,
    verify: (client, done) => {
      prepareSession(client, timeouts).then(
        () => done(),
        (error: unknown) => done(error as Error),
      );
    },
  });
  pool.on("error", () => options.onIdleLoss());
  pool.on("connect", (client) => {
    clients.add(client);
    client.once("end", () => clients.delete(client));
    // While it is in use the pool does not listen; the query that it was used for fails by itself.
    client.on("error", () => undefined);
  });

  const once = async <Row extends object>(sql: string, values: readonly unknown[]): Promise<Rows<Row>> => {
    const client: PoolClient = await pool.connect();
    try {
      const { rows } = await client.query<Row>(sql, [...values]);
      client.release();
      return rows;
    } catch (error) {
      const { spoilsConnection } = toPostgresFailure(error, "");
      if (spoilsConnection) destroyClient(client);
      client.release(spoilsConnection);
      throw error;
    }
  };

  return {
    async run<Row extends object>(doing: string, sql: string, values: readonly unknown[] = []) {
      const giveUpAt = clock.monotonic() + timeouts.answerMs;
      for (let tries = 1; ; tries += 1) {
        try {
          return await once<Row>(sql, values);
        } catch (error) {
          const failure = toPostgresFailure(error, doing);
          if (failure.again && tries < maxTries && clock.monotonic() < giveUpAt) continue;
          options.onFailure(failure);
          throw failure.error;
        }
      }
    },
    async close() {
      const ended = pool.end();
      const limit = new AbortController();
      await Promise.race([ended, clock.sleep(closeWithinMs, limit.signal)]);
      limit.abort();
      await letGo(clients, clock);
    },
  };
}

/** Waits for the goodbyes, then hangs up. */
async function letGo(clients: ReadonlySet<Client>, clock: Clock): Promise<void> {
  const limit = new AbortController();
  const goodbyes = Promise.all(
    [...clients].map((client) => new Promise<void>((resolve) => client.once("end", () => resolve()))),
  );
  await Promise.race([goodbyes, clock.sleep(500, limit.signal)]);
  limit.abort();
  for (const client of clients) destroyClient(client);
}

/** For what fails outside of the pool. */
export function storeErrorOf(thrown: unknown, doing: string): StoreError {
  return toPostgresFailure(thrown, doing).error;
}
