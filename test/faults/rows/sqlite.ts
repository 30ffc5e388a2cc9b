import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { checkDurability } from "../../../src/store/sqlite-connection.ts";
import { ANDROID, IOS } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { expectKept } from "../ledger.ts";
import { seriesOf, type GatewayProcess } from "../support/gateway-process.ts";
import { withRig, type Rig } from "../support/rig.ts";
import { inject, needMounts, needStrace, type Injection } from "../support/strace.ts";
import type { Answered, Load } from "../support/load.ts";
import { outboxStates, totalStates } from "../support/outbox-states.ts";
import { quantile, sleep, until } from "../support/shared.ts";
import { checkFlushOrder } from "../support/flush-order.ts";

const down = { upstream: "apns", answer: { kind: "error", reason: "ServiceUnavailable" } } as const;
const quick = { delivery: { answer_within: "200ms", drain_delay: "100ms" } };
/** A window in which an upstream that works answers on a slow machine too. */
const unhurried = { delivery: { answer_within: "1500ms", drain_delay: "100ms" } };

/** Requests begun since a moment, by app. */
const since = (load: Load, ms: number, app: string): readonly Answered[] =>
  load.answers.filter((answer) => answer.begunMs >= ms && answer.app === app);

interface Broken {
  readonly gateway: GatewayProcess;
  readonly load: Load;
  readonly rig: Rig;
}

/**
 * The store cannot be written while APNs is down: what could only be promised is refused, what FCM takes is answered
 * 200, and 5 s after the fault ends everything is as before, in the same process. Nothing acknowledged is lost.
 */
async function storeFails(
  breakIt: (broken: Broken) => Promise<() => Promise<void>>,
  prepare: (
    rig: Rig,
  ) => Promise<{ readonly storeUrl?: string; readonly cleanUp?: () => Promise<void> }> = async () => ({}),
): Promise<string> {
  return withRig({ latencyMs: 20 }, async (rig) => {
    const { storeUrl, cleanUp } = await prepare(rig);
    try {
      const gateway = await rig.gateway({
        config: unhurried,
        ...(storeUrl === undefined ? {} : { storeUrl }),
      });
      await gateway.start();
      const load = rig.load({
        urls: [gateway.url],
        perSecond: 60,
        appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
      });
      await sleep(1_000);
      const [rule = 0] = await rig.upstreams.addRules(down);
      await until("promises", async () => totalStates(await gateway.scrape()).pending > 10);
      const { pid } = gateway.child;
      const mend = await breakIt({ gateway, load, rig });
      const brokenMs = performance.now();
      await sleep(4_000);
      const refused = since(load, brokenMs, IOS);
      const served = since(load, brokenMs, ANDROID);
      const settledMs = performance.now();
      await mend();
      const mendedMs = performance.now();
      assert.ok(refused.length > 20, "the load did not run");
      const late = refused.filter(({ begunMs }) => begunMs > brokenMs + 500);
      assert.ok(
        late.length > 0 && late.every(({ status }) => status === 503),
        `false answers: ${statuses(late)}`,
      );
      assert.ok(
        late.every(({ retryAfter }) => Number(retryAfter) > 0),
        "503 without Retry-After",
      );
      assert.ok(
        served.every(({ how }) => how === "ok"),
        `what needs no store was not served: ${statuses(served)}`,
      );
      await until(
        "promises again",
        () =>
          since(load, settledMs, IOS).some(({ how, begunMs }) => how === "ok" && begunMs >= mendedMs - 2_000),
        8_000,
      );
      const first = since(load, settledMs, IOS).find(({ how }) => how === "ok");
      const backMs = (first?.begunMs ?? Infinity) + (first?.tookMs ?? 0) - settledMs;
      assert.ok(backMs <= 5_000, `back only after ${backMs} ms`);
      await sleep(500);
      await rig.upstreams.removeRule(rule);
      await load.stop();
      const result = await rig.settle(gateway, 60_000);
      expectKept(result);
      assert.equal(gateway.child.pid, pid);
      return `${late.length} refused with 503, 0 false 2xx, ${served.length} others served, back in ${(Math.max(0, backMs) / 1_000).toFixed(1)} s, lost 0`;
    } finally {
      await cleanUp?.();
    }
  });
}

const statuses = (answers: readonly Answered[]): string =>
  [...new Set(answers.map(({ status, how }) => `${status} ${how}`))].join(", ");

