import type { Call, Gate } from "./call-gate.ts";
import { StoreError } from "./store.ts";

/** How calls of one kind are put together. */
export interface LaneOptions<Args, Result> {
  readonly gate: Gate;
  /** Does all of them as one piece of work; one result each, same order. Rejects with StoreError for all of them. */
  readonly run: (batch: readonly Args[]) => Promise<readonly Result[]>;
  /** Calls in one batch at most. */
  readonly maxBatch: number;
  /** Batches under way at the same time; their order is then not kept. Absent = 1. */
  readonly parallel?: number;
  /** What a call touches: one that touches what an earlier one does waits for the next batch. Absent = never clashes. */
  readonly touches?: (args: Args) => readonly string[];
}

interface Waiting<Args, Result> {
  readonly args: Args;
  readonly call: Call<Result>;
}

/**
 * Batches calls: those of one turn of the event loop, and those that come while a batch is under way, become one piece
 * of work (group commit). Order is kept. When a batch fails by a fault of one of its calls, halves are tried, so that
 * one bad call does not fail its neighbours.
 */
export function createLane<Args, Result>(
  options: LaneOptions<Args, Result>,
): (args: Args) => Promise<Result> {
  const { gate, run, maxBatch, parallel = 1, touches } = options;
  let queue: Waiting<Args, Result>[] = [];
  let underWay = 0;
  let flushIsDue = false;

  const take = (): readonly Waiting<Args, Result>[] => {
    queue = queue.filter(({ call }) => !call.over);
    const touched = new Set<string>();
    let size = 0;
    for (const { args } of queue.slice(0, maxBatch)) {
      const keys = touches?.(args) ?? [];
      if (keys.some((key) => touched.has(key))) break;
      for (const key of keys) touched.add(key);
      size += 1;
    }
    return queue.splice(0, size);
  };

  const work = async (batch: readonly Waiting<Args, Result>[]): Promise<void> => {
    if (batch.length === 0) return;
    try {
      const results = await run(batch.map(({ args }) => args));
      // One result for each: a shorter list would be a bug, and is answered as one.
      for (const [i, { call }] of batch.entries()) {
        if (i < results.length) call.resolve(results[i] as Result);
        else call.reject(new StoreError("internal", "no result"));
      }
    } catch (thrown) {
      const error = thrown instanceof StoreError ? thrown : new StoreError("internal", "unexpected failure");
      if (error.code === "internal" && batch.length > 1) {
        const half = batch.length >> 1;
        await work(batch.slice(0, half).filter(({ call }) => !call.over));
        await work(batch.slice(half).filter(({ call }) => !call.over));
        return;
      }
      for (const { call } of batch) call.reject(error);
    }
  };

  const flush = (): void => {
    flushIsDue = false;
    while (underWay < parallel) {
      const batch = take();
      if (batch.length === 0) return;
      underWay += 1;
      void work(batch).finally(() => {
        underWay -= 1;
        flush();
      });
    }
  };

  return (args) =>
    gate.enter<Result>((call) => {
      queue.push({ args, call });
      if (flushIsDue || underWay >= parallel) return;
      flushIsDue = true;
      setImmediate(flush);
    });
}
