import { parentPort, workerData } from "node:worker_threads";
import { digestOf, SharedTable } from "../../src/workers/shared-table.ts";

// Counts in entries of a shared table, as fast as it can; says how often it could not.

const { memory, thread, each, names } = workerData as {
  readonly memory: SharedArrayBuffer;
  readonly thread: number;
  readonly each: number;
  readonly names: readonly string[];
};
const table = new SharedTable(memory, thread);
const digests = names.map(digestOf);
let missed = 0;
for (let i = 0; i < each; i += 1) {
  const counted = table.put(digests[i % digests.length] ?? "", (slot) => {
    slot.time += 1;
    return true;
  });
  if (counted === undefined) missed += 1;
}
parentPort?.postMessage(missed);