const injected =
  (...faults: readonly string[]) =>
  async ({ gateway }: Broken): Promise<() => Promise<void>> => {
    const injection: Injection = await inject(gateway.child.pid ?? 0, faults);
    return () => injection.end();
  };

/** A file system of a few megabytes; the filler takes all that is left. */
async function smallDisk(rig: Rig): Promise<{ directory: string; cleanUp: () => Promise<void> }> {
  const directory = join(rig.directory, "small");
  await mkdir(directory);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", directory]);
  assert.equal(mounted.status, 0, String(mounted.stderr));
  return {
    directory,
    cleanUp: async () => {
      spawnSync("umount", ["-l", directory]);
    },
  };
}

async function fill(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, "filler");
  const file = await open(path, "w");
  const block = Buffer.alloc(4_096, 1);
  try {
    for (;;) await file.write(block);
  } catch {
    // Full.
  } finally {
    await file.close();
  }
  return () => rm(path);
}

/** A store with promises in it, its gateway killed. */
async function withKilledStore(
  work: (rig: Rig, gateway: GatewayProcess, file: string) => Promise<string>,
): Promise<string> {
  return withRig({}, async (rig) => {
    const gateway = await rig.gateway({ config: quick });
    await gateway.start();
    await rig.upstreams.addRules(down);
    const load = rig.load({ urls: [gateway.url], perSecond: 100 });
    await sleep(1_500);
    await load.stop();
    await gateway.kill();
    return work(rig, gateway, join(rig.directory, "gateway.db"));
  });
}

