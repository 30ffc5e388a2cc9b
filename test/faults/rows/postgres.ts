import assert from "node:assert/strict";
import { ANDROID, IOS } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { balance, expectKept, readReceived, readSent } from "../ledger.ts";
import type { Answered, Load } from "../support/load.ts";
import { totalStates } from "../support/outbox-states.ts";
import { startDatabaseProxy, withPostgres } from "../support/postgres-server.ts";
import { withRig } from "../support/rig.ts";
import { sleep, until } from "../support/shared.ts";

const down = { upstream: "apns", answer: { kind: "error", reason: "ServiceUnavailable" } } as const;
/** A window in which a lookup that comes to nothing leaves time to ask the upstream. */
const patient = {
  delivery: { answer_within: "4s", drain_delay: "100ms" },
  log: { setup: { root: { level: "WARNING" } } },
};
const quick = {
  delivery: { answer_within: "200ms", drain_delay: "100ms" },
  log: { setup: { root: { level: "WARNING" } } },
};

const since = (load: Load, ms: number): readonly Answered[] =>
  load.answers.filter(({ begunMs }) => begunMs >= ms);

const statuses = (answers: readonly Answered[]): string =>
  [...new Set(answers.map(({ status, how }) => `${status} ${how}`))].join(", ");

/** Resolves with how long it took until a push was promised again. */
async function promisedAgain(load: Load, withinMs: number): Promise<number> {
  const fromMs = performance.now();
  await until("a promise", async () => (await load.push(IOS)).how === "ok", withinMs);
  return performance.now() - fromMs;
}

