import type { SQLOutputValue } from "node:sqlite";
import type { Statements } from "./sqlite-connection.ts";
import { blob, read, write } from "./sqlite-operation.ts";
import { claimEntries } from "./sqlite-outbox-claim.ts";
import type { ClaimArgs } from "./sqlite-outbox-claim.ts";
import { CountChanges } from "./sqlite-outbox-counts.ts";
import { newerInSlot, putEntries, supersededEntry } from "./sqlite-outbox-put.ts";
import type { PutArgs } from "./sqlite-outbox-put.ts";
import { holderOf } from "./sqlite-outbox-token.ts";
import type {
  ClaimedEntry,
  Digest,
  FinalState,
  Lease,
  OutboxCounts,
  PutResult,
  SupersededEntry,
} from "./store.ts";

interface Held {
  readonly id: string;
  readonly token: number;
}

/** When an entry expires that was overtaken in somebody's hands. */
const SINCE_EVER_MS = 0;

const isHeld = "entry = ? AND claims = ? AND id = ? AND owner IS NOT NULL";

/** The values for `isHeld`. */
function holder({ id, token }: Held): [number, number, string] {
  const { entry, claims } = holderOf(token);
  return [entry, claims, id];
}

/** What the writer thread does for promised pushes. `nowMs` and `leaseNowMs` are the store's clocks' times. */
export const outboxOperations = {
  outboxPut: write((db, args: PutArgs): readonly PutResult[] => putEntries(db, args)),

  outboxHolds: read(
    (db, args: { key: Digest }): boolean =>
      db.get("SELECT 1 AS waits FROM outbox WHERE dedupe_key = ?", blob(args.key)) !== undefined,
  ),

  outboxClaim: write((db, args: ClaimArgs): readonly ClaimedEntry[] => claimEntries(db, args)),

  outboxRenew: write(
    (db, args: { held: readonly Held[]; lease: Lease; leaseNowMs: number }): readonly string[] => {
      const until = Math.round(args.leaseNowMs + args.lease.leaseMs);
      const lost = args.held.filter(
        (each) =>
          db.run(
            `UPDATE outbox SET lease_until_ms = ? WHERE ${isHeld} AND owner = ?`,
            until,
            ...holder(each),
            args.lease.owner,
          ) === 0,
      );
      return lost.map(({ id }) => id);
    },
  ),

  outboxSettle: write(
    (db, args: { ended: readonly (Held & { readonly state: FinalState })[] }): readonly boolean[] => {
      const changes = new CountChanges(db);
      const done = args.ended.map(({ state, ...held }) => {
        const row = db.get(`DELETE FROM outbox WHERE ${isHeld} RETURNING app_number, bytes`, ...holder(held));
        if (row !== undefined) changes.end(Number(row["app_number"]), state, Number(row["bytes"]));
        return row !== undefined;
      });
      changes.write();
      return done;
    },
  ),

  outboxPostpone: write(
    (
      db,
      args: {
        later: readonly (Held & { readonly attempts: number; readonly dueInMs: number })[];
        nowMs: number;
      },
    ): readonly (boolean | "superseded")[] => {
      const changes = new CountChanges(db);
      const done = args.later.map(({ attempts, dueInMs, ...held }) => {
        const row = db.get(
          `UPDATE outbox SET owner = NULL, lease_until_ms = NULL, attempts = ?, queued_ms = ?, due_ms = ?, ready = ?,
             crashes = 0
           WHERE ${isHeld}
           RETURNING entry, app_number, device, slot, received_ms, expires_ms, bytes`,
          attempts,
          args.nowMs,
          Math.ceil(args.nowMs + dueInMs),
          dueInMs <= 0 ? 1 : 0,
          ...holder(held),
        );
        if (row === undefined) return false;
        return dropSuperseded(db, row, changes) ? "superseded" : true;
      });
      changes.write();
      return done;
    },
  ),

  outboxSupersede: write(
    (
      db,
      args: { app: string; device: Digest; slot: string; receivedAtMs: number },
    ): readonly SupersededEntry[] => {
      const appNumber = db.get("SELECT app_number FROM outbox_apps WHERE app = ?", args.app)?.["app_number"];
      if (typeof appNumber !== "number") return [];
      const older = "device = ? AND slot = ? AND app_number = ? AND received_ms < ?";
      const place = [blob(args.device), args.slot, appNumber, Math.round(args.receivedAtMs)] as const;
      const changes = new CountChanges(db);
      const gone = db.all(
        `DELETE FROM outbox WHERE ${older} AND owner IS NULL RETURNING id, attempts, bytes`,
        ...place,
      );
      for (const row of gone) changes.end(appNumber, "dropped", Number(row["bytes"]));
      db.run(
        `UPDATE outbox SET expires_ms = ? WHERE ${older} AND owner IS NOT NULL`,
        SINCE_EVER_MS,
        ...place,
      );
      changes.write();
      return gone.map(supersededEntry);
    },
  ),

  outboxExpire: write(
    (db, args: { limit: number; nowMs: number; leaseNowMs: number }): ReadonlyMap<string, number> => {
      const changes = new CountChanges(db);
      const expired = new Map<number, number>();
      const end = (rows: readonly Record<string, SQLOutputValue>[]): void => {
        for (const row of rows) {
          const appNumber = Number(row["app_number"]);
          db.run("DELETE FROM outbox WHERE entry = ?", Number(row["entry"]));
          changes.end(appNumber, "expired", Number(row["bytes"]));
          expired.set(appNumber, (expired.get(appNumber) ?? 0) + 1);
        }
      };
      const free = db.all(
        `SELECT entry, app_number, bytes FROM outbox INDEXED BY outbox_by_expiry
         WHERE owner IS NULL AND expires_ms <= ? ORDER BY expires_ms LIMIT ?`,
        args.nowMs,
        args.limit,
      );
      end(free);
      end(
        db.all(
          `SELECT entry, app_number, bytes FROM outbox INDEXED BY outbox_held
           WHERE owner IS NOT NULL AND lease_until_ms <= ? AND expires_ms <= ? LIMIT ?`,
          args.leaseNowMs,
          args.nowMs,
          args.limit - free.length,
        ),
      );
      changes.write();
      return new Map([...expired].map(([appNumber, entries]) => [appName(db, appNumber), entries]));
    },
  ),

  outboxNextDue: read(
    (db, args: { apps: readonly string[]; nowMs: number; leaseNowMs: number }): number | undefined => {
      const times = args.apps.flatMap((app) => {
        // What has expired is not to be claimed, and would be due for ever.
        const row = db.get(
          `SELECT
             EXISTS (SELECT 1 FROM outbox INDEXED BY outbox_by_age WHERE app_number = a.app_number AND owner IS NULL
                AND crashes = 0 AND ready = 1 AND expires_ms > ?1) AS ready,
             (SELECT due_ms FROM outbox INDEXED BY outbox_by_due WHERE app_number = a.app_number AND owner IS NULL
                AND crashes = 0 AND ready = 0 AND expires_ms > ?1 ORDER BY due_ms LIMIT 1) AS due_ms,
             (SELECT min(due_ms) FROM outbox INDEXED BY outbox_suspects WHERE app_number = a.app_number
                AND owner IS NULL AND crashes > 0 AND expires_ms > ?1) AS suspect_due_ms,
             (SELECT min(lease_until_ms) FROM outbox INDEXED BY outbox_held WHERE app_number = a.app_number
                AND owner IS NOT NULL AND lease_until_ms <= ?2 AND expires_ms > ?1) AS run_out_ms
           FROM outbox_apps a WHERE app = ?3`,
          args.nowMs,
          args.leaseNowMs,
          app,
        );
        if (row?.["ready"] === 1 || typeof row?.["run_out_ms"] === "number") return [args.nowMs];
        return [row?.["due_ms"], row?.["suspect_due_ms"]].filter((value) => typeof value === "number");
      });
      return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - args.nowMs);
    },
  ),

  outboxCounts: read((db, _args: object): ReadonlyMap<string, OutboxCounts> => {
    const rows = db.all("SELECT * FROM outbox_apps WHERE accepted > 0 ORDER BY app");
    return new Map(rows.map((row) => [String(row["app"]), counts(row)]));
  }),

  outboxOldest: read((db, _args: object): number | undefined => {
    // By the rows' own order, which is that of their coming: no index is by age alone.
    const row = db.get("SELECT received_ms FROM outbox ORDER BY entry LIMIT 1");
    return row === undefined ? undefined : Number(row["received_ms"]);
  }),

  outboxReleaseAbandoned: write((db, args: { owner: string }): number => {
    const rows = db.all(
      `UPDATE outbox SET owner = NULL, lease_until_ms = NULL, crashes = crashes + 1
       WHERE owner IS NOT NULL AND owner <> ? RETURNING entry, app_number, device, slot, received_ms, expires_ms, bytes`,
      args.owner,
    );
    const changes = new CountChanges(db);
    for (const row of rows) dropSuperseded(db, row, changes);
    changes.write();
    return rows.length;
  }),

  outboxEndLeases: write((db, args: { owner: string }): void => {
    db.run("UPDATE outbox SET lease_until_ms = 0 WHERE owner = ?", args.owner);
  }),
};

