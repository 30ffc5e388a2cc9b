import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { blob, read, write } from "./sqlite-operation.ts";
import type { Outcomes, PastOutcome } from "./store.ts";

/** Old rows deleted with one piece of work at most. */
const MAX_FORGOTTEN = 4_000;

/** What the writer thread does for past outcomes. */
export const outcomeOperations = {
  putOutcomes: write(
    (db, args: { outcomes: readonly PastOutcome[]; maxRows: number; forgetBeforeMs: number }): void => {
      for (const each of args.outcomes) {
        db.run(
          `INSERT INTO outcomes
             (push, at_ms, app, pushkin, device, event, request, kind, reason, status, answer, attempts, expires_ms)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (push) DO UPDATE SET at_ms = excluded.at_ms, app = excluded.app, pushkin = excluded.pushkin,
             event = coalesce(excluded.event, event), request = coalesce(excluded.request, request),
             kind = excluded.kind, reason = excluded.reason, status = excluded.status, answer = excluded.answer,
             attempts = excluded.attempts, expires_ms = excluded.expires_ms
           WHERE excluded.at_ms >= at_ms`,
          each.push,
          Math.round(each.atMs),
          each.app,
          each.pushkin,
          blob(each.device),
          each.event === undefined ? null : blob(each.event),
          each.request ?? null,
          each.kind,
          each.reason,
          each.status ?? null,
          each.answer ?? null,
          each.attempts,
          Math.round(each.expiresAtMs),
        );
      }
      db.run(
        `DELETE FROM outcomes WHERE entry IN (SELECT entry FROM outcomes ORDER BY entry LIMIT ?)
           AND (at_ms < ? OR entry <= (SELECT max(entry) FROM outcomes) - ?)`,
        MAX_FORGOTTEN,
        args.forgetBeforeMs,
        args.maxRows,
      );
    },
  ),

  findOutcomes: read(
    (db, { by, limit }: { by: Parameters<Outcomes["find"]>[0]; limit: number }): readonly PastOutcome[] => {
      const [where, values]: [string, SQLInputValue[]] =
        "devices" in by
          ? [`device IN (${by.devices.map(() => "?").join(", ")})`, by.devices.map(blob)]
          : "event" in by
            ? ["event = ?", [blob(by.event)]]
            : ["push = ? OR request = ?", [by.id, by.id]];
      return db
        .all(
          `SELECT * FROM outcomes WHERE ${where} ORDER BY at_ms DESC, entry DESC LIMIT ?`,
          ...values,
          limit,
        )
        .map(pastOutcome);
    },
  ),
};

function pastOutcome(row: Record<string, SQLOutputValue>): PastOutcome {
  const { event, request, status, answer } = row;
  return {
    push: String(row["push"]),
    atMs: Number(row["at_ms"]),
    app: String(row["app"]),
    pushkin: String(row["pushkin"]),
    device: hex(row["device"]),
    ...(event instanceof Uint8Array ? { event: hex(event) } : {}),
    ...(typeof request === "string" ? { request } : {}),
    // Written by `putOutcomes` from the same type.
    kind: String(row["kind"]) as PastOutcome["kind"],
    reason: String(row["reason"]),
    ...(typeof status === "number" ? { status } : {}),
    ...(typeof answer === "string" ? { answer } : {}),
    attempts: Number(row["attempts"]),
    expiresAtMs: Number(row["expires_ms"]),
  };
}

function hex(value: SQLOutputValue | undefined): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : "";
}
