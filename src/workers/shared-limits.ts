import type { SharedProbe } from "../core/circuit.ts";
import type { LatestTimes } from "../core/latest-by-slot.ts";
import type { MakeBuckets } from "../core/token-buckets.ts";
import { digestOf, type SharedTable } from "./shared-table.ts";

/** Names whose digests are kept at hand: apps and the like, which come again and again. */
const MAX_DIGESTS = 1_000;
/** The last one of a window is not lost to rounding. */
const ROUNDING_MS = 1e-6;

/** The process's own time: monotonic and the same in every thread, which `performance.now()` is not. Milliseconds. */
export function processTimeMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The newest times under names, for all threads. */
export function sharedTimes(table: SharedTable): LatestTimes {
  return {
    get: (name) => table.find(digestOf(name), ({ time }) => time),
    set(name, timeMs) {
      table.put(digestOf(name), (slot) => {
        slot.time = Math.max(slot.time, timeMs);
      });
    },
  };
}

/**
 * Token buckets that all threads take from: as `TokenBuckets`, one number a name, when it will be full again. Where a
 * name is pushed out, or cannot be had, it has its whole allowance.
 */
export function sharedBuckets(table: SharedTable, nowMs = processTimeMs): MakeBuckets {
  return (kind, { count, windowMs }) => {
    const costMs = windowMs / count;
    const digests = new Map<string, string>();
    const find = (name: string): string => {
      const known = digests.get(name);
      if (known !== undefined) return known;
      const digest = digestOf(`${kind} ${count}/${windowMs} ${name}`);
      if (digests.size >= MAX_DIGESTS) digests.clear();
      digests.set(name, digest);
      return digest;
    };
    const waitMs = (fullAtMs: number, now: number): number => {
      const wait = fullAtMs + costMs - now - windowMs;
      return wait > ROUNDING_MS ? wait : 0;
    };
    return {
      take(name) {
        const now = nowMs();
        const wait = table.put(find(name), (slot) => {
          const untilTurn = waitMs(slot.time, now);
          if (untilTurn === 0) slot.time = Math.max(now, slot.time) + costMs;
          return untilTurn;
        });
        return wait ?? 0;
      },
      waitFor: (name) => table.find(find(name), ({ time }) => waitMs(time, nowMs())) ?? 0,
    };
  };
}

/** What the threads' circuits for one app and host tell each other. */
export function sharedProbe(
  table: SharedTable,
  app: string,
  host: string,
  nowMs = processTimeMs,
): SharedProbe {
  const probe = digestOf(`probe\n${app}\n${host}`);
  const closed = digestOf(`closed\n${app}\n${host}`);
  return {
    take(everyMs) {
      const now = nowMs();
      const isTaken = table.put(probe, (slot) => {
        if (slot.time > now) return false;
        slot.time = now + everyMs;
        return true;
      });
      return isTaken ?? true;
    },
    waitMs: () => Math.max(0, (table.find(probe, ({ time }) => time) ?? 0) - nowMs()),
    closed() {
      const now = nowMs();
      table.put(closed, (slot) => {
        slot.time = now;
      });
    },
    closedAgoMs() {
      const atMs = table.find(closed, ({ time }) => time);
      return atMs === undefined ? undefined : nowMs() - atMs;
    },
  };
}
