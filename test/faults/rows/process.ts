import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { spawnSync } from "node:child_process";
import { ANDROID, IOS, message } from "../../support/with-gateway.ts";
import { runCrashCycles } from "../crash.ts";
import { skip, type Fault } from "../fault.ts";
import { expectKept } from "../ledger.ts";
import { seriesOf } from "../support/gateway-process.ts";
import { withRig, type Rig } from "../support/rig.ts";
import { childOf, needStrace, underStrace } from "../support/strace.ts";
import { totalStates } from "../support/outbox-states.ts";
import { freshIos, sleep, timed, until } from "../support/shared.ts";

const down = { upstream: "apns", answer: { kind: "error", reason: "ServiceUnavailable" } } as const;
const quick = { delivery: { answer_within: "200ms", drain_delay: "200ms" } };
const breaker = fileURLToPath(new URL("../support/break-from-within.ts", import.meta.url));

/** A copy of a dead gateway's store is sound. */
async function expectSound(directory: string, name = "gateway"): Promise<void> {
  const copy = join(directory, "sound");
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy);
  for (const end of ["", "-wal"])
    await copyFile(join(directory, `${name}.db${end}`), join(copy, `c.db${end}`)).catch(() => {});
  const database = new DatabaseSync(join(copy, "c.db"));
  try {
    assert.equal(Object.values(database.prepare("PRAGMA integrity_check").get() ?? {})[0], "ok");
  } finally {
    database.close();
  }
}

/** Breaks a gateway from within while promises wait; it must end by itself, and lose nothing. */
async function breakFromWithin(
  kind: string,
): Promise<{ readonly code: number | string; readonly ms: number; readonly owed: number }> {
  return withRig({}, async (rig) => {
    const gateway = await rig.gateway({
      config: quick,
      nodeOptions: ["--import", breaker],
      env: { BREAK: kind },
    });
    await gateway.start();
    const [rule = 0] = await rig.upstreams.addRules(down);
    const load = rig.load({ urls: [gateway.url], perSecond: 40 });
    await sleep(1_000);
    const owed = totalStates(await gateway.scrape()).pending;
    gateway.child.kill("SIGUSR2");
    const { value: code, ms } = await timed(() =>
      Promise.race([gateway.ended(), sleep(5_000).then(() => "it lives on")]),
    );
    await load.stop();
    const output = gateway.output();
    await gateway.start();
    await rig.upstreams.removeRule(rule);
    const result = await rig.settle(gateway, 60_000);
    expectKept(result);
    assert.equal(code, 1, kind);
    assert.ok(ms <= 1_000 + 500, `${kind}: ${ms} ms`);
    assert.ok(output.includes('"level":"error"'), `${kind}: nothing was logged`);
    assert.ok(!output.includes("canary"), `${kind}: the error's message is in the log`);
    return { code, ms, owed };
  });
}

/** PR02: the process is killed at its n-th call of this kind, on one fixed script of pushes and a store of its own. */
async function killedAt(rig: Rig, call: string, n: number): Promise<"killed" | "survived"> {
  const name = `${call}-${n}`;
  await rig.upstreams.addRules(down);
  const gateway = await rig.gateway({
    config: quick,
    name,
    wrapper: underStrace([`${call}:signal=SIGKILL:when=${n}`], join(rig.directory, `${name}.trace`)),
  });
  let killed = false;
  try {
    await gateway.start();
  } catch {
    killed = true;
  }
  const load = rig.load({ urls: [gateway.url], perSecond: 0 });
  if (!killed) {
    const ended = gateway.ended().then(() => "ended" as const);
    for (let i = 0; i < 12; i += 1) {
      const pushes = Promise.all([load.push(IOS), load.push(IOS), load.push(ANDROID)]);
      if ((await Promise.race([pushes, ended])) === "ended") {
        await pushes;
        killed = true;
        break;
      }
    }
  }
  if (!killed) {
    const node = childOf(gateway.child.pid ?? 0);
    if (node > 0) process.kill(node, "SIGKILL");
  }
  await gateway.ended();
  await load.stop();
  // The first kill may have come before there was a file.
  await expectSound(rig.directory, name);
  const again = await rig.gateway({
    config: quick,
    storeUrl: `sqlite:${join(rig.directory, `${name}.db`)}`,
    name: `${name}-again`,
  });
  await again.start();
  await rig.upstreams.clearRules();
  // All that was acknowledged at any point so far: those before were handed over, or this would have failed then.
  const result = await rig.settle(again, 30_000);
  expectKept(result);
  await again.kill();
  return killed ? "killed" : "survived";
}

async function holdOpen(port: number, count: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 1) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    sockets.push(socket);
  }
  await sleep(500);
  return sockets;
}

