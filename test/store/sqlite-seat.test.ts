import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore, takeSqliteSeat, type SqliteStore } from "../../src/store/sqlite.ts";
import type { OutboxEntry } from "../../src/store/store.ts";
import { digestOf } from "../contract/store.contract.ts";
import { entryOf } from "../contract/outbox.contract.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

const noCaps = { maxRows: 1e6, maxBytes: 1e9, maxAppRows: 1e6, maxAppBytes: 1e9 };
const minute = 60_000;

async function openFirst(clock = systemClock): Promise<SqliteStore> {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  folders.push(folder);
  return openSqliteStore(join(folder, "s.db"), options(clock));
}

const options = (clock = systemClock) => ({
  clock,
  onFailure: () => expect("the store's thread").toBe("alive"),
  onHealth: () => {},
});

/** A thread that takes a seat, puts the entries with its lease, says so, and waits. */
async function seatedThread(
  store: SqliteStore,
  owner: string,
  entries: readonly OutboxEntry[],
): Promise<Worker> {
  const seat = store.seat();
  const thread = new Worker(new URL("./sqlite-seat-thread.ts", import.meta.url), {
    workerData: { seat, owner, entries },
    transferList: [seat.port],
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const [said] = (await once(thread, "message")) as unknown[];
  expect(said).toBe("put");
  return thread;
}

describe("a store's seat for another thread", () => {
  it("sees at once what another seat has written, and the filters with it", async () => {
    const store = await openFirst();
    const [one, other] = [
      takeSqliteSeat(store.seat(), options()),
      takeSqliteSeat(store.seat(), options()),
    ] as const;
    const now = Date.now();
    const device = digestOf("device");
    expect(other.rejections.find("app", device, now)).toBeUndefined();
    await one.rejections.put("app", device, { sinceMs: now, keepUntilMs: now + minute });
    expect(await other.rejections.find("app", device, now)).toMatchObject({ sinceMs: now });
    const key = digestOf("key");
    expect(other.outbox.holds(key)).toBe(false);
    await one.outbox.put([entryOf("a", { key })], noCaps);
    expect(await other.outbox.holds(key)).toBe(true);
    expect(await store.outbox.put([entryOf("a", { key })], noCaps)).toEqual([{ kind: "already-held" }]);
    expect(one.installationKey).toEqual(store.installationKey);
    await Promise.all([one.close(), other.close()]);
    await store.close();
  });

  it("may be given up while the others go on", async () => {
    const store = await openFirst();
    const seat = takeSqliteSeat(store.seat(), options());
    await seat.outbox.put([entryOf("a")], noCaps);
    await seat.close();
    await expect(seat.outbox.counts()).rejects.toMatchObject({ code: "closed" });
    expect((await store.outbox.counts()).get("app")).toMatchObject({ pending: 1 });
    await store.close();
  });

  it("of a thread that was ended leaves the others unhurt, and what it held is free once its leases are ended", async () => {
    const store = await openFirst();
    const survivor = takeSqliteSeat(store.seat(), options());
    const [owner, lease] = [randomUUID(), { owner: "survivor", leaseMs: minute }];
    const thread = await seatedThread(store, owner, [entryOf("held"), entryOf("held too")]);
    await thread.terminate();
    const suspects = { apps: ["app"], limit: 10, lease, suspects: true };
    expect(await survivor.outbox.claim(suspects)).toEqual([]);
    await store.outbox.endLeases(owner);
    expect(await survivor.outbox.claim(suspects)).toMatchObject([{ crashes: 1 }]);
    expect(await survivor.outbox.claim(suspects)).toMatchObject([{ crashes: 1 }]);
    await survivor.close();
    await store.close();
  });

  it("counts leases by the same clock as all others, however late it was taken", async () => {
    const clock = createFakeClock();
    const store = await openFirst(clock);
    await store.outbox.put([entryOf("mine")], noCaps, { owner: "first", leaseMs: minute });
    // The wall clock jumps, then another thread comes.
    clock.setWallClock(clock.now() + 3_600_000);
    const seat = takeSqliteSeat(store.seat(), options(clock));
    const suspects = { apps: ["app"], limit: 1, lease: { owner: "late", leaseMs: minute }, suspects: true };
    expect(await seat.outbox.claim(suspects)).toEqual([]);
    await seat.close();
    await store.close();
  });
});
