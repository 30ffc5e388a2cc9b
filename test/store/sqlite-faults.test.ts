import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/clock.ts";
import { checkDurability } from "../../src/store/sqlite-connection.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { SqliteOptions } from "../../src/store/sqlite.ts";
import type { Store, StoreError } from "../../src/store/store.ts";
import { digestOf } from "../contract/store.contract.ts";

const now = Date.UTC(2026, 10, 20, 12);
const verdict = { sinceMs: now, keepUntilMs: Number.MAX_SAFE_INTEGER };

let folder: string;
let file: string;
const stores = new Set<Store>();
const connections = new Set<DatabaseSync>();
const children = new Set<ChildProcess>();
/** What the store said of its health: the code, or "well". */
let health: string[];
let failures: StoreError[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"));
  file = join(folder, "s.db");
  health = [];
  failures = [];
});

afterEach(async () => {
  for (const connection of connections) connection.close();
  await Promise.all([...stores].map((store) => store.close()));
  for (const child of children) await kill(child);
  for (const set of [stores, connections, children]) set.clear();
  await rm(folder, { recursive: true });
});

async function open(options: Partial<SqliteOptions> = {}): Promise<Store> {
  const store = await openSqliteStore(file, {
    clock: systemClock,
    onFailure: (error) => failures.push(error),
    onHealth: (trouble) => health.push(trouble?.code ?? "well"),
    ...options,
  });
  stores.add(store);
  return store;
}

/** Another program's connection to the same file. */
function connect(): DatabaseSync {
  const connection = new DatabaseSync(file, { timeout: 1000 });
  connections.add(connection);
  return connection;
}

async function start(
  ...args: readonly string[]
): Promise<{ child: ChildProcess; lines: string[]; first: Promise<unknown> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "sqlite-child.ts"), file, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.add(child);
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => lines.push(line));
  return { child, lines, first: once(reader, "line") };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

async function until(condition: () => boolean, withinMs = 20_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition() && performance.now() < end) await systemClock.sleep(10);
  expect(condition()).toBe(true);
}

async function timed(call: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const start = performance.now();
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - start };
}

const put = (store: Store, name: string): Promise<void> =>
  store.rejections.put("app", digestOf(name), verdict);
const find = async (store: Store, name: string): Promise<unknown> =>
  store.rejections.find("app", digestOf(name), now);

describe("durability", () => {
  it("keeps everything and the installation key across a restart", async () => {
    const before = await open();
    await put(before, "device");
    await before.dedupe.put([digestOf("push")], now);
    await before.knownApps.update("app", { lastConfiguredAtMs: now, served: true });
    await before.close();
    const after = await open();
    expect(after.durable).toBe(true);
    expect(after.installationKey).toEqual(before.installationKey);
    expect(await find(after, "device")).toEqual(verdict);
    expect(await after.dedupe.has(digestOf("push"), now)).toBe(true);
    expect(await after.knownApps.all()).toEqual([{ app: "app", lastConfiguredAtMs: now, served: true }]);
  });

  it("finishes what was asked before it is closed", async () => {
    const before = await open();
    const puts = Promise.all(Array.from({ length: 500 }, (_, i) => put(before, `${i}`)));
    await before.close();
    await puts;
    const after = await open();
    expect(await after.rejections.count(now)).toEqual(new Map([["app", 500]]));
  });

  it("has after kill -9 all that it acknowledged before", async () => {
    for (let round = 0; round < 5; round += 1) {
      const { child, lines, first } = await start(`${round}-`);
      await first;
      await until(() => lines.length > 100 + round * 37);
      await kill(child);
      const acknowledged = lines
        .filter((line) => line.startsWith(`${round}-`) && line !== "open")
        .slice(0, -1);
      expect(acknowledged.length).toBeGreaterThan(90);
      const store = await open();
      const found = await Promise.all(acknowledged.map((name) => find(store, name)));
      expect(found.filter((each) => each === undefined)).toEqual([]);
      await store.close();
    }
  }, 60_000);
});