export const processFaults: readonly Fault[] = [
  {
    number: "PR01",
    fault: "kill -9 at a random moment under load, 20 cycles",
    tier: 1,
    limitMs: 300_000,
    run: () => runCrashCycles({ cycles: 20, store: "sqlite" }),
  },
  {
    number: "PR01",
    fault: "kill -9 at a random moment under load, 8 cycles",
    tier: 1,
    ci: "only",
    limitMs: 120_000,
    run: () => runCrashCycles({ cycles: 8, store: "sqlite" }),
  },
  {
    number: "PR02",
    fault: "SIGKILL at the n-th pwrite64, fsync, writev, 50 points",
    tier: 1,
    waits: true,
    limitMs: 400_000,
    async run() {
      needStrace();
      let killed = 0;
      const points: (readonly [string, number])[] = [
        ...Array.from({ length: 22 }, (_, i) => ["pwrite64", 1 + i * 5] as const),
        ...Array.from({ length: 18 }, (_, i) => ["fsync", 1 + i] as const),
        ...Array.from({ length: 10 }, (_, i) => ["writev", 1 + i * 2] as const),
      ];
      const queue = [...points];
      const lane = (): Promise<void> =>
        withRig({}, async (rig) => {
          for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
            if ((await killedAt(rig, ...next)) === "killed") killed += 1;
          }
        });
      await Promise.all([lane(), lane(), lane()]);
      assert.ok(killed >= points.length / 2, `only ${killed} of ${points.length} points were reached`);
      return `${points.length} points, ${killed} reached, lost 0 at every one`;
    },
  },
  {
    number: "PR03",
    fault: "SIGTERM under load, two replicas behind a balancer, 5 times",
    tier: 1,
    waits: true,
    limitMs: 180_000,
    run: () =>
      withRig({ latencyMs: 50 }, async (rig) => {
        const config = { delivery: { answer_within: "300ms", drain_delay: "1s" } };
        const replicas = [
          await rig.gateway({ config, name: "one" }),
          await rig.gateway({ config, name: "two" }),
        ];
        const [one, two] = replicas;
        assert.ok(one !== undefined && two !== undefined);
        for (const replica of replicas) await replica.start();
        await rig.upstreams.addRules({ upstream: "apns", ratio: 0.05, delay: { minMs: 300, maxMs: 1_000 } });
        const load = rig.load({ urls: [one.url, two.url], perSecond: 150 });
        const exits: number[] = [];
        for (let i = 0; i < 5; i += 1) {
          await sleep(700);
          const ended = await timed((): Promise<number | string> => one.end("SIGTERM"));
          assert.equal(ended.value, 0);
          exits.push(ended.ms);
          await sleep(300);
          await one.start();
        }
        await load.stop();
        await rig.upstreams.clearRules();
        await rig.settle(two, 30_000);
        const result = await rig.settle(one, 30_000);
        expectKept(result);
        const bad = load.answers.filter(({ how }) => how !== "ok");
        assert.equal(
          bad.length,
          0,
          `callers saw ${bad.map(({ how, status, error }) => `${how} ${status} ${error ?? ""}`).join(", ")}`,
        );
        assert.equal(result.duplicated, 0);
        return `${load.answers.length} pushes, 0 errors, lost 0, duplicated 0, exit at most ${(Math.max(...exits) / 1_000).toFixed(1)} s`;
      }),
  },
  {
    number: "PR04",
    fault: "SIGTERM with all upstreams hung; a second SIGTERM",
    tier: 1,
    waits: "idle",
    limitMs: 120_000,
    run: async () => {
      const stop = async (signals: number): Promise<{ ms: number; code: number | string }> =>
        withRig({}, async (rig) => {
          const gateway = await rig.gateway({
            config: { delivery: { answer_within: "2s", drain_delay: "500ms" } },
          });
          await gateway.start();
          await rig.upstreams.addRules({ answer: { kind: "hang" } });
          const load = rig.load({ urls: [gateway.url], perSecond: 0 });
          const pushes = Array.from({ length: 60 }, (_, i) => load.push(i % 2 === 0 ? IOS : ANDROID));
          if (signals === 2) await Promise.all(pushes);
          else await sleep(300);
          const stopped = timed(() => gateway.end("SIGTERM"));
          if (signals === 2) {
            await sleep(200);
            gateway.child.kill("SIGTERM");
          }
          const { value: code, ms } = await stopped;
          const answers = await Promise.all(pushes);
          assert.ok(
            answers.every(({ how }) => how === "ok"),
            "a caller was not answered 200",
          );
          await rig.upstreams.clearRules();
          await gateway.start();
          const result = await rig.settle(gateway, 60_000);
          expectKept(result);
          return { ms, code };
        });
      const first = await stop(1);
      assert.equal(first.code, 0);
      assert.ok(first.ms <= 25_000, `${first.ms} ms`);
      const second = await stop(2);
      assert.ok(second.ms <= 1_000, `${second.ms} ms`);
      return `60 committed, exit after ${(first.ms / 1_000).toFixed(1)} s; second after ${second.ms.toFixed(0)} ms, lost 0`;
    },
  },
  {
    number: "PR05",
    fault: "SIGTERM and SIGKILL during the start and the migration",
    tier: 1,
    waits: true,
    limitMs: 120_000,
    run: () =>
      withRig({}, async (rig) => {
        let inTheMidst = 0;
        for (let i = 0; i < 12; i += 1) {
          // A new store now and then, so that the migration is met too.
          const gateway = await rig.gateway({ name: `start-${Math.floor(i / 4)}` });
          gateway.exec();
          await sleep(150 + Math.random() * 700);
          const listening = gateway.output().includes('"message":"listening"');
          if (!listening) inTheMidst += 1;
          const signal = i % 2 === 0 ? "SIGKILL" : "SIGTERM";
          const ended = await Promise.race([gateway.end(signal), sleep(12_000).then(() => "late" as const)]);
          // Before Node has come to our code a SIGTERM ends it as it ends any process.
          assert.ok(
            ended === 0 || ended === "SIGKILL" || ended === "SIGTERM",
            `${signal}: ended with ${ended}`,
          );
          await gateway.start();
          await gateway.kill();
          await expectSound(rig.directory, `start-${Math.floor(i / 4)}`);
        }
        assert.ok(inTheMidst >= 3, "the start was never met in its midst");
        return `12 signals, ${inTheMidst} before it listened, 12 clean next starts`;
      }),
  },
  {
    number: "PR08",
    fault: "nofile = 256 and 400 connections",
    tier: 1,
    limitMs: 90_000,
    run: () =>
      withRig({}, async (rig) => {
        if (spawnSync("prlimit", ["--version"]).error !== undefined) skip("prlimit is missing");
        const gateway = await rig.gateway({ wrapper: ["prlimit", "--nofile=256:256"] });
        await gateway.start();
        const load = rig.load({
          urls: [gateway.url],
          perSecond: 30,
          appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
        });
        await sleep(1_000);
        const before = load.answers.length;
        const held = await holdOpen(gateway.port, 400);
        await sleep(2_500);
        const served = load.answers.slice(before).filter(({ how }) => how === "ok").length;
        const failed = load.answers.slice(before).filter(({ status }) => status >= 500).length;
        assert.equal(gateway.child.exitCode, null, "the process ended");
        for (const socket of held) socket.destroy();
        const freedMs = performance.now();
        await until(
          "a new connection is served",
          async () => {
            const answer = await fetch(`http://127.0.0.1:${gateway.port}/health`, {
              signal: AbortSignal.timeout(1_000),
            }).catch(() => undefined);
            return answer?.status === 200;
          },
          10_000,
        );
        const backMs = performance.now() - freedMs;
        await load.stop();
        const result = await rig.settle(gateway, 20_000);
        expectKept(result);
        assert.equal(failed, 0, "upstream sockets failed");
        assert.ok(served > 0, "callers that were connected were not served");
        return `${served} served meanwhile, back in ${(backMs / 1_000).toFixed(1)} s, lost 0`;
      }),
  },
  {
    number: "PR10",
    fault: "an exception in a timer, a handler, an emitter; a rejection",
    tier: 1,
    waits: true,
    limitMs: 120_000,
    async run() {
      const figures: string[] = [];
      let owed = 0;
      for (const kind of ["timer", "rejection", "emitter", "handler"]) {
        const { ms, owed: each } = await breakFromWithin(kind);
        figures.push(`${kind} ${ms.toFixed(0)} ms`);
        owed += each;
      }
      assert.ok(owed > 0);
      return `exit 1: ${figures.join(", ")}; ${owed} owed, lost 0`;
    },
  },
  {
    number: "PR11",
    fault: "the store's thread dies",
    tier: 1,
    waits: true,
    ci: true,
    async run() {
      const { ms, owed } = await breakFromWithin("store-thread");
      assert.ok(owed > 0);
      return `exit 1 in ${ms.toFixed(0)} ms; ${owed} owed, lost 0`;
    },
  },
  {
    number: "PR12",
    fault: "stdout and stderr that nobody reads",
    tier: 1,
    waits: true,
    run: () =>
      withRig({}, async (rig) => {
        const gateway = await rig.gateway({
          stdio: "unread",
          config: { log: { setup: { root: { level: "DEBUG" } } } },
        });
        await gateway.start();
        const dropped = async (): Promise<number> =>
          seriesOf(await gateway.scrape(), "signalbox_log_lines_dropped_total");
        const send = async (): Promise<number> => {
          const devices = Array.from({ length: 100 }, () => ({ app_id: IOS, pushkey: freshIos() }));
          const { value, ms } = await timed(() =>
            fetch(gateway.url, { method: "POST", body: JSON.stringify({ notification: message(devices) }) }),
          );
          await value.text();
          assert.equal(value.status, 200);
          return ms;
        };
        const requests = await sendUntil(send, async () => (await dropped()) > 0);
        const times: number[] = [];
        for (let i = 0; i < 20; i += 1) times.push(await send());
        const lines = await dropped();
        return `${lines} lines dropped and counted after ${requests} requests; 100 pushes in ${Math.max(...times).toFixed(0)} ms at most`;
      }),
  },
];

async function sendUntil(send: () => Promise<number>, done: () => Promise<boolean>): Promise<number> {
  for (let i = 1; i <= 300; i += 1) {
    await send();
    if (i % 10 === 0 && (await done())) return i;
  }
  throw new Error("no log line was ever dropped");
}
