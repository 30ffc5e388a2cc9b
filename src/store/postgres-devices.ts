import type { Gate } from "./call-gate.ts";
import { createLane } from "./call-lane.ts";
import { checkDigests } from "./digest.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import { blob, toBigint } from "./postgres-remembered.ts";
import type { DeviceKind, Devices, RegisteredDevice } from "./store.ts";

interface DeviceRow {
  readonly owner: string;
  readonly selector: string | null;
  readonly kind: DeviceKind;
  readonly app_id: string;
  readonly pushkey: string;
  readonly device: Uint8Array;
  readonly sandbox: boolean | null;
  readonly application_id: string | null;
  readonly apns_topic: string | null;
  readonly user_agent: string | null;
  readonly first_seen: number;
  readonly last_seen: number;
}

const columns = `owner, selector, kind, app_id, pushkey, device, sandbox, application_id, apns_topic, user_agent,
  first_seen_ms::float8 AS first_seen, last_seen_ms::float8 AS last_seen`;

/** Registered devices that all replicas share: nothing is cached, each question is asked. */
export function postgresDevices(gate: Gate, pool: PostgresPool): Devices {
  const lane = createLane<() => Promise<unknown>, unknown>({
    gate,
    maxBatch: 1,
    parallel: 4,
    run: (batch) => Promise.all(batch.map((each) => each())),
  });
  const ask = async <Row extends object>(
    doing: string,
    sql: string,
    values: readonly unknown[],
  ): Promise<readonly Row[]> => {
    let rows: readonly Row[] = [];
    await lane(async () => (rows = await pool.run<Row>(doing, sql, values)));
    return rows;
  };
  const list = async (column: "owner" | "selector", value: string): Promise<readonly RegisteredDevice[]> => {
    const sql = `SELECT ${columns} FROM signalbox_devices WHERE ${column} = $1 ORDER BY first_seen_ms, entry`;
    return (await ask<DeviceRow>("cannot read registered devices", sql, [value])).map(registered);
  };

  return {
    async report({ owner, selector, userAgent, nowMs, devices, mayTakeSelector, maxPerOwner }) {
      checkDigests(...devices.map(({ device }) => device));
      const [answer] = await ask<{ stored: boolean }>(
        "cannot write registered devices",
        `SELECT signalbox_devices_report($1, $2, $3, $4, $5, $6, $7::text[], $8::text[], $9::text[], $10::bytea[],
           $11::boolean[], $12::text[], $13::text[]) AS stored`,
        [
          owner,
          selector ?? null,
          userAgent ?? null,
          toBigint(nowMs),
          mayTakeSelector,
          maxPerOwner,
          devices.map(({ kind }) => kind),
          devices.map(({ appId }) => appId),
          devices.map(({ pushkey }) => pushkey),
          devices.map(({ device }) => blob(device)),
          devices.map(({ sandbox }) => sandbox ?? null),
          devices.map(({ applicationId }) => applicationId ?? null),
          devices.map(({ apnsTopic }) => apnsTopic ?? null),
        ],
      );
      return answer?.stored === true ? "stored" : "foreign-selector";
    },
    async remove(owner, { selector, devices }) {
      checkDigests(...(devices ?? []));
      if (selector === undefined && devices === undefined) return 0;
      const rows = await ask<object>(
        "cannot remove registered devices",
        `DELETE FROM signalbox_devices WHERE owner = $1 AND ($2::text IS NULL OR selector = $2)
           AND ($3::bytea[] IS NULL OR device = ANY ($3)) RETURNING 1`,
        [owner, selector ?? null, devices?.map(blob) ?? null],
      );
      return rows.length;
    },
    ofOwner: (owner) => list("owner", owner),
    ofSelector: (selector) => list("selector", selector),
    async removeRejected(device, sinceMs) {
      checkDigests(device);
      await ask(
        "cannot remove a rejected device",
        "DELETE FROM signalbox_devices WHERE device = $1 AND last_seen_ms <= $2",
        [blob(device), toBigint(sinceMs)],
      );
    },
    async count() {
      const sql = "SELECT count(*)::float8 AS devices FROM signalbox_devices";
      const [row] = await ask<{ devices: number }>("cannot count registered devices", sql, []);
      return row?.devices ?? 0;
    },
  };
}

function registered(row: DeviceRow): RegisteredDevice {
  return {
    owner: row.owner,
    ...(row.selector === null ? {} : { selector: row.selector }),
    kind: row.kind,
    appId: row.app_id,
    pushkey: row.pushkey,
    device: Buffer.from(row.device).toString("hex"),
    ...(row.sandbox === null ? {} : { sandbox: row.sandbox }),
    ...(row.application_id === null ? {} : { applicationId: row.application_id }),
    ...(row.apns_topic === null ? {} : { apnsTopic: row.apns_topic }),
    ...(row.user_agent === null ? {} : { userAgent: row.user_agent }),
    firstSeenMs: row.first_seen,
    lastSeenMs: row.last_seen,
  };
}
