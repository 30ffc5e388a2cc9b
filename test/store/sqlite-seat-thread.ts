import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../src/clock.ts";
import { takeSqliteSeat, type SqliteSeat } from "../../src/store/sqlite.ts";
import type { OutboxEntry } from "../../src/store/store.ts";

/** What the test gives the thread. */
interface ThreadData {
  readonly seat: SqliteSeat;
  readonly owner: string;
  readonly entries: readonly OutboxEntry[];
}

const { seat, owner, entries } = workerData as ThreadData;
const store = takeSqliteSeat(seat, { clock: systemClock, onFailure: () => {}, onHealth: () => {} });
const noCaps = { maxRows: 1e6, maxBytes: 1e9, maxAppRows: 1e6, maxAppBytes: 1e9 };
await store.outbox.put(entries, noCaps, { owner, leaseMs: 60_000 });
parentPort?.postMessage("put");
