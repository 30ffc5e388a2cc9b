/**
 * Loaded into a measured process by `node --import`: answers questions about memory and the event loop by IPC, and costs
 * nothing in between. What it says is about the main thread; the store's thread has a small heap of its own.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { GCProfiler } from "node:v8";
import type { ProbeAnswer } from "./measured-process.ts";

let profiler: GCProfiler | undefined;
const delay = monitorEventLoopDelay({ resolution: 10 });
let heapAtStart = 0;

process.on("message", (message: unknown) => {
  if (message === "begin") {
    delay.reset();
    delay.enable();
    heapAtStart = process.memoryUsage().heapUsed;
    profiler = new GCProfiler();
    profiler.start();
    process.send?.({ begun: true });
  } else if (message === "end") {
    delay.disable();
    let allocatedBytes = 0;
    let heap = heapAtStart;
    for (const { beforeGC, afterGC } of profiler?.stop()?.statistics ?? []) {
      allocatedBytes += Math.max(0, beforeGC.heapStatistics.usedHeapSize - heap);
      heap = afterGC.heapStatistics.usedHeapSize;
    }
    const memory = process.memoryUsage();
    allocatedBytes += Math.max(0, memory.heapUsed - heap);
    const answer: ProbeAnswer = {
      allocatedBytes,
      heapUsedBytes: memory.heapUsed,
      // The timer's own 10 ms are not a delay.
      loopDelayP999Ms: Math.max(0, delay.percentile(99.9) / 1e6 - 10),
      loopDelayMaxMs: Math.max(0, delay.max / 1e6 - 10),
    };
    process.send?.(answer);
  } else if (message === "collect") {
    globalThis.gc?.();
    process.send?.({ heapUsedBytes: process.memoryUsage().heapUsed });
  }
});
let session: Session | undefined;

/** What is profiled: `{profile: "cpu" | "heap"}` begins one of the main thread, `{write: FILE}` ends and writes it. */
export type ProfileKind = "cpu" | "heap";

process.on("message", (message: unknown) => {
  if (typeof message !== "object" || message === null) return;
  const { profile, write } = message as { readonly profile?: ProfileKind; readonly write?: string };
  if (profile !== undefined) void beginProfile(profile).then(() => process.send?.({ profile }));
  if (write !== undefined) void endProfile(write).then(() => process.send?.({ write }));
});

async function beginProfile(kind: ProfileKind): Promise<void> {
  session = new Session();
  session.connect();
  if (kind === "heap") {
    // Also what was collected in the meantime: garbage is what is looked for.
    await session.post("HeapProfiler.startSampling", {
      samplingInterval: 8192,
      includeObjectsCollectedByMinorGC: true,
      includeObjectsCollectedByMajorGC: true,
    });
    return;
  }
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 200 });
  await session.post("Profiler.start");
}

async function endProfile(file: string): Promise<void> {
  const isHeap = file.endsWith(".heapprofile");
  const result = await (isHeap ? session?.post("HeapProfiler.stopSampling") : session?.post("Profiler.stop"));
  session?.disconnect();
  writeFileSync(file, JSON.stringify(result?.profile));
}

// The channel alone must not keep the process.
process.channel?.unref();