/**
 * Ends an entry that was given back when its slot has a newer one by now, or a newer one was handed over: it must not
 * be sent after that (P8). True when it has.
 */
function dropSuperseded(db: Statements, row: Record<string, SQLOutputValue>, changes: CountChanges): boolean {
  const { device, slot } = row;
  if (typeof slot !== "string" || !(device instanceof Uint8Array)) return false;
  const appNumber = Number(row["app_number"]);
  const place = { device: Buffer.from(device), slot, appNumber };
  const isOvertaken = Number(row["expires_ms"]) === SINCE_EVER_MS;
  if (!isOvertaken && !newerInSlot(db, place, Number(row["received_ms"]))) return false;
  db.run("DELETE FROM outbox WHERE entry = ?", Number(row["entry"]));
  changes.end(appNumber, "dropped", Number(row["bytes"]));
  return true;
}

function appName(db: Statements, appNumber: number): string {
  return String(db.get("SELECT app FROM outbox_apps WHERE app_number = ?", appNumber)?.["app"]);
}

function counts(row: Record<string, SQLOutputValue>): OutboxCounts {
  return {
    accepted: Number(row["accepted"]),
    handed: Number(row["handed"]),
    rejected: Number(row["rejected"]),
    expired: Number(row["expired"]),
    dropped: Number(row["dropped"]),
    pending: Number(row["pending"]),
    pendingBytes: Number(row["pending_bytes"]),
  };
}
