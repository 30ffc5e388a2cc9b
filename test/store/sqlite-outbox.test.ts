import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { SqliteOptions } from "../../src/store/sqlite.ts";
import type { ClaimedEntry, OutboxCounts, Store } from "../../src/store/store.ts";
import { entryOf, expectClosedSum } from "../contract/outbox.contract.ts";
import { digestOf } from "../contract/store.contract.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const caps = { maxRows: 1e6, maxBytes: 1e9, maxAppRows: 1e6, maxAppBytes: 1e9 };
const lease = { owner: "this process", leaseMs: 15_000 };
const apps = ["app 0", "app 1"];

let folder: string;
let file: string;
const stores = new Set<Store>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "outbox-"));
  file = join(folder, "s.db");
});

afterEach(async () => {
  await Promise.all([...stores].map((store) => store.close()));
  stores.clear();
  await rm(folder, { recursive: true });
});

async function open(options: Partial<SqliteOptions> = {}): Promise<Store> {
  const store = await openSqliteStore(file, {
    clock: systemClock,
    onFailure: (error) => expect(error).toBeUndefined(),
    onHealth() {},
    ...options,
  });
  stores.add(store);
  return store;
}

/** Runs a child for a while, kills it in the middle, and says what it was promised. */
async function runAndKill(owner: string, lines: number): Promise<Record<string, Set<string>>> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "sqlite-outbox-child.ts"), file, owner], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said: Record<string, Set<string>> = {
    put: new Set(),
    claimed: new Set(),
    ending: new Set(),
    ended: new Set(),
  };
  let count = 0;
  const closed = once(child, "close");
  createInterface({ input: child.stdout }).on("line", (line) => {
    // The last line may be cut short.
    if (!line.endsWith("]")) return;
    const [what = "", id = ""] = JSON.parse(line) as string[];
    said[what]?.add(id);
    count += 1;
    if (count === lines) child.kill("SIGKILL");
  });
  await closed;
  expect(count).toBeGreaterThanOrEqual(lines);
  return said;
}

async function drain(store: Store): Promise<ClaimedEntry[]> {
  const all: ClaimedEntry[] = [];
  for (const suspects of [false, true]) {
    for (;;) {
      const claimed = await store.outbox.claim({ apps, limit: 1000, lease, suspects });
      if (claimed.length === 0) break;
      all.push(...claimed);
    }
  }
  return all;
}

const sum = (counts: ReadonlyMap<string, OutboxCounts>, name: keyof OutboxCounts): number =>
  [...counts.values()].reduce((total, each) => total + each[name], 0);

describe("the outbox after kill -9", () => {
  it("has every promise that was acknowledged, free for the next process, and its sum is closed", async () => {
    for (let round = 0; round < 4; round += 1) {
      const said = await runAndKill(`child ${round}`, 400 + round * 173);
      const store = await open();
      const before = await store.outbox.counts();
      expectClosedSum(before);
      expect(sum(before, "handed")).toBeGreaterThanOrEqual(said["ended"]?.size ?? 0);
      const released = await store.outbox.releaseAbandoned(lease.owner);
      const all = await drain(store);
      expect(all.filter(({ crashes }) => crashes > 0).length).toBeLessThanOrEqual(released);
      const present = new Set(all.map(({ id }) => id));
      expect(sum(await store.outbox.counts(), "pending")).toBe(present.size);
      const promised = [...(said["put"] ?? [])].filter((id) => said["ending"]?.has(id) !== true);
      expect(promised.length).toBeGreaterThan(100);
      expect(promised.filter((id) => !present.has(id))).toEqual([]);
      expect([...(said["ended"] ?? [])].filter((id) => present.has(id))).toEqual([]);
      const crashed = new Set(all.filter(({ crashes }) => crashes === 1).map(({ id }) => id));
      const inHand = [...(said["claimed"] ?? [])].filter((id) => crashed.has(id));
      expect(inHand.length).toBeGreaterThan(0);
      await store.outbox.settle(all.map(({ id, token }) => ({ id, token, state: "handed" as const })));
      const after = await store.outbox.counts();
      expectClosedSum(after);
      expect([sum(after, "pending"), sum(after, "pendingBytes")]).toEqual([0, 0]);
      await store.close();
    }
  }, 60_000);
});

