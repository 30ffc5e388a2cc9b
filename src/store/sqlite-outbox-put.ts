import type { SQLOutputValue } from "node:sqlite";
import type { Statements } from "./sqlite-connection.ts";
import { blob } from "./sqlite-operation.ts";
import { CountChanges, Occupancy } from "./sqlite-outbox-counts.ts";
import type { AppRow } from "./sqlite-outbox-counts.ts";
import { tokenOf } from "./sqlite-outbox-token.ts";
import type { Digest, Lease, OutboxCaps, OutboxEntry, PutResult, SupersededEntry } from "./store.ts";

/** What the writer thread needs to commit entries. Times by the store's clocks, milliseconds since 1970. */
export interface PutArgs {
  readonly entries: readonly OutboxEntry[];
  readonly caps: OutboxCaps;
  readonly lease?: Lease;
  readonly nowMs: number;
  readonly leaseNowMs: number;
}

interface Place {
  readonly device: Buffer;
  readonly slot: string;
  readonly appNumber: number;
}

/** Puts entries, each on its own. Runs inside a transaction. */
export function putEntries(db: Statements, args: PutArgs): readonly PutResult[] {
  const occupancy = new Occupancy(db);
  const changes = new CountChanges(db);
  const results = args.entries.map((entry) => putEntry(db, entry, args, occupancy, changes));
  changes.write();
  return results;
}

function putEntry(
  db: Statements,
  entry: OutboxEntry,
  { caps, lease, nowMs, leaseNowMs }: PutArgs,
  occupancy: Occupancy,
  changes: CountChanges,
): PutResult {
  const app = occupancy.of(entry.app);
  const device = blob(entry.device);
  let replaced: readonly Replaced[] = [];
  if (entry.slot !== undefined) {
    if (keyWaits(db, entry.key)) return { kind: "already-held" };
    const place = { device, slot: entry.slot, appNumber: app.appNumber };
    // What comes late must not overwrite what is newer (P8): the newer one is the promise.
    if (newerInSlot(db, place, entry.receivedAtMs)) return { kind: "superseded" };
    replaced = waitingInSlot(db, place);
  }
  const bytes = Buffer.byteLength(entry.payload);
  const freed = replaced.reduce((sum, each) => sum + each.bytes, 0);
  if (!occupancy.allows(app, 1 - replaced.length, bytes - freed, caps)) {
    return { kind: keyWaits(db, entry.key) ? "already-held" : "refused" };
  }
  for (const each of replaced) {
    db.run("DELETE FROM outbox WHERE entry = ?", each.entry);
    changes.end(app.appNumber, "dropped", each.bytes);
  }
  const stored = insert(db, entry, app, {
    device,
    bytes,
    nowMs,
    ...(lease === undefined
      ? { owner: null, claims: 0, leaseUntilMs: null }
      : { owner: lease.owner, claims: 1, leaseUntilMs: Math.round(leaseNowMs + lease.leaseMs) }),
  });
  // Only where nothing was replaced: with a slot it was looked for before.
  if (stored === undefined) return { kind: "already-held" };
  changes.accept(app.appNumber, bytes);
  occupancy.add(app, 1 - replaced.length, bytes - freed);
  return {
    kind: "stored",
    token: lease === undefined ? 0 : tokenOf(stored, 1),
    ...(replaced.length === 0
      ? {}
      : { superseded: replaced.map(({ id, attempts }): SupersededEntry => ({ id, attempts })) }),
  };
}

/** The entry's number; undefined when its key waits already. */
function insert(
  db: Statements,
  entry: OutboxEntry,
  app: AppRow,
  rest: {
    readonly device: Buffer;
    readonly bytes: number;
    readonly nowMs: number;
    readonly owner: string | null;
    readonly claims: number;
    readonly leaseUntilMs: number | null;
  },
): number | undefined {
  const row = db.get(
    `INSERT INTO outbox (id, app_number, device, dedupe_key, slot, attempts, received_ms, queued_ms, due_ms, ready,
       expires_ms, owner, claims, lease_until_ms, bytes, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING RETURNING entry`,
    entry.id,
    app.appNumber,
    rest.device,
    entry.key === undefined ? null : blob(entry.key),
    entry.slot ?? null,
    entry.attempts,
    Math.round(entry.receivedAtMs),
    rest.nowMs,
    Math.ceil(rest.nowMs + entry.dueInMs),
    entry.dueInMs <= 0 ? 1 : 0,
    Math.ceil(rest.nowMs + entry.expiresInMs),
    rest.owner,
    rest.claims,
    rest.leaseUntilMs,
    rest.bytes,
    entry.payload,
  );
  return row === undefined ? undefined : Number(row["entry"]);
}

function keyWaits(db: Statements, key: Digest | undefined): boolean {
  if (key === undefined) return false;
  return db.get("SELECT 1 AS waits FROM outbox WHERE dedupe_key = ?", blob(key)) !== undefined;
}

/** Whether the place has a push that came later, in somebody's hands or not. */
export function newerInSlot(db: Statements, place: Place, receivedAtMs: number): boolean {
  return (
    db.get(
      "SELECT 1 AS newer FROM outbox WHERE device = ? AND slot = ? AND app_number = ? AND received_ms > ?",
      place.device,
      place.slot,
      place.appNumber,
      Math.round(receivedAtMs),
    ) !== undefined
  );
}

interface Replaced extends SupersededEntry {
  readonly entry: number;
  readonly bytes: number;
}

function waitingInSlot(db: Statements, place: Place): readonly Replaced[] {
  return db
    .all(
      `SELECT entry, id, attempts, bytes FROM outbox
       WHERE device = ? AND slot = ? AND app_number = ? AND owner IS NULL`,
      place.device,
      place.slot,
      place.appNumber,
    )
    .map((row) => ({ ...supersededEntry(row), entry: Number(row["entry"]), bytes: Number(row["bytes"]) }));
}

/** A row's `id` and `attempts`. */
export function supersededEntry(row: Record<string, SQLOutputValue>): SupersededEntry {
  return { id: String(row["id"]), attempts: Number(row["attempts"]) };
}
