import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { digestOf, SharedTable, tableMemory } from "../../src/workers/shared-table.ts";

const worker = new URL("../support/table-worker.ts", import.meta.url);

/** Digests that fall into the same eight slots of a table of so many sets. */
function colliding(count: number, sets: number): string[] {
  const found: string[] = [];
  for (let i = 0; found.length < count; i += 1) {
    const digest = digestOf(String(i));
    if (parseInt(digest.slice(0, 8), 16) % sets === 3 % sets) found.push(digest);
  }
  return found;
}

describe("a table that threads share", () => {
  it("knows under a digest what was put there, and in another view of the same memory", () => {
    const memory = tableMemory(1_024);
    const [one, other] = [new SharedTable(memory, 0), new SharedTable(memory, 1)];
    const digest = digestOf("a");
    expect(one.find(digest, ({ time }) => time)).toBeUndefined();
    one.put(digest, (slot) => {
      slot.time = 5;
      slot.flags = 3;
      slot.owner = one.self;
    });
    expect(other.find(digest, ({ flags, owner, time }) => [flags, owner, time])).toEqual([3, 1, 5]);
    expect(other.find(digestOf("b"), () => true)).toBeUndefined();
  });

  it.each([8, 16, 512])("pushes out the oldest that nobody has, in a table of %d", (entries) => {
    const table = new SharedTable(tableMemory(entries), 0);
    const digests = colliding(10, entries / 8);
    const put = (i: number, time: number, owner = 0): void => {
      table.put(digests[i] ?? "", (slot) => {
        slot.time = time;
        slot.owner = owner;
      });
    };
    for (let i = 0; i < 8; i += 1) put(i, 100 + i, i === 0 ? table.self : 0);
    put(8, 200);
    const known = digests.map((digest) => table.find(digest, ({ time }) => time));
    expect(known).toEqual([100, undefined, 102, 103, 104, 105, 106, 107, 200, undefined]);
    expect(table.put(digests[9] ?? "", ({ flags, owner, time }) => [flags, owner, time])).toEqual([0, 0, 0]);
  });

  it("has no room where all are somebody's, until that thread has ended", () => {
    const memory = tableMemory(8);
    const [one, other] = [new SharedTable(memory, 0), new SharedTable(memory, 1)];
    const digests = colliding(9, 1);
    for (const digest of digests.slice(0, 8)) other.put(digest, (slot) => (slot.owner = other.self));
    expect(one.put(digests[8] ?? "", () => true)).toBeUndefined();
    one.abandon(0);
    expect(one.put(digests[8] ?? "", () => true)).toBeUndefined();
    one.abandon(1);
    expect(one.put(digests[8] ?? "", () => true)).toBe(true);
  });

  it("loses no count of four threads that write to the same entries at once", async () => {
    const memory = tableMemory(64);
    const each = 20_000;
    const workers = [0, 1, 2, 3].map(
      (thread) => new Worker(worker, { workerData: { memory, thread, each, names: ["a", "b", "c"] } }),
    );
    const missed = await Promise.all(
      workers.map(async (each) => ((await once(each, "message")) as number[])[0] ?? 0),
    );
    const table = new SharedTable(memory, 0);
    const counts = ["a", "b", "c"].map((name) => table.find(digestOf(name), ({ time }) => time) ?? 0);
    const sum = counts.reduce((total, count) => total + count, 0);
    // What could not be had in time is told, and was not written.
    expect(sum).toBe(4 * each - missed.reduce((total, count) => total + count, 0));
    expect(sum).toBeGreaterThan(3 * each);
  });

  it("is free again of what a thread had that was ended in the midst of its work", async () => {
    const memory = tableMemory(64);
    const table = new SharedTable(memory, 0);
    for (let i = 0; i < 5; i += 1) {
      const busy = new Worker(worker, {
        workerData: { memory, thread: 1, each: Infinity, names: ["a", "b"] },
      });
      const first = table.find(digestOf("a"), ({ time }) => time) ?? 0;
      while ((table.find(digestOf("a"), ({ time }) => time) ?? 0) < first + 1_000) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await busy.terminate();
      table.abandon(1);
      for (const name of ["a", "b", "c"]) expect(table.put(digestOf(name), () => true)).toBe(true);
    }
  });
});