describe("the outbox in its file", () => {
  it("is the same after a restart: entries, counts, keys", async () => {
    const first = await open();
    await first.outbox.put([entryOf("1", { key: digestOf("key"), dueInMs: 50_000 }), entryOf("2")], caps);
    const [claimed] = await first.outbox.claim({ apps: ["app"], limit: 1, lease });
    await first.outbox.settle([{ id: claimed?.id ?? "", token: claimed?.token ?? 0, state: "rejected" }]);
    const counts = await first.outbox.counts();
    await first.close();
    const second = await open();
    expect(await second.outbox.counts()).toEqual(counts);
    expect(counts.get("app")).toMatchObject({ accepted: 2, rejected: 1, pending: 1 });
    expect(await second.outbox.holds(digestOf("key"))).toBe(true);
    expect(second.outbox.holds(digestOf("stranger"))).toBe(false);
    expect(await second.outbox.claim({ apps: ["app"], limit: 1, lease })).toEqual([]);
    expect(await second.outbox.nextDueInMs(["app"])).toBeGreaterThan(40_000);
  });

  it("says without waiting that nothing is older where no device had a slot, and finds one after a restart", async () => {
    const at = { app: "app", slot: "badge", receivedAtMs: Date.now() };
    const first = await open();
    await first.outbox.put([entryOf("badge", { slot: "badge" }), entryOf("plain")], caps);
    await first.close();
    stores.clear();
    const { outbox } = await open();
    expect(outbox.supersede({ ...at, device: digestOf("plain") })).toBeUndefined();
    await outbox.supersede({ ...at, device: digestOf("badge") });
    expect((await outbox.counts()).get("app")).toMatchObject({ dropped: 1, pending: 1 });
  });

  it("says of an unknown key without waiting that it is free", async () => {
    const store = await open();
    await store.outbox.put([entryOf("1", { key: digestOf("key") })], caps);
    expect(store.outbox.holds(digestOf("stranger"))).toBe(false);
    expect(store.outbox.holds(digestOf("key"))).toBeInstanceOf(Promise);
  });

  it("keeps no content of a push that ended", async () => {
    const secret = `Canary${randomUUID()}`;
    const store = await open();
    const entries = Array.from({ length: 50 }, (_, i) =>
      entryOf(`${i}`, { payload: JSON.stringify({ name: secret.repeat(1 + i * 5) }) }),
    );
    await store.outbox.put(entries, caps);
    const claimed = await store.outbox.claim({ apps: ["app"], limit: 50, lease });
    await store.outbox.settle(claimed.map(({ id, token }) => ({ id, token, state: "handed" as const })));
    await store.close();
    expect((await readFile(file)).includes("Canary")).toBe(false);
  });

  it("promises nothing while the store is full, writes nothing by halves, and goes on when there is room", async () => {
    const store = await open({ maxPages: 200 });
    const batch = (): Parameters<Store["outbox"]["put"]>[0] =>
      Array.from({ length: 20 }, (_, i) => entryOf(`${i}`, { payload: JSON.stringify("x".repeat(1000)) }));
    let stored = 0;
    let refusal: unknown;
    while (refusal === undefined && stored < 5000) {
      await store.outbox.put(batch(), caps).then(
        (results) => (stored += results.filter(({ kind }) => kind === "stored").length),
        (error: unknown) => (refusal = error),
      );
    }
    expect(refusal).toMatchObject({ name: "StoreError", code: "full" });
    expect(stored).toBeGreaterThan(100);
    expect((await store.outbox.counts()).get("app")).toMatchObject({ accepted: stored, pending: stored });
    const claimed = await store.outbox.claim({ apps: ["app"], limit: 5000, lease });
    expect(claimed).toHaveLength(stored);
    await store.outbox.settle(claimed.map(({ id, token }) => ({ id, token, state: "handed" as const })));
    const again = await store.outbox.put(batch(), caps);
    expect(again.every(({ kind }) => kind === "stored")).toBe(true);
    const counts = await store.outbox.counts();
    expectClosedSum(counts);
    expect(counts.get("app")).toMatchObject({ accepted: stored + 20, handed: stored, pending: 20 });
  });

  it("refuses counts that do not add up, whoever writes them", async () => {
    const store = await open();
    await store.outbox.put([entryOf("1")], caps);
    await store.close();
    const db = new DatabaseSync(file);
    try {
      expect(() => db.exec("UPDATE outbox_apps SET handed = handed + 1")).toThrow(/CHECK/);
    } finally {
      db.close();
    }
  });

  it("one entry's own fault fails its call alone, whole", async () => {
    const store = await open();
    const calls = [
      store.outbox.put([entryOf("1")], caps),
      store.outbox.put([entryOf("2"), entryOf("3", { attempts: 0.5 })], caps),
      store.outbox.put([entryOf("4")], caps),
    ];
    const results = await Promise.allSettled(calls);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { name: "StoreError", code: "internal" } });
    expect((await store.outbox.counts()).get("app")).toMatchObject({ accepted: 2, pending: 2 });
  });

  it.each([2, -2, 10 * 365 * 24])(
    "neither expires nor hands out anything early or twice when the wall clock jumps by %i h",
    async (hours) => {
      const clock = createFakeClock();
      const store = await open({ clock });
      await store.outbox.put(
        [entryOf("due", { expiresInMs: 60_000 }), entryOf("later", { dueInMs: 20_000, expiresInMs: 60_000 })],
        caps,
      );
      const held = await store.outbox.claim({
        apps: ["app"],
        limit: 10,
        lease: { ...lease, leaseMs: 90_000 },
      });
      expect(held).toHaveLength(1);
      clock.setWallClock(clock.now() + hours * 3_600_000);
      expect(await store.outbox.expire(10)).toEqual(new Map());
      expect(await store.outbox.claim({ apps: ["app"], limit: 10, lease })).toEqual([]);
      await clock.advance(20_000);
      expect(await store.outbox.nextDueInMs(["app"])).toBe(0);
      await clock.advance(20_000);
      // Half a minute later the jump is believed; the lease outlives that all the same.
      await store.outbox.expire(10);
      expect(await store.outbox.claim({ apps: ["app"], limit: 10, lease, suspects: true })).toEqual([]);
      const ended = held.map(({ id, token }) => ({ id, token, state: "handed" as const }));
      expect(await store.outbox.settle(ended)).toEqual([true]);
    },
  );
});