export const sqliteFaults: readonly Fault[] = [
  {
    number: "SS01",
    fault: "disk full at commit",
    tier: 1,
    waits: true,
    ci: true,
    limitMs: 120_000,
    async run() {
      needMounts();
      let directory = "";
      return storeFails(
        async () => fill(directory),
        async (rig) => {
          const disk = await smallDisk(rig);
          directory = disk.directory;
          return { storeUrl: `sqlite:${join(directory, "s.db")}`, cleanUp: disk.cleanUp };
        },
      );
    },
  },
  {
    number: "SS02",
    fault: "disk full when an outcome is to be recorded",
    tier: 1,
    waits: true,
    limitMs: 120_000,
    async run() {
      needStrace();
      return withRig({ latencyMs: 20 }, async (rig) => {
        const gateway = await rig.gateway({ config: quick });
        await gateway.start();
        const [rule = 0] = await rig.upstreams.addRules(down);
        const load = rig.load({ urls: [gateway.url], perSecond: 50 });
        await sleep(2_000);
        await load.stop();
        const { pending } = totalStates(await gateway.scrape());
        assert.ok(pending >= 50);
        const injection = await inject(gateway.child.pid ?? 0, ["pwrite64:error=ENOSPC"]);
        await rig.upstreams.removeRule(rule);
        await sleep(8_000);
        await injection.end();
        const result = await rig.settle(gateway, 60_000);
        expectKept(result);
        assert.ok(result.duplicated <= pending);
        return `${pending} promised, lost 0, duplicated ${result.duplicated}`;
      });
    },
  },
  {
    number: "SS03",
    fault: "the file system turns read-only",
    tier: 1,
    waits: true,
    limitMs: 120_000,
    async run() {
      needStrace();
      return storeFails(
        injected(
          "pwrite64:error=EROFS",
          "fsync:error=EROFS",
          "ftruncate:error=EROFS",
          "fallocate:error=EROFS",
        ),
      );
    },
  },
  {
    number: "SS04",
    fault: "EIO on flush",
    tier: 1,
    waits: true,
    ci: true,
    limitMs: 120_000,
    async run() {
      needStrace();
      return storeFails(injected("fsync:error=EIO", "fdatasync:error=EIO"));
    },
  },
  {
    number: "SS05",
    fault: "another process holds the write lock",
    tier: 1,
    limitMs: 120_000,
    run: () =>
      withRig({}, async (rig) => {
        const gateway = await rig.gateway({ config: quick });
        await gateway.start();
        await rig.upstreams.addRules(down);
        const load = rig.load({
          urls: [gateway.url],
          perSecond: 40,
          appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
        });
        await sleep(1_500);
        const program = `
          const { DatabaseSync } = require("node:sqlite");
          const db = new DatabaseSync(process.argv[1], { timeout: 20000 });
          db.exec("BEGIN EXCLUSIVE");
          console.log("held");
          setTimeout(() => {}, 60000);`;
        const holder = spawn(process.execPath, ["-e", program, join(rig.directory, "gateway.db")], {
          stdio: ["ignore", "pipe", "ignore"],
        });
        try {
          await once(holder.stdout, "data");
          await gateway.scrape();
          const fromMs = performance.now();
          await sleep(6_000);
          const blocked = since(load, fromMs, IOS).filter(({ begunMs }) => begunMs > fromMs + 300);
          assert.ok(blocked.length > 50 && blocked.every(({ status }) => status === 503), statuses(blocked));
          const slowest = Math.max(...blocked.map(({ tookMs }) => tookMs));
          assert.ok(slowest <= 200 + 2_000 + 500, `${slowest} ms`);
          const others = since(load, fromMs, ANDROID);
          assert.ok(
            others.every(({ how }) => how === "ok"),
            statuses(others),
          );
          const p99 = quantile(
            others.map(({ tookMs }) => tookMs),
            0.99,
          );
          assert.ok(p99 <= 300, `the loop is blocked: ${p99} ms`);
          holder.kill("SIGKILL");
          const freedMs = performance.now();
          await until(
            "promises again",
            () => since(load, freedMs, IOS).some(({ how }) => how === "ok"),
            6_000,
          );
          return `503 within ${slowest.toFixed(0)} ms, others p99 ${p99.toFixed(0)} ms, back in ${((performance.now() - freedMs) / 1_000).toFixed(1)} s`;
        } finally {
          holder.kill("SIGKILL");
        }
      }),
  },
  {
    number: "SS06",
    fault: "bytes flipped in the header, in a page, in the log",
    tier: 1,
    limitMs: 240_000,
    waits: true,
    ci: true,
    run: () =>
      withKilledStore(async (rig, gateway, file) => {
        const wal = await readFile(`${file}-wal`);
        const page = await readFile(file);
        const flip = (bytes: Buffer, at: number): Buffer => {
          const copy = Buffer.from(bytes);
          for (let i = at; i < Math.min(copy.length, at + 8); i += 1) copy[i] = (copy[i] ?? 0) ^ 0xff;
          return copy;
        };
        // What the log holds outweighs the file, so the file is damaged where nothing is left in the log.
        const whole = join(rig.directory, "whole.db");
        await writeFile(whole, page);
        await writeFile(`${whole}-wal`, wal);
        const copy = new DatabaseSync(whole);
        copy.exec("PRAGMA wal_checkpoint(TRUNCATE)");
        copy.close();
        const flushed = await readFile(whole);
        const none = Buffer.alloc(0);
        const damages: readonly (readonly [string, Buffer, Buffer])[] = [
          ["header", flip(page, 0), wal],
          ["the schema's page", flip(flushed, 100), none],
          ["a page of a table or index", flip(flushed, 4_096 * 3), none],
          ["the last page", flip(flushed, flushed.length - 4_096), none],
          ["the file, cut short", flushed.subarray(0, flushed.length - 4_096), none],
          ["a frame amid the log", page, flip(wal, Math.floor(wal.length / 2))],
          ["the log's header", page, flip(wal, 8)],
        ];
        for (const [what, database, log] of damages) {
          await writeFile(file, database);
          if (log.length > 0) await writeFile(`${file}-wal`, log);
          else await rm(`${file}-wal`, { force: true });
          await rm(`${file}-shm`, { force: true });
          gateway.exec();
          const timer = setTimeout(() => gateway.child.kill("SIGKILL"), 30_000);
          const code = await gateway.ended();
          clearTimeout(timer);
          assert.equal(code, 1, `${what}: the start was not refused`);
          assert.match(gateway.output(), /gateway\.db/, what);
          assert.deepEqual(await readFile(file), database, `${what}: the file was written to`);
        }
        await writeFile(file, page);
        await writeFile(`${file}-wal`, wal);
        await rm(`${file}-shm`, { force: true });
        await gateway.start();
        await rig.upstreams.clearRules();
        const result = await rig.settle(gateway, 30_000);
        expectKept(result);
        return `${damages.length} refused with a reason, untouched; the sound one: ${result.acknowledged} kept`;
      }),
  },
  {
    number: "SS10",
    fault: "each flush takes 500 ms",
    tier: 1,
    limitMs: 120_000,
    async run() {
      needStrace();
      return withRig({}, async (rig) => {
        const gateway = await rig.gateway({ config: quick });
        await gateway.start();
        await rig.upstreams.addRules(down);
        const load = rig.load({
          urls: [gateway.url],
          perSecond: 100,
          appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
        });
        await sleep(1_500);
        const injection = await inject(gateway.child.pid ?? 0, ["fsync:delay_enter=500000"]);
        await gateway.scrape();
        const fromMs = performance.now();
        await sleep(8_000);
        const scrape = await gateway.scrape();
        const promised = since(load, fromMs, IOS);
        await load.stop();
        await injection.end();
        assert.ok(promised.length > 300 && promised.every(({ how }) => how === "ok"), statuses(promised));
        const p99 = quantile(
          promised.map(({ tookMs }) => tookMs),
          0.99,
        );
        assert.ok(p99 <= 2_000, `${p99} ms`);
        const loop = seriesOf(scrape, 'signalbox_event_loop_delay_seconds{quantile="0.99"}') * 1_000;
        assert.ok(loop <= 50, `loop delay ${loop} ms`);
        await rig.upstreams.clearRules();
        expectKept(await rig.settle(gateway, 60_000));
        return `${promised.length} promises, p99 ${p99.toFixed(0)} ms (<= 2,000), loop p99 ${loop.toFixed(0)} ms (<= 50)`;
      });
    },
  },
  {
    number: "SS11",
    fault: "a second instance on the same file",
    tier: 1,
    waits: true,
    ci: true,
    run: () =>
      withRig({}, async (rig) => {
        const storeUrl = `sqlite:${join(rig.directory, "shared.db")}`;
        const first = await rig.gateway({ storeUrl, name: "first" });
        const second = await rig.gateway({ storeUrl, name: "second" });
        await first.start();
        second.exec();
        assert.equal(await second.ended(), 1);
        assert.match(second.output(), /shared\.db.*in use/);
        await first.kill();
        const ms = await second.start();
        return `refused with exit 1; starts ${ms.toFixed(0)} ms after the first is gone`;
      }),
  },
  {
    number: "SS14",
    fault: "the outbox at its cap: one app's share, the whole",
    tier: 1,
    waits: true,
    run: () =>
      withRig({}, async (rig) => {
        const gateway = await rig.gateway({
          config: { ...quick, outbox: { max_rows: 200, app_share: 0.4 } },
          apps: ({ ios }) => ({ "com.example.second": ios, "com.example.third": ios }),
        });
        await gateway.start();
        await rig.upstreams.addRules(down);
        const load = rig.load({ urls: [gateway.url], perSecond: 0 });
        const many = async (app: string, count: number): Promise<readonly Answered[]> =>
          Promise.all(Array.from({ length: count }, () => load.push(app)));
        const pending = async (app: string): Promise<number> =>
          outboxStates(await gateway.scrape()).get(app)?.pending ?? 0;
        const first = await many(IOS, 120);
        assert.equal(first.filter(({ status }) => status === 200).length, 80);
        const refused = first.filter(({ status }) => status === 503);
        assert.equal(refused.length, 40);
        assert.ok(refused.every(({ retryAfter }) => Number(retryAfter) > 0));
        assert.equal(await pending(IOS), 80);
        assert.ok((await many(ANDROID, 20)).every(({ how }) => how === "ok"));
        assert.ok((await many("com.example.second", 80)).every(({ status }) => status === 200));
        const third = await many("com.example.third", 60);
        assert.equal(third.filter(({ status }) => status === 200).length, 40, "the cap of all is not kept");
        await rig.upstreams.clearRules();
        await load.stop();
        const result = await rig.settle(gateway, 60_000);
        expectKept(result);
        return "80 of 120 at the share, 40 of 60 at the whole, others served, lost 0";
      }),
  },
  {
    number: "SS15",
    fault: "SQLite before 3.51.3, synchronous not FULL, not WAL",
    tier: 1,
    async run() {
      const good = { version: "3.53.0", journalMode: "wal", synchronous: 2 };
      checkDurability(good);
      const bad = [
        { version: "3.51.2" },
        { version: "3.9.9" },
        { version: "3.50.99" },
        { synchronous: 1 },
        { synchronous: 0 },
        { journalMode: "delete" },
        { journalMode: "memory" },
      ];
      for (const change of bad)
        assert.throws(() => checkDurability({ ...good, ...change }), { name: "StoreError" });
      return `${bad.length} kinds refused`;
    },
  },
  {
    number: "G03",
    fault: "flush order: no 2xx before the push is on disk (from one trace)",
    tier: 1,
    ci: true,
    limitMs: 90_000,
    async run() {
      needStrace();
      return checkFlushOrder();
    },
  },
];
