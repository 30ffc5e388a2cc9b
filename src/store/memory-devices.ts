import { checkDigests } from "./digest.ts";
import type { DeviceReport, DeviceReports, Devices, RegisteredDevice } from "./store.ts";

/**
 * Registered devices of a process that keeps nothing. Looks at every device for most calls, which is for tests.
 *
 * @param refusal why nothing more is done, if so
 */
export function memoryDevices(refusal: () => Error | undefined): Devices {
  /** In the order of their first registration. */
  let rows: readonly RegisteredDevice[] = [];
  const check = (): void => {
    const problem = refusal();
    if (problem !== undefined) throw problem;
  };

  const place = ({ owner, selector, userAgent, nowMs }: DeviceReports, reported: DeviceReport): void => {
    rows = rows.filter((row) => row.device !== reported.device || row.owner === owner);
    const index = rows.findIndex(
      (row) =>
        row.owner === owner &&
        row.kind === reported.kind &&
        row.selector === selector &&
        (selector !== undefined || row.device === reported.device),
    );
    const before = rows[index];
    const now: RegisteredDevice = {
      ...reported,
      owner,
      ...(selector === undefined ? {} : { selector }),
      ...(userAgent === undefined ? {} : { userAgent }),
      firstSeenMs: before?.firstSeenMs ?? nowMs,
      lastSeenMs: nowMs,
    };
    rows = before === undefined ? [...rows, now] : rows.with(index, now);
  };

  return {
    async report(reports) {
      check();
      checkDigests(...reports.devices.map(({ device }) => device));
      const { mayTakeSelector, maxPerOwner, owner, selector } = reports;
      const isForeign = (row: RegisteredDevice): boolean =>
        selector !== undefined && row.selector === selector && row.owner !== owner;
      if (!mayTakeSelector && rows.some(isForeign)) return "foreign-selector";
      rows = rows.filter((row) => !isForeign(row));
      for (const device of reports.devices) place(reports, device);
      const latest = rows
        .filter((row) => row.owner === owner)
        .map((row, age) => ({ row, age }))
        .sort((a, b) => b.row.lastSeenMs - a.row.lastSeenMs || b.age - a.age);
      const leaving = new Set(latest.slice(maxPerOwner).map(({ row }) => row));
      rows = rows.filter((row) => !leaving.has(row));
      return "stored";
    },
    async remove(owner, { selector, devices }) {
      check();
      checkDigests(...(devices ?? []));
      if (selector === undefined && devices === undefined) return 0;
      const before = rows.length;
      rows = rows.filter(
        (row) =>
          row.owner !== owner ||
          (selector !== undefined && row.selector !== selector) ||
          (devices !== undefined && !devices.includes(row.device)),
      );
      return before - rows.length;
    },
    async ofOwner(owner) {
      check();
      return rows.filter((row) => row.owner === owner);
    },
    async ofSelector(selector) {
      check();
      return rows.filter((row) => row.selector === selector);
    },
    async removeRejected(device, sinceMs) {
      check();
      checkDigests(device);
      rows = rows.filter((row) => row.device !== device || row.lastSeenMs > sinceMs);
    },
    async count() {
      check();
      return rows.length;
    },
  };
}
