import type { Statements } from "./sqlite-connection.ts";
import type { FinalState, OutboxCaps } from "./store.ts";

/** One app's place in the outbox's counts, and what waits for it. */
export interface AppRow {
  readonly appNumber: number;
  rows: number;
  bytes: number;
}

/** What changes in one app's counts. */
interface Change {
  accepted: number;
  handed: number;
  rejected: number;
  expired: number;
  dropped: number;
  bytes: number;
}

/**
 * The changes that one piece of work makes to the counts, written once for each app. The database itself checks that
 * accepted is the sum of the others (reliability G24).
 */
export class CountChanges {
  readonly #db: Statements;
  readonly #changes = new Map<number, Change>();

  constructor(db: Statements) {
    this.#db = db;
  }

  accept(appNumber: number, bytes: number): void {
    const change = this.#of(appNumber);
    change.accepted += 1;
    change.bytes += bytes;
  }

  end(appNumber: number, state: FinalState, bytes: number): void {
    const change = this.#of(appNumber);
    change[state] += 1;
    change.bytes -= bytes;
  }

  /** Must be called before the work is done. */
  write(): void {
    for (const [appNumber, { accepted, handed, rejected, expired, dropped, bytes }] of this.#changes) {
      this.#db.run(
        `UPDATE outbox_apps SET accepted = accepted + ?, handed = handed + ?, rejected = rejected + ?,
           expired = expired + ?, dropped = dropped + ?, pending = pending + ?, pending_bytes = pending_bytes + ?
         WHERE app_number = ?`,
        accepted,
        handed,
        rejected,
        expired,
        dropped,
        accepted - handed - rejected - expired - dropped,
        bytes,
        appNumber,
      );
    }
  }

  #of(appNumber: number): Change {
    let change = this.#changes.get(appNumber);
    if (change === undefined) {
      change = { accepted: 0, handed: 0, rejected: 0, expired: 0, dropped: 0, bytes: 0 };
      this.#changes.set(appNumber, change);
    }
    return change;
  }
}

/** What waits, of each app and in all, kept up while one piece of work puts entries: what the caps are held against. */
export class Occupancy {
  readonly #db: Statements;
  readonly #apps = new Map<string, AppRow>();
  readonly #total: { rows: number; bytes: number };

  constructor(db: Statements) {
    this.#db = db;
    // One row an app: no count over the entries.
    const sums = db.get("SELECT sum(pending) AS total, sum(pending_bytes) AS bytes FROM outbox_apps");
    this.#total = { rows: Number(sums?.["total"] ?? 0), bytes: Number(sums?.["bytes"] ?? 0) };
  }

  /** Makes the app's row when it is new. */
  of(app: string): AppRow {
    let found = this.#apps.get(app);
    if (found === undefined) {
      const sql = "SELECT app_number, pending, pending_bytes FROM outbox_apps WHERE app = ?";
      let row = this.#db.get(sql, app);
      if (row === undefined) {
        this.#db.run("INSERT INTO outbox_apps (app) VALUES (?)", app);
        row = this.#db.get(sql, app);
      }
      found = {
        appNumber: Number(row?.["app_number"]),
        rows: Number(row?.["pending"]),
        bytes: Number(row?.["pending_bytes"]),
      };
      this.#apps.set(app, found);
    }
    return found;
  }

  /** Whether this much more may wait. */
  allows(app: AppRow, rows: number, bytes: number, caps: OutboxCaps): boolean {
    return (
      this.#total.rows + rows <= caps.maxRows &&
      this.#total.bytes + bytes <= caps.maxBytes &&
      app.rows + rows <= caps.maxAppRows &&
      app.bytes + bytes <= caps.maxAppBytes
    );
  }

  add(app: AppRow, rows: number, bytes: number): void {
    for (const each of [this.#total, app]) {
      each.rows += rows;
      each.bytes += bytes;
    }
  }
}
