import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { giveBackMemory } from "../src/give-back-memory.ts";
import { createFakeClock } from "./support/fake-clock.ts";

const MiB = 2 ** 20;

function setUp(): {
  clock: ReturnType<typeof createFakeClock>;
  heap: { busy: number; grown: number; used: number };
  collections: () => number;
  stop: () => void;
} {
  const clock = createFakeClock();
  const heap = { busy: 0, grown: 20 * MiB, used: 20 * MiB };
  let collections = 0;
  const stop = giveBackMemory(clock, {
    busyShare: () => heap.busy,
    grownBytes: () => heap.grown,
    usedBytes: () => heap.used,
    collect: () => {
      collections += 1;
      heap.grown = 0;
    },
  });
  return { clock, heap, collections: () => collections, stop };
}

describe("giveBackMemory", () => {
  it("collects a second after the start, and not again while nothing is allocated", async () => {
    const { clock, collections } = setUp();
    await clock.advance(999);
    expect(collections()).toBe(0);
    await clock.advance(1);
    expect(collections()).toBe(1);
    await clock.advance(3_600_000);
    expect(collections()).toBe(1);
  });

  it("waits for the end of a load", async () => {
    const { clock, collections, heap } = setUp();
    heap.busy = 0.5;
    await clock.advance(60_000);
    expect(collections()).toBe(0);
    heap.busy = 0.01;
    await clock.advance(1_000);
    expect(collections()).toBe(1);
  });

  it("collects once in ten minutes at most, however fast the heap grows", async () => {
    const { clock, collections, heap } = setUp();
    for (let second = 0; second < 1_200; second += 1) {
      heap.grown = 20 * MiB;
      await clock.advance(1_000);
    }
    expect(collections()).toBe(2);
  });

  it("leaves a large heap alone, whose collection would stop the thread for long", async () => {
    const { clock, collections, heap } = setUp();
    heap.used = 49 * MiB;
    await clock.advance(60_000);
    expect(collections()).toBe(0);
    heap.used = 48 * MiB;
    await clock.advance(1_000);
    expect(collections()).toBe(1);
  });

  it("looks no more when it is told to stop", async () => {
    const { clock, collections, stop } = setUp();
    stop();
    await clock.advance(10_000);
    expect(collections()).toBe(0);
  });
});

it("shrinks the heap of a real process, and leaves no gc function behind", () => {
  const program = `
    import { getHeapStatistics } from "node:v8";
    const { ownHeap } = await import(${JSON.stringify(new URL("../src/give-back-memory.ts", import.meta.url).href)});
    await new Promise((resolve) => setTimeout(resolve, 1));
    const heap = ownHeap();
    let rubbish = Array.from({ length: 300_000 }, (_, i) => ({ i, text: "number " + i }));
    const before = getHeapStatistics().total_physical_size;
    rubbish = undefined;
    heap.collect();
    const after = getHeapStatistics().total_physical_size;
    console.log(JSON.stringify({ before, after, grown: heap.grownBytes(), gc: typeof globalThis.gc, busy: heap.busyShare() }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const told = JSON.parse(stdout) as Record<"before" | "after" | "grown" | "busy", number> & { gc: string };
  expect(told.after).toBeLessThan(told.before - 10 * MiB);
  expect(told.grown).toBeLessThan(MiB);
  expect(told.busy).toBeGreaterThan(0);
  expect(told.gc).toBe("undefined");
});