export const postgresFaults: readonly Fault[] = [
  {
    number: "SP01",
    fault: "the database dies and restarts under load, 20 times",
    tier: 1,
    waits: true,
    limitMs: 240_000,
    run: () =>
      withPostgres((postgres, storeUrl) =>
        withRig({ latencyMs: 20 }, async (rig) => {
          const gateway = await rig.gateway({ storeUrl, config: quick });
          await gateway.start();
          const { pid } = gateway.child;
          await rig.upstreams.addRules(
            { upstream: "apns", ratio: 0.1, answer: { kind: "error", reason: "ServiceUnavailable" } },
            { upstream: "apns", ratio: 0.1, delay: 600 },
          );
          const load = rig.load({ urls: [gateway.url], perSecond: 80 });
          const back: number[] = [];
          for (let i = 0; i < 20; i += 1) {
            await sleep(500);
            await postgres.crash();
            const readyMs = performance.now();
            // Only a push that must be promised shows that the store serves again.
            await until(
              "a promise",
              () =>
                load.answers.some(
                  ({ begunMs, tookMs, how }) => begunMs > readyMs && how === "ok" && tookMs > 190,
                ),
              15_000,
            );
            back.push(performance.now() - readyMs);
          }
          await load.stop();
          await rig.upstreams.clearRules();
          const result = await rig.settle(gateway, 60_000);
          expectKept(result);
          assert.equal(gateway.child.pid, pid);
          assert.equal(gateway.child.exitCode, null);
          assert.ok(Math.max(...back) <= 5_000 + 1_000, `${Math.max(...back)} ms`);
          return `20 restarts, same process, serving at most ${(Math.max(...back) / 1_000).toFixed(1)} s after ready, lost 0 of ${result.acknowledged}, duplicated ${result.duplicated}`;
        }),
      ),
  },
  {
    number: "SP03",
    fault: "the connection dies between COMMIT and its answer",
    tier: 1,
    waits: true,
    run: () =>
      withPostgres((postgres, url) =>
        withRig({}, async (rig) => {
          const proxy = await startDatabaseProxy(postgres, url);
          try {
            const gateway = await rig.gateway({ storeUrl: proxy.url, config: quick });
            await gateway.start();
            await rig.upstreams.addRules(down);
            const load = rig.load({ urls: [gateway.url], perSecond: 0 });
            for (let i = 0; i < 6; i += 1) await load.push(IOS);
            const before = totalStates(await gateway.scrape()).accepted;
            const again = {
              event_id: "$between-commit-and-answer",
              room_id: "!between-commit-and-answer:e",
              devices: [{ app_id: IOS, pushkey: "ab".repeat(32) }],
            };
            // Content goes to the database as bytes, which the driver writes in hex.
            proxy.cutAfterAnswerTo(Buffer.from(again.room_id).toString("hex"));
            const first = await load.push(IOS, again);
            assert.equal(proxy.cuts, 1, "the connection was not cut");
            for (let i = 0; i < 3; i += 1) {
              await load.push(IOS, again);
            }
            const rows = await postgres.query<{ n: string }>(
              url,
              "SELECT count(*) AS n FROM signalbox_outbox",
            );
            const { accepted, pending } = totalStates(await gateway.scrape());
            assert.equal(accepted - before, 1, "the repeat was promised a second time");
            assert.equal(Number(rows[0]?.n), pending);
            await rig.upstreams.clearRules();
            await rig.settle(gateway, 30_000);
            const handed = readReceived(rig.receivedFile).accepted.get("ab".repeat(32))?.length;
            assert.equal(handed, 1);
            return `answered ${first.status}; 3 repeats, 1 row, 1 hand-over`;
          } finally {
            await proxy.close();
          }
        }),
      ),
  },
  {
    number: "SP04",
    fault: "every connection of the pool is stuck",
    tier: 1,
    run: () =>
      withPostgres((postgres, url) =>
        withRig({}, async (rig) => {
          const proxy = await startDatabaseProxy(postgres, url);
          try {
            const gateway = await rig.gateway({ storeUrl: proxy.url, config: patient });
            await gateway.start();
            await rig.upstreams.addRules(down);
            const load = rig.load({
              urls: [gateway.url],
              perSecond: 60,
              appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
            });
            await sleep(1_500);
            const fromMs = performance.now();
            proxy.stalled = true;
            await sleep(6_000);
            const stuck = since(load, fromMs).filter(
              ({ app, begunMs }) => app === IOS && begunMs > fromMs + 300,
            );
            const others = since(load, fromMs).filter(({ app }) => app === ANDROID);
            const slowest = Math.max(...stuck.map(({ tookMs }) => tookMs));
            assert.ok(stuck.length > 30 && stuck.every(({ status }) => status === 503), statuses(stuck));
            assert.ok(slowest <= 2_000 + 500, `${slowest} ms`);
            assert.ok(
              others.every(({ how }) => how === "ok"),
              statuses(others),
            );
            proxy.stalled = false;
            const backMs = await promisedAgain(load, 25_000);
            await load.stop();
            await rig.upstreams.clearRules();
            expectKept(await rig.settle(gateway, 60_000));
            return `${stuck.length} refused within ${slowest.toFixed(0)} ms, ${others.length} others served, back in ${(backMs / 1_000).toFixed(1)} s`;
          } finally {
            await proxy.close();
          }
        }),
      ),
  },
  {
    number: "SP05",
    fault: "a table lock of another session",
    tier: 1,
    run: () =>
      withPostgres((postgres, url) =>
        withRig({}, async (rig) => {
          const gateway = await rig.gateway({ storeUrl: url, config: patient });
          await gateway.start();
          await rig.upstreams.addRules(down);
          const load = rig.load({
            urls: [gateway.url],
            perSecond: 60,
            appOf: (count) => (count % 2 === 0 ? IOS : ANDROID),
          });
          await sleep(1_500);
          const holder = await postgres.connect(url);
          await holder.query("BEGIN");
          await holder.query("LOCK TABLE signalbox_outbox IN ACCESS EXCLUSIVE MODE");
          const fromMs = performance.now();
          await sleep(6_000);
          const stuck = since(load, fromMs).filter(
            ({ app, begunMs }) => app === IOS && begunMs > fromMs + 300,
          );
          const others = since(load, fromMs).filter(({ app }) => app === ANDROID);
          await holder.query("ROLLBACK");
          const slowest = Math.max(...stuck.map(({ tookMs }) => tookMs));
          assert.ok(stuck.length > 30 && stuck.every(({ status }) => status === 503), statuses(stuck));
          // A lookup and a commit, each with its own end.
          assert.ok(slowest <= 5_500, `${slowest} ms`);
          assert.ok(
            others.every(({ how }) => how === "ok"),
            statuses(others),
          );
          const backMs = await promisedAgain(load, 10_000);
          await load.stop();
          await rig.upstreams.clearRules();
          expectKept(await rig.settle(gateway, 60_000));
          return `503 within ${slowest.toFixed(0)} ms, others served, back in ${(backMs / 1_000).toFixed(1)} s, lost 0`;
        }),
      ),
  },
  {
    number: "SP07",
    fault: "read-only database; connections ended by an administrator",
    tier: 1,
    waits: true,
    run: () =>
      withPostgres((postgres, url) =>
        withRig({}, async (rig) => {
          const gateway = await rig.gateway({ storeUrl: url, config: quick });
          await gateway.start();
          await rig.upstreams.addRules(down);
          const load = rig.load({ urls: [gateway.url], perSecond: 60 });
          await sleep(1_500);
          const database = /@[^/]*\/(\w+)\?/.exec(url)?.[1] ?? "";
          const endAll =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()";
          await postgres.query(url, endAll);
          const endedMs = await promisedAgain(load, 6_000);
          await postgres.query(url, `ALTER DATABASE ${database} SET default_transaction_read_only = on`);
          await postgres.query(url, endAll);
          await sleep(500);
          const fromMs = performance.now();
          await sleep(3_000);
          const refused = since(load, fromMs);
          assert.ok(refused.length > 50 && refused.every(({ status }) => status === 503), statuses(refused));
          const operator = await postgres.connect(url);
          await operator.query("SET default_transaction_read_only = off");
          await operator.query(`ALTER DATABASE ${database} RESET default_transaction_read_only`);
          await operator.end();
          await postgres.query(url, endAll);
          const backMs = await promisedAgain(load, 6_000);
          await load.stop();
          await rig.upstreams.clearRules();
          expectKept(await rig.settle(gateway, 60_000));
          assert.equal(gateway.child.exitCode, null);
          return `back ${(endedMs / 1_000).toFixed(1)} s after the shutdown, ${refused.length} refused while read-only, back in ${(backMs / 1_000).toFixed(1)} s, lost 0`;
        }),
      ),
  },
  {
    number: "SP08",
    fault: "a replica is killed with pushes in its hands",
    tier: 1,
    waits: "idle",
    limitMs: 120_000,
    run: () =>
      withPostgres((_postgres, storeUrl) =>
        withRig({}, async (rig) => {
          const one = await rig.gateway({ storeUrl, config: quick, name: "one" });
          const two = await rig.gateway({ storeUrl, config: quick, name: "two" });
          await Promise.all([one.start(), two.start()]);
          const [rule = 0] = await rig.upstreams.addRules({ upstream: "apns", answer: { kind: "hang" } });
          const load = rig.load({ urls: [one.url], perSecond: 0 });
          await Promise.all(Array.from({ length: 40 }, () => load.push(IOS)));
          assert.equal(totalStates(await two.scrape()).pending, 40);
          await one.kill();
          const killedMs = performance.now();
          await rig.upstreams.removeRule(rule);
          const result = await rig.settle(two, 40_000);
          const tookMs = performance.now() - killedMs;
          expectKept(result);
          assert.equal(result.acknowledged, 40);
          assert.ok(tookMs <= 30_000, `${tookMs} ms`);
          return `40 taken over within ${(tookMs / 1_000).toFixed(1)} s (<= 30), lost 0, duplicated ${result.duplicated}`;
        }),
      ),
  },
  {
    number: "SP09",
    fault: "a replica is stopped for two leases, then goes on",
    tier: 1,
    waits: "idle",
    limitMs: 150_000,
    run: () =>
      withPostgres((_postgres, storeUrl) =>
        withRig({}, async (rig) => {
          const one = await rig.gateway({ storeUrl, config: quick, name: "one" });
          const two = await rig.gateway({ storeUrl, config: quick, name: "two" });
          await Promise.all([one.start(), two.start()]);
          // The paused one has its answers in the socket when it wakes: late outcomes for pushes taken from it.
          await rig.upstreams.addRules({ upstream: "apns", delay: 1_500 });
          const load = rig.load({ urls: [one.url], perSecond: 0 });
          await Promise.all(Array.from({ length: 30 }, () => load.push(IOS)));
          one.child.kill("SIGSTOP");
          await sleep(31_000);
          await rig.upstreams.clearRules();
          const before = totalStates(await two.scrape());
          one.child.kill("SIGCONT");
          await sleep(3_000);
          const after = totalStates(await two.scrape());
          const result = await rig.settle(two, 40_000);
          expectKept(result);
          assert.equal(totalStates(await two.scrape()).handed, 30);
          assert.equal(totalStates(await one.scrape()).accepted, 30);
          assert.ok(result.duplicated <= 30);
          const { lost } = balance(readSent(rig.sentFile), readReceived(rig.receivedFile));
          assert.equal(lost.length, 0);
          return `30 in hand, ${before.handed} settled by the other before it woke, ${after.handed} after; settled once each, duplicated ${result.duplicated} (<= 30), lost 0`;
        }),
      ),
  },
  {
    number: "SP11",
    fault: "two replicas migrate at once; kill -9 amid a migration",
    tier: 1,
    waits: true,
    run: () =>
      withPostgres((postgres, first) =>
        withRig({}, async (rig) => {
          const start = async (name: string, storeUrl: string): Promise<void> => {
            const gateway = await rig.gateway({ storeUrl, config: quick, name });
            await gateway.start();
            await gateway.end("SIGTERM");
          };
          await Promise.all([start("a", first), start("b", first), start("c", first)]);
          const tables =
            "SELECT count(*) AS n FROM information_schema.tables WHERE table_name LIKE 'signalbox_%'";
          const whole = Number((await postgres.query<{ n: string }>(first, tables))[0]?.n);
          assert.ok(whole >= 5);
          const second = await postgres.createDatabase();
          let amid = 0;
          for (let i = 0; i < 8; i += 1) {
            const gateway = await rig.gateway({ storeUrl: second, config: quick, name: `killed-${i}` });
            gateway.exec();
            await sleep(350 + i * 60);
            await gateway.kill();
            const now = Number((await postgres.query<{ n: string }>(second, tables))[0]?.n);
            assert.ok(now === 0 || now === whole, `half a schema: ${now} of ${whole} tables`);
            if (now === 0) amid += 1;
          }
          await start("after", second);
          assert.equal(Number((await postgres.query<{ n: string }>(second, tables))[0]?.n), whole);
          return `3 at once, ${whole} tables; 8 kills, ${amid} before it was whole, whole after restart`;
        }),
      ),
  },
];
