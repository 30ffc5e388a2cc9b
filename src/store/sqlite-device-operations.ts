import type { SQLOutputValue } from "node:sqlite";
import type { Statements } from "./sqlite-connection.ts";
import { blob, read, write } from "./sqlite-operation.ts";
import type { DeviceKind, DeviceReport, DeviceReports, Digest, RegisteredDevice } from "./store.ts";

/** What the writer thread does for registered devices. */
export const deviceOperations = {
  deviceReport: write((db, args: DeviceReports): "stored" | "foreign-selector" => {
    const { owner, selector } = args;
    if (selector !== undefined) {
      const foreign = "SELECT 1 AS held FROM devices WHERE selector = ? AND owner <> ?";
      if (!args.mayTakeSelector && db.get(foreign, selector, owner) !== undefined) return "foreign-selector";
      db.run("DELETE FROM devices WHERE selector = ? AND owner <> ?", selector, owner);
    }
    for (const device of args.devices) place(db, args, device);
    db.run(
      `DELETE FROM devices WHERE entry IN (
         SELECT entry FROM devices WHERE owner = ? ORDER BY last_seen_ms DESC, entry DESC LIMIT -1 OFFSET ?)`,
      owner,
      args.maxPerOwner,
    );
    return "stored";
  }),

  deviceRemove: write(
    (
      db,
      { owner, selector, devices }: { owner: string; selector?: string; devices?: readonly Digest[] },
    ): number => {
      if (devices === undefined) {
        if (selector === undefined) return 0;
        return db.run("DELETE FROM devices WHERE selector = ? AND owner = ?", selector, owner);
      }
      return devices.reduce(
        (sum, device) =>
          sum +
          db.run(
            "DELETE FROM devices WHERE device = ?1 AND owner = ?2 AND (?3 IS NULL OR selector = ?3)",
            blob(device),
            owner,
            selector ?? null,
          ),
        0,
      );
    },
  ),

  devicesOfOwner: read((db, { owner }: { owner: string }): readonly RegisteredDevice[] =>
    db.all("SELECT * FROM devices WHERE owner = ? ORDER BY first_seen_ms, entry", owner).map(registered),
  ),

  devicesOfSelector: read((db, { selector }: { selector: string }): readonly RegisteredDevice[] =>
    db
      .all("SELECT * FROM devices WHERE selector = ? ORDER BY first_seen_ms, entry", selector)
      .map(registered),
  ),

  deviceRejected: write((db, args: { device: Digest; sinceMs: number }): void => {
    db.run("DELETE FROM devices WHERE device = ? AND last_seen_ms <= ?", blob(args.device), args.sinceMs);
  }),

  deviceCount: read((db, _args: object): number =>
    Number(db.get("SELECT count(*) AS devices FROM devices")?.["devices"]),
  ),
};

/** One token, taken from whoever else has it. */
function place(
  db: Statements,
  { owner, selector, userAgent, nowMs }: DeviceReports,
  given: DeviceReport,
): void {
  const device = blob(given.device);
  db.run("DELETE FROM devices WHERE device = ? AND owner <> ?", device, owner);
  const conflict =
    selector === undefined
      ? "(owner, device) WHERE selector IS NULL"
      : "(selector, owner, kind) WHERE selector IS NOT NULL";
  db.run(
    `INSERT INTO devices (owner, selector, kind, app_id, pushkey, device, sandbox, application_id, apns_topic,
       user_agent, first_seen_ms, last_seen_ms)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
     ON CONFLICT ${conflict} DO UPDATE SET app_id = excluded.app_id, pushkey = excluded.pushkey,
       device = excluded.device, sandbox = excluded.sandbox, application_id = excluded.application_id,
       apns_topic = excluded.apns_topic, user_agent = excluded.user_agent, last_seen_ms = excluded.last_seen_ms`,
    owner,
    selector ?? null,
    given.kind,
    given.appId,
    given.pushkey,
    device,
    given.sandbox === undefined ? null : Number(given.sandbox),
    given.applicationId ?? null,
    given.apnsTopic ?? null,
    userAgent ?? null,
    Math.round(nowMs),
  );
}

function registered(row: Record<string, SQLOutputValue>): RegisteredDevice {
  const text = <Name extends string>(name: Name, column: string): { readonly [N in Name]?: string } => {
    const value = row[column];
    return (typeof value === "string" ? { [name]: value } : {}) as { readonly [N in Name]?: string };
  };
  const { device, sandbox } = row;
  return {
    owner: String(row["owner"]),
    ...text("selector", "selector"),
    // The table's own check knows no others.
    kind: String(row["kind"]) as DeviceKind,
    appId: String(row["app_id"]),
    pushkey: String(row["pushkey"]),
    device: device instanceof Uint8Array ? Buffer.from(device).toString("hex") : "",
    ...(typeof sandbox === "number" ? { sandbox: sandbox === 1 } : {}),
    ...text("applicationId", "application_id"),
    ...text("apnsTopic", "apns_topic"),
    ...text("userAgent", "user_agent"),
    firstSeenMs: Number(row["first_seen_ms"]),
    lastSeenMs: Number(row["last_seen_ms"]),
  };
}
