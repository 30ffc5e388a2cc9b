import assert from "node:assert/strict";
import { ANDROID, IOS, message } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { expectKept, readReceived, readSent } from "../ledger.ts";
import { runOutage } from "../outage.ts";
import { seriesOf } from "../support/gateway-process.ts";
import { withRig } from "../support/rig.ts";
import { outboxStates, totalStates } from "../support/outbox-states.ts";
import { quantile, sleep, until } from "../support/shared.ts";

const down = { upstream: "apns", answer: { kind: "error", reason: "ServiceUnavailable" } } as const;

const p99 = (answers: readonly { readonly tookMs: number }[]): number =>
  quantile(
    answers.map(({ tookMs }) => tookMs),
    0.99,
  );

export const upstreamFaults: readonly Fault[] = [
  {
    number: "UX01",
    fault: "refused connections for 15 min at load",
    tier: 2,
    limitMs: 1_500_000,
    run: () => runOutage({ seconds: 900, perSecond: 100, how: "refused" }),
  },
  {
    number: "UX03",
    fault: "100 % 503 for 60 s",
    tier: 1,
    waits: true,
    limitMs: 240_000,
    run: () =>
      withRig({ latencyMs: 20 }, async (rig) => {
        const gateway = await rig.gateway({
          config: { delivery: { answer_within: "1s" }, log: { setup: { root: { level: "WARNING" } } } },
        });
        await gateway.start();
        const load = rig.load({ urls: [gateway.url], perSecond: 150 });
        await sleep(1_000);
        const seconds = 60;
        const fromMs = Date.now();
        await rig.upstreams.addRules(down);
        await sleep(seconds * 1_000);
        const requests = readReceived(rig.receivedFile);
        await load.stop();
        await rig.upstreams.clearRules();
        const fresh = [...readSent(rig.sentFile).begun.values()].filter((atMs) => atMs >= fromMs).length;
        const repeats = requests.requests - requests.ids.size;
        assert.ok(requests.refusedAfter(fromMs) > 5, "nothing was refused");
        assert.ok(repeats <= fresh * 0.1 + 3 * seconds, `${repeats} repeats`);
        const result = await rig.settle(gateway, 60_000);
        expectKept(result);
        return `${fresh} fresh pushes, ${requests.refusedAfter(fromMs)} attempts refused, ${repeats} repeats (<= ${Math.floor(fresh * 0.1 + 3 * seconds)}), lost 0`;
      }),
  },
  {
    number: "UX04",
    fault: "latency ramps from 50 ms to 30 s on one app",
    tier: 1,
    limitMs: 180_000,
    run: () =>
      withRig({ latencyMs: 50 }, async (rig) => {
        const gateway = await rig.gateway({ config: { delivery: { answer_within: "2s" } } });
        await gateway.start();
        const slow = rig.load({ urls: [gateway.url], perSecond: 100 });
        const other = rig.load({ urls: [gateway.url], perSecond: 40, appOf: () => ANDROID });
        await sleep(4_000);
        const baseline = p99(other.answers);
        const fromMs = performance.now();
        let most = 0;
        for (const delayMs of [50, 200, 800, 2_000, 5_000, 12_000, 30_000]) {
          await rig.upstreams.latency("apns", delayMs);
          for (let i = 0; i < 10; i += 1) {
            await sleep(250);
            most = Math.max(most, seriesOf(await gateway.scrape(), "sygnal_active_apns_requests"));
          }
        }
        const others = other.answers.filter(({ begunMs }) => begunMs >= fromMs);
        await rig.upstreams.latency("apns", 20);
        await Promise.all([slow.stop(), other.stop()]);
        const result = await rig.settle(gateway, 90_000);
        assert.ok(
          others.every(({ how }) => how === "ok"),
          "the other app had errors",
        );
        assert.ok(p99(others) <= baseline * 5 + 50, `${p99(others)} ms, ${baseline} ms before`);
        assert.ok(most <= 512, `${most} under way`);
        assert.ok(
          slow.answers.every(({ tookMs }) => tookMs <= 2_500),
          "a caller waited too long",
        );
        expectKept(result);
        const refused = slow.answers.filter(({ status }) => status === 503).length;
        return `at most ${most} under way, ${refused} of ${slow.answers.length} refused, other app p99 ${p99(others).toFixed(0)} (${baseline.toFixed(0)}) ms, lost 0, duplicated ${result.duplicated}`;
      }),
  },
  {
    number: "UX06",
    fault: "recovery with 100,000 waiting",
    tier: 1,
    limitMs: 300_000,
    run: () =>
      withRig({ latencyMs: 20 }, async (rig) => {
        const gateway = await rig.gateway({
          config: {
            delivery: { answer_within: "200ms", expire_after: { message: "24h", call: "5s" } },
            log: { setup: { root: { level: "WARNING" } } },
          },
        });
        await gateway.start();
        const probe = rig.load({ urls: [gateway.url], perSecond: 0 });
        const [rule = 0] = await rig.upstreams.addRules(down);
        for (let i = 0; i < 10; i += 1) await probe.push(IOS);
        const total = 100_000;
        let made = 0;
        const device = (): object => ({
          app_id: IOS,
          pushkey: Buffer.from(`f1${(made += 1).toString(16).padStart(62, "0")}`, "hex").toString("base64"),
        });
        const fillOne = async (): Promise<void> => {
          while (made < total) {
            const isCall = made % 1_000 === 0;
            const overrides = isCall ? { type: "m.call.invite", content: { offer: { sdp: "v=0" } } } : {};
            const notification = message(Array.from({ length: 100 }, device), overrides);
            const response = await fetch(gateway.url, {
              method: "POST",
              body: JSON.stringify({ notification }),
            });
            await response.text();
            assert.equal(response.status, 200);
          }
        };
        const fromMs = performance.now();
        await Promise.all([fillOne(), fillOne(), fillOne()]);
        const filledS = (performance.now() - fromMs) / 1_000;
        const before = totalStates(await gateway.scrape());
        assert.ok(before.pending >= total * 0.85, `${before.pending} wait`);
        await rig.upstreams.removeRule(rule);
        const upMs = performance.now();
        const states = async (): Promise<{ pending: number }> => totalStates(await gateway.scrape());
        await until("the first", async () => (await states()).pending < before.pending - 100, 12_000);
        const firstMs = performance.now() - upMs;
        const fresh: { tookMs: number; status: number }[] = [];
        let most = 0;
        while ((await states()).pending > 0 && performance.now() - upMs < 200_000) {
          fresh.push(await probe.push(IOS));
          most = Math.max(most, seriesOf(await gateway.scrape(), "sygnal_active_apns_requests"));
          await sleep(50);
        }
        const drainS = (performance.now() - upMs) / 1_000;
        const after = await states();
        assert.equal(after.pending, 0);
        const received = readReceived(rig.receivedFile);
        const end = outboxStates(await gateway.scrape()).get(IOS);
        const expired = end?.expired ?? 0;
        assert.ok(expired > 0, "no call expired");
        assert.equal(
          received.accepted.size,
          10 + made + fresh.length - expired,
          "what was sent, less what expired, was received",
        );
        assert.ok(most <= 512 + 16, `${most} under way`);
        assert.ok(firstMs <= 5_000 + 1_500, `the first came after ${firstMs} ms`);
        return `${before.pending} waiting (filled in ${filledS.toFixed(0)} s), first ${(firstMs / 1_000).toFixed(1)} s after return, ${(before.pending / drainS).toFixed(0)}/s, new pushes p99 ${p99(fresh).toFixed(0)} ms, at most ${most} under way, ${expired} expired unsent, lost 0`;
      }),
  },
  {
    number: "UX07",
    fault: "a push that crashes the process",
    tier: 1,
    waits: true,
    limitMs: 120_000,
    run: () =>
      withRig({ latencyMs: 10 }, async (rig) => {
        const gateway = await rig.gateway({
          config: { delivery: { answer_within: "200ms", drain_delay: "100ms" } },
        });
        await gateway.start();
        const load = rig.load({ urls: [gateway.url], perSecond: 0 });
        await load.push(IOS);
        // Whenever this one is in hand, the process dies.
        const [rule = 0] = await rig.upstreams.addRules({ upstream: "apns", answer: { kind: "hang" } });
        const poison = await load.push(IOS);
        await rig.upstreams.removeRule(rule);
        const attempts = (): number => readReceived(rig.receivedFile).times(poison.id);
        await rig.upstreams.addRules({ upstream: "apns", token: poison.id, answer: { kind: "hang" } });
        let crashes = 0;
        while (totalStates(await gateway.scrape()).dropped === 0 && crashes < 6) {
          const attempt = crashes + 1;
          await until(
            `attempt ${attempt}`,
            async () => attempts() >= attempt || totalStates(await gateway.scrape()).dropped > 0,
          );
          if (attempts() < attempt) break;
          await gateway.kill();
          crashes += 1;
          await gateway.start();
          for (let i = 0; i < 10; i += 1) assert.equal((await load.push(IOS)).how, "ok");
          await sleep(300);
        }
        await until("the quarantine", async () => totalStates(await gateway.scrape()).dropped === 1, 10_000);
        assert.equal(crashes, 3, `quarantined after ${crashes} crashes`);
        const result = await rig.settle(gateway, 10_000);
        expectKept(result);
        return `quarantined after ${crashes} crashes and ${attempts()} attempts, ${load.answers.length - 1} others served`;
      }),
  },
  {
    number: "UX08",
    fault: "1 of 4 upstreams hung, the store busy",
    tier: 1,
    limitMs: 120_000,
    run: () =>
      withRig({ latencyMs: 30 }, async (rig) => {
        const names = ["com.example.second", "com.example.third"];
        const gateway = await rig.gateway({
          config: { delivery: { answer_within: "500ms" }, log: { setup: { root: { level: "WARNING" } } } },
          apps: ({ ios, android }) => ({
            "com.example.second": { ...ios, topic: "com.example.hung" },
            "com.example.third": android,
          }),
        });
        await gateway.start();
        const load = rig.load({
          urls: [gateway.url],
          perSecond: 90,
          appOf: (count) => [IOS, ANDROID, "com.example.third"][count % 3] ?? IOS,
        });
        await sleep(4_000);
        const baseline = p99(load.answers);
        await rig.upstreams.addRules({
          upstream: "apns",
          topic: "com.example.hung",
          answer: { kind: "hang" },
        });
        const fromMs = performance.now();
        const hung = rig.load({ urls: [gateway.url], perSecond: 100, appOf: () => names[0] ?? IOS });
        await sleep(10_000);
        const others = load.answers.filter(({ begunMs }) => begunMs >= fromMs);
        await rig.upstreams.clearRules();
        await Promise.all([load.stop(), hung.stop()]);
        const promised = outboxStates(await gateway.scrape()).get("com.example.second")?.accepted ?? 0;
        assert.ok(promised > 100, "the store was not busy");
        assert.ok(
          others.every(({ how }) => how === "ok"),
          "another app had errors",
        );
        assert.ok(p99(others) <= baseline * 5 + 50, `${p99(others)} ms, ${baseline} ms before`);
        const result = await rig.settle(gateway, 60_000);
        expectKept(result);
        return `${promised} promised for the hung one, the other three p99 ${p99(others).toFixed(0)} (${baseline.toFixed(0)}) ms, lost 0`;
      }),
  },
  {
    number: "G07",
    fault: "an upstream fully down for a minute at 300 pushes/s",
    tier: 1,
    limitMs: 300_000,
    run: () => runOutage({ seconds: 60, perSecond: 300, how: "refused" }),
  },
  {
    number: "G07",
    fault: "an upstream fully down for 15 s at 100 pushes/s",
    tier: 1,
    ci: "only",
    limitMs: 120_000,
    run: () => runOutage({ seconds: 15, perSecond: 100, how: "refused" }),
  },
  {
    number: "G07b",
    fault: "an upstream that falls silent for 30 s at 100 pushes/s",
    tier: 1,
    limitMs: 240_000,
    run: () => runOutage({ seconds: 30, perSecond: 100, how: "silent" }),
  },
];