describe("the outbox with many waiting", () => {
  it("hands out all of what fell due at one moment, the freshest of several hundred first", async () => {
    const clock = createFakeClock();
    const store = await open({ clock });
    const entries = Array.from({ length: 1000 }, (_, i) =>
      entryOf(`${i}`, { dueInMs: 100, receivedAtMs: i }),
    );
    await store.outbox.put(entries, caps);
    await clock.advance(100);
    expect(await store.outbox.nextDueInMs(["app"])).toBe(0);
    const order: number[] = [];
    for (let i = 0; i < 100; i += 1) {
      const claimed = await store.outbox.claim({ apps: ["app"], limit: 10, lease });
      order.push(...claimed.map(({ receivedAtMs }) => receivedAtMs));
    }
    expect([...order].sort((a, b) => a - b)).toEqual(entries.map(({ receivedAtMs }) => receivedAtMs));
    expect(order.slice(-600)).toEqual(order.slice(-600).sort((a, b) => b - a));
    expect(await store.outbox.nextDueInMs(["app"])).toBeUndefined();
  });

  it("stays fast with 100,000 (figures printed) and takes the freshest of the due ones", async () => {
    const store = await open({ deadlineMs: 20_000 });
    const timed = async <Result>(work: () => Promise<Result>): Promise<{ ms: number; result: Result }> => {
      const start = performance.now();
      const result = await work();
      return { ms: performance.now() - start, result };
    };
    const rssBefore = process.memoryUsage().rss;
    const puts: number[] = [];
    for (let i = 0; i < 100_000; i += 1000) {
      const entries = Array.from({ length: 1000 }, (_, k) => {
        const n = i + k;
        const dueInMs = n % 10 === 0 ? 0 : 3_600_000;
        const change = { key: digestOf(`key ${n}`), expiresInMs: 86_400_000, dueInMs, receivedAtMs: n };
        return entryOf(`${n}`, { app: `app ${n % 4}`, payload: JSON.stringify("x".repeat(600)), ...change });
      });
      puts.push((await timed(() => store.outbox.put(entries, caps))).ms);
    }
    const rssMiB = (process.memoryUsage().rss - rssBefore) / 2 ** 20;
    const claims: number[] = [];
    const order: number[] = [];
    for (let i = 0; i < 50; i += 1) {
      const { ms, result } = await timed(() => store.outbox.claim({ apps: ["app 0"], limit: 20, lease }));
      claims.push(ms);
      order.push(...result.map(({ receivedAtMs }) => receivedAtMs));
    }
    const next = await timed(() => store.outbox.nextDueInMs(["app 1", "app 3"]));
    const median = (values: number[]): string =>
      (values.sort((a, b) => a - b)[values.length >> 1] ?? 0).toFixed(1);
    process.stdout.write(
      `outbox, 100,000 waiting: put of 1,000 ${median(puts)} ms, claim of 20 ${median(claims)} ms (each with its flush), ` +
        `next due ${next.ms.toFixed(1)} ms, memory +${rssMiB.toFixed(0)} MiB\n`,
    );
    expect(order).toEqual(Array.from({ length: 1000 }, (_, i) => 99_980 - i * 20));
    expect(next.result).toBeGreaterThan(3_000_000);
  }, 60_000);
});
