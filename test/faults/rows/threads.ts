import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ANDROID, IOS } from "../../support/with-gateway.ts";
import { runCrashCycles } from "../crash.ts";
import type { Fault } from "../fault.ts";
import { expectKept } from "../ledger.ts";
import { seriesOf, type GatewayProcess } from "../support/gateway-process.ts";
import { totalStates } from "../support/outbox-states.ts";
import { withRig } from "../support/rig.ts";
import { sleep, timed, until } from "../support/shared.ts";

const breaker = fileURLToPath(new URL("../support/break-a-thread.ts", import.meta.url));
/** Of each thread's heap; the default is gigabytes, which take their time to fill. */
const HEAP_MB = 96;

/** How one of two threads was broken under load, and what came of it. */
export interface Broken {
  /** From the signal to two threads that serve. */
  readonly backMs: number;
  /** Callers whose connection was cut. */
  readonly cut: number;
  readonly owed: number;
  readonly log: string;
}

/** Breaks one of two threads from within under load, while promises wait; the process must live on and lose nothing. */
export function breakAThread(kind: string, withinMs: number): Promise<Broken> {
  return withRig({ latencyMs: 20 }, async (rig) => {
    const gateway = await rig.gateway({
      config: { workers: 2, delivery: { answer_within: "200ms", drain_delay: "200ms" } },
      env: { BREAK: kind, NODE_OPTIONS: `--max-old-space-size=${HEAP_MB} --import ${breaker}` },
    });
    await gateway.start();
    await until("two threads serve", async () => (await serving(gateway)) === 2);
    await rig.upstreams.addRules(
      { upstream: "apns", ratio: 0.3, answer: { kind: "error", reason: "ServiceUnavailable" } },
      { upstream: "fcm", ratio: 0.2, delay: { minMs: 300, maxMs: 900 } },
    );
    const load = rig.load({
      urls: [gateway.url],
      perSecond: 100,
      appOf: (count) => (count % 3 === 2 ? ANDROID : IOS),
    });
    const stopWatching = rig.watch(gateway);
    await sleep(1_000);
    const owed = totalStates(await gateway.scrape()).pending;
    const delivered = deliveredBy(await gateway.scrape());
    const { ms: backMs } = await timed(async () => {
      gateway.child.kill("SIGUSR2");
      await until("a thread ended", async () => (await ended(gateway)) === 1, withinMs);
      await until("two threads serve again", async () => (await serving(gateway)) === 2, withinMs);
    });
    // No counter goes down with the thread that had counted.
    assert.ok(deliveredBy(await gateway.scrape()) >= delivered);
    await sleep(500);
    await load.stop();
    await rig.upstreams.clearRules();
    const result = await rig.settle(gateway, 60_000);
    assert.ok(stopWatching() > 0);
    expectKept(result);
    assert.equal(gateway.child.exitCode, null, "the process ended");
    const bad = load.answers.filter(({ how }) => how !== "ok");
    const notCut = bad.filter(({ how }) => how !== "nothing");
    assert.deepEqual(notCut, [], "a caller was refused");
    const log = gateway.output();
    assert.ok(!log.includes("canary"), `${kind}: the error's message is in the log`);
    return { backMs, cut: bad.length, owed, log };
  });
}

async function serving(gateway: GatewayProcess): Promise<number> {
  return seriesOf(await gateway.scrape().catch(() => ""), 'signalbox_threads{state="serving"}');
}

async function ended(gateway: GatewayProcess): Promise<number> {
  return seriesOf(await gateway.scrape(), 'signalbox_alarms_total{app="",alarm="thread-ended"}');
}

function deliveredBy(scrape: string): number {
  return seriesOf(scrape, `signalbox_outcomes_total{app="${IOS}",kind="delivered",reason=""}`);
}

export const threadFaults: readonly Fault[] = [
  {
    number: "PR01",
    fault: "kill -9 at a random moment under load, two threads, 20 cycles",
    tier: 1,
    limitMs: 300_000,
    run: () => runCrashCycles({ cycles: 20, store: "sqlite", workers: 2 }),
  },
  {
    number: "PR01",
    fault: "kill -9 at a random moment under load, two threads, 4 cycles",
    tier: 1,
    ci: "only",
    limitMs: 120_000,
    run: () => runCrashCycles({ cycles: 4, store: "sqlite", workers: 2 }),
  },
  {
    number: "PR03",
    fault: "SIGTERM and SIGHUP under load, two threads each, 3 times",
    tier: 1,
    waits: true,
    limitMs: 180_000,
    run: () =>
      withRig({ latencyMs: 50 }, async (rig) => {
        const config = { workers: 2, delivery: { answer_within: "300ms", drain_delay: "1s" } };
        const one = await rig.gateway({ config, name: "one" });
        const two = await rig.gateway({ config, name: "two" });
        for (const replica of [one, two]) await replica.start();
        await rig.upstreams.addRules({ upstream: "apns", ratio: 0.05, delay: { minMs: 300, maxMs: 1_000 } });
        const load = rig.load({ urls: [one.url, two.url], perSecond: 150 });
        const exits: number[] = [];
        for (let i = 0; i < 3; i += 1) {
          await sleep(500);
          one.child.kill("SIGHUP");
          await sleep(500);
          const stopped = await timed((): Promise<number | string> => one.end("SIGTERM"));
          assert.equal(stopped.value, 0, one.output());
          exits.push(stopped.ms);
          await sleep(300);
          await one.start();
        }
        await load.stop();
        await rig.upstreams.clearRules();
        await rig.settle(two, 30_000);
        const result = await rig.settle(one, 30_000);
        expectKept(result);
        const bad = load.answers.filter(({ how }) => how !== "ok");
        assert.deepEqual(
          bad.slice(0, 3),
          [],
          `${bad.length} of ${load.answers.length} were not answered well`,
        );
        assert.equal(result.duplicated, 0);
        return `${load.answers.length} pushes, 0 errors, lost 0, duplicated 0, exit at most ${(Math.max(...exits) / 1_000).toFixed(1)} s`;
      }),
  },
  {
    number: "PR10",
    fault: "one of two threads throws, exits, or fills its memory",
    tier: 1,
    waits: true,
    limitMs: 180_000,
    async run() {
      const figures: string[] = [];
      let owed = 0;
      for (const kind of ["exception", "rejection", "exit", "memory"]) {
        const broken = await breakAThread(kind, 20_000);
        figures.push(`${kind} ${(broken.backMs / 1_000).toFixed(1)} s, ${broken.cut} cut`);
        owed += broken.owed;
      }
      assert.ok(owed > 0);
      return `two again after: ${figures.join("; ")}; ${owed} owed, lost 0`;
    },
  },
  {
    number: "PR10",
    fault: "one of two threads is stuck in an endless loop",
    tier: 2,
    waits: "idle",
    limitMs: 180_000,
    async run() {
      const { backMs, cut, log } = await breakAThread("loop", 90_000);
      assert.ok(log.includes("it did not answer for half a minute"));
      return `two again after ${(backMs / 1_000).toFixed(1)} s, ${cut} cut, lost 0`;
    },
  },
];