describe("one instance a file", () => {
  const refusal = { name: "StoreError", code: "in-use" };

  it("refuses a second one in the same process, under another name too, until the first is closed", async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject(refusal);
    await symlink(file, join(folder, "link.db"));
    const link = openSqliteStore(join(folder, "link.db"), {
      clock: systemClock,
      onFailure() {},
      onHealth() {},
    });
    await expect(link).rejects.toMatchObject(refusal);
    await put(first, "device");
    await first.close();
    expect(await find(await open(), "device")).toEqual(verdict);
  });

  it("refuses a second process until the first is gone, however it went", async () => {
    const { child, first } = await start();
    await first;
    await expect(open()).rejects.toMatchObject(refusal);
    await kill(child);
    await put(await open(), "device");
  });

  it("lets other programs read while it runs", async () => {
    const store = await open();
    await put(store, "device");
    expect(connect().prepare("SELECT count(*) AS n FROM rejections").get()).toEqual({ n: 1 });
  });
});

describe("privacy", () => {
  it("makes all its files for the owner alone and tightens one that is open to others", async () => {
    const modes = async (): Promise<Record<string, string>> => {
      const entries = await Promise.all(
        (await readdir(folder)).map(async (name) => {
          return [name, ((await stat(join(folder, name))).mode & 0o777).toString(8)] as const;
        }),
      );
      return Object.fromEntries(entries);
    };
    const expected = { "s.db": "600", "s.db-lock": "600", "s.db-shm": "600", "s.db-wal": "600" };
    const first = await open();
    await put(first, "device");
    expect(await modes()).toEqual(expected);
    await first.close();
    await chmod(file, 0o664);
    await put(await open(), "device");
    expect(await modes()).toEqual(expected);
  });

  it("writes digests as bytes and nothing readable but the app's key", async () => {
    const store = await open();
    await put(store, "device");
    await store.close();
    const bytes = await readFile(file);
    expect(bytes.includes(Buffer.from(digestOf("device"), "hex"))).toBe(true);
    expect(bytes.includes(digestOf("device"))).toBe(false);
  });
});

