import { performance } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "./clock.ts";

const LOOK_EVERY_MS = 1_000;
/** Of the time since the last look, the loop was busy for less. */
const IDLE_SHARE = 0.1;
/** What a collection should at least bring. */
const WORTH_BYTES = 8 * 2 ** 20;
/** A collection stops the thread for as long as what it has to keep is large: 25 to 50 ms after a start. */
const MOST_USED_BYTES = 48 * 2 ** 20;
/** Between two collections: a trickle of pushes fills the heap again and again. */
const PAUSE_MS = 10 * 60 * 1_000;

/** How the process is seen and what it is asked for; tests bring their own. */
export interface HeapParts {
  /** The share of the time since the last call in which the event loop was busy. */
  readonly busyShare: () => number;
  /** Pages that the heap holds beyond what it held after the last collection, in bytes. */
  readonly grownBytes: () => number;
  /** What the heap's objects take, dead ones not yet collected among them. */
  readonly usedBytes: () => number;
  readonly collect: () => void;
}

/**
 * Gives back to the system what the heap does not need, once it is idle: after the start, whose modules leave 18 MiB of
 * room and rubbish, and after a load. V8 by itself keeps it for as long as nothing is allocated. Returns its end.
 */
export function giveBackMemory(clock: Clock, parts: HeapParts = ownHeap()): () => void {
  let cancel = (): void => {};
  const look = (afterMs: number): void => {
    cancel = clock.schedule(afterMs, () => {
      const isIdle = parts.busyShare() < IDLE_SHARE;
      const isWorthIt = isIdle && parts.grownBytes() >= WORTH_BYTES && parts.usedBytes() <= MOST_USED_BYTES;
      if (isWorthIt) parts.collect();
      look(isWorthIt ? PAUSE_MS : LOOK_EVERY_MS);
    });
  };
  look(LOOK_EVERY_MS);
  return () => cancel();
}

/** This thread's. */
export function ownHeap(): HeapParts {
  let measured = performance.eventLoopUtilization();
  let heldBytes = 0;
  return {
    busyShare() {
      const before = measured;
      measured = performance.eventLoopUtilization();
      return performance.eventLoopUtilization(measured, before).utilization;
    },
    grownBytes: () => getHeapStatistics().total_physical_size - heldBytes,
    usedBytes: () => getHeapStatistics().used_heap_size,
    collect() {
      collectEverything();
      heldBytes = getHeapStatistics().total_physical_size;
    },
  };
}

type Collect = (options: {
  readonly type: "major";
  readonly execution: "sync";
  readonly flavor: "last-resort";
}) => void;

/**
 * Node has no other door to the collector than V8's own function for tests, which a new context gets while the flag is
 * up. (The debugger's command, through node:inspector, left a process hanging for good when it was tried.)
 */
function collectEverything(): void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("typeof gc === 'function' ? gc : undefined");
  setFlagsFromString("--no-expose-gc");
  if (typeof gc !== "function") return;
  // Last resort: the young generation shrinks too, and its pages go back to the system.
  (gc as Collect)({ type: "major", execution: "sync", flavor: "last-resort" });
}
