import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Clock } from "../clock.ts";
import { bloomMemory, createBloom } from "./bloom.ts";
import { checkDigests, notADigest } from "./digest.ts";
import { startWriter, takeSeat } from "./sqlite-client.ts";
import type { Client, ClientOptions, ClientSeat } from "./sqlite-client.ts";
import { sqliteDevices } from "./sqlite-devices.ts";
import { sqliteOutbox } from "./sqlite-outbox.ts";
import { createSteadyClock } from "./steady-clock.ts";
import type { SteadyClock, SteadyReading } from "./steady-clock.ts";
import { sqliteOutcomes } from "./sqlite-outcomes.ts";
import { StoreError } from "./store.ts";
import type { Dedupe, KnownApps, Rejections, Store } from "./store.ts";

/** How a SQLite store is opened. The bounds are for tests; absent = the default. */
export interface SqliteOptions {
  readonly clock: Clock;
  readonly onFailure: (error: StoreError) => void;
  readonly onHealth: (trouble: StoreError | undefined) => void;
  readonly deadlineMs?: number;
  readonly busyTimeoutMs?: number;
  readonly maxWaiting?: number;
  readonly maxWalBytes?: number;
  readonly maxPages?: number;
}

/** Rows deleted in one commit when pruning. */
const pruneRows = 1000;

/** A store that other threads of this process can share. */
export interface SqliteStore extends Store {
  /** What one other thread needs for `takeSqliteSeat`; its `port` is to be transferred. */
  seat(): SqliteSeat;
}

/** A place at the store's writer thread. */
export interface SqliteSeat extends ClientSeat, Filters {
  /** The store's clock and when it was read, by the process's own time: all threads count leases alike. */
  readonly steady: SteadyReading;
  readonly readAtMs: number;
}

/** What surely is not in the file; the same memory for every thread. */
interface Filters {
  readonly rejectionFilter: SharedArrayBuffer;
  readonly dedupeFilter: SharedArrayBuffer;
  readonly outboxFilter: SharedArrayBuffer;
}

/**
 * The store in one file. Bloom filters answer "surely unknown" without asking the thread, which is the answer on
 * nearly every push.
 * @throws StoreError (as a rejection) with the reason why the file cannot be the store
 */
export async function openSqliteStore(file: string, options: SqliteOptions): Promise<SqliteStore> {
  const filters: Filters = {
    rejectionFilter: bloomMemory(),
    dedupeFilter: bloomMemory(),
    outboxFilter: bloomMemory(),
  };
  const client = await startWriter(
    {
      file: locate(file),
      busyTimeoutMs: options.busyTimeoutMs ?? 750,
      maxWalBytes: options.maxWalBytes ?? 64 * 2 ** 20,
      ...(options.maxPages === undefined ? {} : { maxPages: options.maxPages }),
      ...filters,
    },
    clientOptions(options),
  );
  const steady = createSteadyClock(options.clock);
  return {
    ...storeOver(client, filters, options.clock, steady),
    seat: () => ({
      ...client.seat(),
      ...filters,
      steady: { nowMs: steady.now(), unadjustedMs: steady.unadjusted() },
      readAtMs: processTimeMs(),
    }),
  };
}

/** The same store, from a thread that was given the seat. Closing it leaves the store open for the others. */
export function takeSqliteSeat(seat: SqliteSeat, options: SqliteOptions): Store {
  const client = takeSeat(seat, clientOptions(options));
  const passedMs = processTimeMs() - seat.readAtMs;
  const steady = createSteadyClock(options.clock, {
    nowMs: seat.steady.nowMs + passedMs,
    unadjustedMs: seat.steady.unadjustedMs + passedMs,
  });
  return storeOver(client, seat, options.clock, steady);
}

/** Monotonic, and the same in every thread, which `performance.now()` is not. */
function processTimeMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function clientOptions({ clock, deadlineMs, maxWaiting, onFailure, onHealth }: SqliteOptions): ClientOptions {
  return { clock, deadlineMs: deadlineMs ?? 2000, maxWaiting: maxWaiting ?? 10_000, onFailure, onHealth };
}

function storeOver(client: Client, filters: Filters, clock: Clock, steady: SteadyClock): Store {
  const { rejectionFilter, dedupeFilter, outboxFilter } = filters;
  return {
    durable: true,
    installationKey: client.installationKey,
    rejections: sqliteRejections(client, rejectionFilter),
    dedupe: sqliteDedupe(client, dedupeFilter),
    knownApps: sqliteKnownApps(client),
    outbox: sqliteOutbox(client, { clock, filter: outboxFilter, steady }),
    outcomes: sqliteOutcomes(client),
    devices: sqliteDevices(client),
    async prune(nowMs) {
      for (let total = 0; ;) {
        const deleted = await client.ask("pruneSome", { nowMs, maxRows: pruneRows });
        total += deleted;
        if (deleted === 0) return total;
      }
    },
    close: () => client.close(),
  };
}

/** The file's one true name: two names of one file must meet the same lock. */
function locate(file: string): string {
  const path = resolve(file);
  if (existsSync(path)) {
    if (!statSync(path).isFile()) throw new StoreError("unavailable", `${path} is not a file`);
    return realpathSync(path);
  }
  const folder = dirname(path);
  if (!existsSync(folder))
    throw new StoreError("unavailable", `cannot create ${path}: its directory does not exist`);
  return join(realpathSync(folder), basename(path));
}

function sqliteRejections(client: Client, memory: SharedArrayBuffer): Rejections {
  const filter = createBloom(memory);
  return {
    find(app, device, nowMs) {
      const problem = notADigest(device);
      if (problem !== undefined) return Promise.reject(problem);
      if (!client.closed && !filter.mayHave(device)) return undefined;
      return client.ask("findRejection", { app, device, nowMs });
    },
    async put(app, device, verdict) {
      checkDigests(device);
      filter.add(device);
      await client.ask("putRejection", { app, device, verdict });
    },
    async remove(app, device) {
      checkDigests(device);
      if (!client.closed && !filter.mayHave(device)) return;
      await client.ask("removeRejection", { app, device });
    },
    count: (nowMs) => client.ask("countRejections", { nowMs }),
  };
}

function sqliteDedupe(client: Client, memory: SharedArrayBuffer): Dedupe {
  const filter = createBloom(memory);
  return {
    has(key, nowMs) {
      const problem = notADigest(key);
      if (problem !== undefined) return Promise.reject(problem);
      if (!client.closed && !filter.mayHave(key)) return false;
      return client.ask("hasDelivered", { key, nowMs });
    },
    async put(keys, keepUntilMs) {
      checkDigests(...keys);
      for (const key of keys) filter.add(key);
      await client.ask("putDelivered", { keys, keepUntilMs });
    },
  };
}

function sqliteKnownApps(client: Client): KnownApps {
  return {
    all: () => client.ask("allKnownApps", {}),
    update: (app, change) =>
      client.ask("updateKnownApp", {
        app,
        lastConfiguredAtMs: change.lastConfiguredAtMs ?? null,
        served: change.served ?? false,
        succeededWith: change.succeededWith ?? null,
        guardTrippedAtMs: change.guardTrippedAtMs,
      }),
    forget: (configuredBeforeMs) => client.ask("forgetKnownApps", { configuredBeforeMs }),
  };
}