describe("a file that cannot be the store", () => {
  /** A closed store with some content. */
  async function fill(count = 2000): Promise<void> {
    const store = await open();
    await Promise.all(Array.from({ length: count }, (_, i) => put(store, `${i}`)));
    await store.dedupe.put([digestOf("push")], now);
    await store.close();
  }

  async function flip(path: string, offset: number): Promise<Buffer> {
    const bytes = await readFile(path);
    bytes[offset] = (bytes[offset] ?? 0) ^ 0xff;
    await writeFile(path, bytes);
    return bytes;
  }

  async function refused(code: StoreError["code"], message: RegExp): Promise<void> {
    const { error } = await timed(open());
    expect(error).toMatchObject({ name: "StoreError", code, message: expect.stringMatching(message) });
  }

  /** A copy of a running store's files, as a crash leaves them: the log is not yet in the database. */
  async function crashed(): Promise<void> {
    const store = await open();
    for (let i = 0; i < 30; i += 1) await put(store, `${i}`);
    const copy = join(folder, "copy");
    await mkdir(copy);
    for (const name of ["s.db", "s.db-wal"]) await copyFile(join(folder, name), join(copy, name));
    await store.close();
    file = join(copy, "s.db");
  }

  it("in a directory that does not exist, or a directory itself", async () => {
    const good = file;
    file = join(folder, "none", "s.db");
    await refused("unavailable", /directory does not exist/);
    file = folder;
    await refused("unavailable", /not a file/);
    file = good;
  });

  it("written by a newer version", async () => {
    await (await open()).close();
    connect().exec("PRAGMA user_version = 99");
    await refused("too-new", /schema 99/);
  });

  it("of another program, which is left as it was", async () => {
    connect().exec("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    const before = await readFile(file);
    await refused("corrupt", /not a store of this program/);
    expect(await readFile(file)).toEqual(before);
  });

  it.each([0, 8, 16, 18, 21, 44, 56, 60, 63, 68, 75])(
    "with byte %i of its header flipped, and is not recreated",
    async (offset) => {
      await fill(10);
      const damaged = await flip(file, offset);
      await refused(offset === 63 ? "too-new" : "corrupt", /./);
      expect(await readFile(file)).toEqual(damaged);
    },
  );

  it("with its schema number set back", async () => {
    await (await open()).close();
    connect().exec("PRAGMA user_version = 0");
    await refused("corrupt", /schema number/);
  });

  it("with a damaged installation key", async () => {
    await fill(1);
    connect().exec("UPDATE meta SET value = zeroblob(40) WHERE name = 'installation_key'");
    await refused("corrupt", /installation key/);
  });

  it("with any one page's head flipped, tables and indexes alike", async () => {
    await fill(600);
    const whole = await readFile(file);
    const pages = whole.length / 4096;
    expect(pages).toBeGreaterThan(20);
    for (let page = 1; page < pages; page += 1) {
      const bytes = Buffer.from(whole);
      bytes[page * 4096] = 0x77;
      await writeFile(file, bytes);
      await refused("corrupt", /./);
    }
  });

  it("with an index that differs from its table", async () => {
    await fill();
    const whole = await readFile(file);
    // The entries of rejections_by_end end with the primary key: its second occurrence stands in the index.
    const key = Buffer.from(digestOf("7"), "hex");
    const first = whole.indexOf(key);
    const second = whole.indexOf(key, first + 1);
    expect(second).toBeGreaterThan(first);
    await flip(file, second + 5);
    await refused("corrupt", /damaged/);
  });

  it("cut short", async () => {
    await fill();
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, whole.length - 4096 * 3));
    await refused("corrupt", /./);
    await writeFile(file, whole.subarray(0, 50));
    await refused("corrupt", /does not begin like/);
  });

  it("emptied or gone while its log is still there", async () => {
    await crashed();
    await rm(file);
    await refused("corrupt", /write-ahead log is there/);
    await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("with a damaged log: its header or a frame that a later commit follows", async () => {
    await crashed();
    const wal = `${file}-wal`;
    const whole = await readFile(wal);
    const frames = (whole.length - 32) / 4120;
    expect(frames).toBeGreaterThan(60);
    const offsets = [
      0,
      9,
      17,
      25,
      32 + 2,
      32 + 9,
      32 + 18,
      32 + 24 + 2000,
      32 + 4120 * 20 + 3,
      32 + 4120 * 40 + 4000,
    ];
    for (const offset of offsets) {
      await writeFile(wal, whole);
      await flip(wal, offset);
      const damaged = await readFile(wal);
      await refused("corrupt", /-wal is damaged/);
      expect(await readFile(wal)).toEqual(damaged);
    }
  });

  it("but a log whose last commit was cut short by a crash is read up to there", async () => {
    await crashed();
    const wal = `${file}-wal`;
    const whole = await readFile(wal);
    await writeFile(wal, whole.subarray(0, whole.length - 100));
    const store = await open();
    expect(await find(store, "28")).toEqual(verdict);
    expect(await find(store, "29")).toBeUndefined();
  });

  it("nor is one that a torn last page leaves behind", async () => {
    await crashed();
    const wal = `${file}-wal`;
    await flip(wal, (await readFile(wal)).length - 100);
    expect(await find(await open(), "28")).toEqual(verdict);
  });

  it.each([
    ["3.51.2", "wal", 2],
    ["3.9.99", "wal", 2],
    ["nonsense", "wal", 2],
    ["3.53.4", "delete", 2],
    ["3.53.4", "wal", 1],
  ])("is any file with SQLite %s, journal_mode %s, synchronous %i", (version, journalMode, synchronous) => {
    expect(() => checkDurability({ version, journalMode, synchronous })).toThrow(
      /cannot keep a store safely/,
    );
  });

  it.each(["3.51.3", "3.52.0", "4.0.0"])("and SQLite %s is good", (version) => {
    expect(() => checkDurability({ version, journalMode: "wal", synchronous: 2 })).not.toThrow();
  });
});

describe("trouble while it runs", () => {
  it("a full store acknowledges nothing, still reads, and works again when there is room", async () => {
    const store = await open({ maxPages: 60 });
    await store.dedupe.put(
      Array.from({ length: 1000 }, (_, i) => digestOf(`old ${i}`)),
      now - 1,
    );
    const acknowledged: string[] = [];
    let refusal: unknown;
    for (let i = 0; refusal === undefined && i < 5000; i += 1) {
      const { error } = await timed(put(store, `${i}`));
      if (error === undefined) acknowledged.push(`${i}`);
      else refusal = error;
    }
    expect(refusal).toMatchObject({ name: "StoreError", code: "full" });
    expect(acknowledged.length).toBeGreaterThan(10);
    await until(() => health.at(-1) === "full");
    const last = acknowledged.at(-1) ?? "";
    expect(await find(store, last)).toEqual(verdict);
    expect(await store.prune(now)).toBe(1000);
    await put(store, "after");
    await until(() => health.at(-1) === "well");
    expect(await store.rejections.count(now)).toEqual(new Map([["app", acknowledged.length + 1]]));
  });

  it("another process's lock fails each call within 2 s, and the loop never stands still", async () => {
    const store = await open();
    await put(store, "before");
    const other = connect();
    other.exec("BEGIN EXCLUSIVE");
    let longestGapMs = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longestGapMs = Math.max(longestGapMs, performance.now() - last);
      last = performance.now();
    }, 5);
    // Also the calls that come while an earlier one still waits for the lock.
    const calls = Array.from({ length: 4 }, async (_, i) => {
      await systemClock.sleep(i * 200);
      return timed(put(store, `during ${i}`));
    });
    const results = await Promise.all(calls);
    clearInterval(timer);
    for (const { error, ms } of results) {
      expect(error).toMatchObject({ name: "StoreError", code: "unavailable" });
      expect(ms).toBeLessThan(2000);
    }
    expect(longestGapMs).toBeLessThan(500);
    expect(health).toEqual(["unavailable"]);
    expect(await find(store, "before")).toEqual(verdict);
    other.exec("ROLLBACK");
    await until(() => health.at(-1) === "well");
    await put(store, "after");
    expect(await find(store, "during 0")).toBeUndefined();
  });

  it("a call that nobody waits for any more is left undone, and the queue is bounded", async () => {
    const store = await open({ deadlineMs: 1000, busyTimeoutMs: 10_000, maxWaiting: 3 });
    const other = connect();
    other.exec("BEGIN EXCLUSIVE");
    const stuck = timed(put(store, "stuck in the turn"));
    await systemClock.sleep(100);
    const late = [timed(put(store, "late 1")), timed(put(store, "late 2"))];
    const excess = await timed(put(store, "one too many"));
    expect(excess.error).toMatchObject({ code: "unavailable", message: expect.stringMatching(/too many/) });
    expect(excess.ms).toBeLessThan(500);
    for (const { error, ms } of await Promise.all([stuck, ...late])) {
      expect(error).toMatchObject({ code: "unavailable", message: expect.stringMatching(/1000 ms/) });
      expect(ms).toBeGreaterThan(990);
      expect(ms).toBeLessThan(4000);
    }
    other.exec("ROLLBACK");
    await until(() => health.at(-1) === "well");
    await put(store, "after");
    expect(await find(store, "late 1")).toBeUndefined();
    expect(await find(store, "late 2")).toBeUndefined();
  });

  it("what was claimed when nobody waited for it any more is given back", async () => {
    const store = await open({ deadlineMs: 1000, busyTimeoutMs: 10_000 });
    const payload = JSON.stringify({ name: "push" });
    const promised = { id: randomUUID(), app: "app", device: digestOf("device"), payload, attempts: 2 };
    const caps = { maxRows: 10, maxBytes: 1e6, maxAppRows: 10, maxAppBytes: 1e6 };
    await store.outbox.put([{ ...promised, dueInMs: 0, expiresInMs: 600_000, receivedAtMs: now }], caps);
    const other = connect();
    other.exec("BEGIN EXCLUSIVE");
    const claim = (): ReturnType<Store["outbox"]["claim"]> =>
      store.outbox.claim({ apps: ["app"], limit: 10, lease: { owner: "me", leaseMs: 60_000 } });
    expect((await timed(claim())).error).toMatchObject({ code: "unavailable" });
    other.exec("ROLLBACK");
    const row = other.prepare("SELECT claims, owner FROM outbox");
    const isGivenBack = (): boolean => {
      const { claims, owner } = row.get() ?? {};
      return claims === 1 && owner === null;
    };
    await until(isGivenBack);
    expect(await claim()).toMatchObject([{ id: promised.id, attempts: 2, crashes: 0 }]);
  });

  it("a reader that never ends stops writing at the log's limit, not later, and only while it reads", async () => {
    const store = await open({ maxWalBytes: 400_000 });
    await put(store, "first");
    const reader = connect();
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM rejections").get();
    let refusal: unknown;
    for (let i = 0; refusal === undefined && i < 2000; i += 1)
      refusal = (await timed(put(store, `${i}`))).error;
    expect(refusal).toMatchObject({ code: "unavailable", message: expect.stringMatching(/write-ahead log/) });
    expect((await stat(`${file}-wal`)).size).toBeLessThan(500_000);
    reader.exec("COMMIT");
    await until(() => health.at(-1) === "well");
    await put(store, "after");
    expect((await stat(`${file}-wal`)).size).toBeLessThan(400_000);
  });

  it("a deleted or moved file is noticed without a call, never made anew, and welcome back", async () => {
    const store = await open();
    await put(store, "before");
    await rename(file, `${file}.away`);
    await until(() => health.at(-1) === "unavailable");
    await expect(put(store, "during")).rejects.toMatchObject({ code: "unavailable" });
    await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
    await rename(`${file}.away`, file);
    await until(() => health.at(-1) === "well");
    await put(store, "after");
    expect(await find(store, "during")).toBeUndefined();
  });

  it("one call's own fault fails that call alone", async () => {
    const store = await open();
    const wrong = { sinceMs: 0.5, keepUntilMs: now };
    const calls = [put(store, "a"), store.rejections.put("app", digestOf("b"), wrong), put(store, "c")];
    const results = await Promise.allSettled(calls);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { name: "StoreError", code: "internal" } });
    expect(await store.rejections.count(0)).toEqual(new Map([["app", 2]]));
    expect(health).toEqual([]);
  });

  it("the thread's death rejects every call and is told once", async () => {
    // In a process of its own, where the thread can be got hold of.
    const source = (name: string): string => JSON.stringify(join(import.meta.dirname, "../../src", name));
    const script = `
      import { systemClock } from ${source("clock.ts")};
      import { openSqliteStore } from ${source("store/sqlite.ts")};
      let thread;
      process.on("worker", (worker) => (thread = worker));
      const said = [];
      const store = await openSqliteStore(process.argv[1], {
        clock: systemClock,
        onFailure: (error) => said.push("failure " + error.code),
        onHealth() {},
      });
      const calls = [store.knownApps.all(), store.prune(0), store.knownApps.forget(0)];
      const settled = Promise.allSettled(calls);
      thread.postMessage({ kind: "requests", requests: 1 });
      for (const { status, reason } of await settled) said.push(status + " " + reason?.code);
      await store.knownApps.all().catch((error) => said.push("later " + error.code));
      await store.close();
      console.log(JSON.stringify(said));
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.add(child);
    const [line] = await once(createInterface({ input: child.stdout }), "line");
    expect(JSON.parse(String(line))).toEqual([
      "failure unavailable",
      ...Array(3).fill("rejected unavailable"),
      "later unavailable",
    ]);
    expect((await once(child, "close"))[0]).toBe(0);
  });
});
