import type { SQLOutputValue } from "node:sqlite";
import type { Statements } from "./sqlite-connection.ts";
import { tokenOf } from "./sqlite-outbox-token.ts";
import type { ClaimedEntry, Lease } from "./store.ts";

/** What the writer thread needs to claim. Times by the store's clocks, milliseconds since 1970. */
export interface ClaimArgs {
  readonly apps: readonly string[];
  readonly limit: number;
  readonly lease: Lease;
  readonly suspects: boolean;
  readonly maxCrashes: number;
  readonly nowMs: number;
  readonly leaseNowMs: number;
}

interface Candidate {
  readonly entry: number;
  readonly receivedMs: number;
}

/** So many entries of an app, or as many as are asked for, are moved at each claim from one index to the other. */
const readyAtOnce = 250;

/** Takes what may be taken. Runs inside a transaction. */
export function claimEntries(db: Statements, args: ClaimArgs): readonly ClaimedEntry[] {
  const limit = args.suspects ? 1 : args.limit;
  const candidates = args.apps.flatMap((app) => {
    const appNumber = db.get("SELECT app_number FROM outbox_apps WHERE app = ?", app)?.["app_number"];
    if (typeof appNumber !== "number") return [];
    return args.suspects ? suspect(db, appNumber, args) : fresh(db, appNumber, args.nowMs, limit);
  });
  candidates.sort((a, b) => b.receivedMs - a.receivedMs || a.entry - b.entry);
  return candidates.slice(0, limit).map(({ entry }) => take(db, entry, args));
}

/**
 * Due entries that never saw a crash, the freshest first. Each is moved once, from the index by due time to the one by
 * age, so that a claim looks at no more entries than it takes. Where more fall due between two claims than are moved at once, those that have been
 * due for longest come in first, and claims catch up.
 */
function fresh(db: Statements, appNumber: number, nowMs: number, limit: number): readonly Candidate[] {
  db.run(
    `UPDATE outbox SET ready = 1 WHERE entry IN (
       SELECT entry FROM outbox INDEXED BY outbox_by_due
       WHERE app_number = ? AND owner IS NULL AND crashes = 0 AND ready = 0 AND due_ms <= ?
       ORDER BY due_ms LIMIT ?
     )`,
    appNumber,
    nowMs,
    Math.max(readyAtOnce, limit),
  );
  return db
    .all(
      `SELECT entry, received_ms FROM outbox INDEXED BY outbox_by_age
       WHERE app_number = ? AND owner IS NULL AND crashes = 0 AND ready = 1 AND expires_ms > ?
       ORDER BY received_ms DESC LIMIT ?`,
      appNumber,
      nowMs,
      limit,
    )
    .map(candidate);
}

/** The freshest of those that a process has ended with, or is ending with: its lease has run out. */
function suspect(
  db: Statements,
  appNumber: number,
  { lease, maxCrashes, nowMs, leaseNowMs }: ClaimArgs,
): readonly Candidate[] {
  return db
    .all(
      `SELECT * FROM (
         SELECT entry, received_ms FROM outbox INDEXED BY outbox_suspects
         WHERE app_number = ?1 AND owner IS NULL AND crashes > 0 AND crashes <= ?4 AND due_ms <= ?2 AND expires_ms > ?2
         ORDER BY received_ms DESC LIMIT 1
       ) UNION ALL SELECT * FROM (
         SELECT entry, received_ms FROM outbox INDEXED BY outbox_held
         WHERE app_number = ?1 AND owner IS NOT NULL AND lease_until_ms <= ?3 AND expires_ms > ?2
           AND crashes + (owner <> ?5) <= ?4
         ORDER BY received_ms DESC LIMIT 1
       )`,
      appNumber,
      nowMs,
      leaseNowMs,
      maxCrashes,
      lease.owner,
    )
    .map(candidate);
}

function candidate(row: Record<string, SQLOutputValue>): Candidate {
  return { entry: Number(row["entry"]), receivedMs: Number(row["received_ms"]) };
}

function take(db: Statements, entry: number, { lease, nowMs, leaseNowMs }: ClaimArgs): ClaimedEntry {
  // Another process had it in hand when its lease ran out: that is a crash. A claim of our own that came too late for
  // its caller is none.
  const row = db.get(
    `UPDATE outbox SET owner = ?, lease_until_ms = ?, claims = claims + 1,
       crashes = crashes + (owner IS NOT NULL AND owner <> ?)
     WHERE entry = ?
     RETURNING id, (SELECT app FROM outbox_apps a WHERE a.app_number = outbox.app_number) AS app, device, dedupe_key,
       slot, attempts, received_ms, queued_ms, expires_ms, claims, crashes, payload`,
    lease.owner,
    Math.round(leaseNowMs + lease.leaseMs),
    lease.owner,
    entry,
  );
  if (row === undefined) throw new Error("a candidate is gone within its transaction");
  const { dedupe_key: key, slot } = row;
  return {
    id: String(row["id"]),
    app: String(row["app"]),
    device: hex(row["device"]),
    ...(key instanceof Uint8Array ? { key: hex(key) } : {}),
    ...(typeof slot === "string" ? { slot } : {}),
    payload: String(row["payload"]),
    attempts: Number(row["attempts"]),
    expiresInMs: Number(row["expires_ms"]) - nowMs,
    receivedAtMs: Number(row["received_ms"]),
    token: tokenOf(entry, Number(row["claims"])),
    crashes: Number(row["crashes"]),
    waitedMs: Math.max(0, nowMs - Number(row["queued_ms"])),
  };
}

function hex(value: SQLOutputValue | undefined): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : "";
}
