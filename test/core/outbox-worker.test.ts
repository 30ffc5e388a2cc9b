import type { Outcome } from "../../src/core/outcome.ts";
import { StoreError } from "../../src/store/store.ts";
import { NOON } from "../support/builders.ts";
import { HOUR_MS, delivered, unavailable, workerWorld } from "../support/worker-world.ts";

describe("OutboxWorker", () => {
  it.each([
    ["delivered", delivered, "handed"],
    ["rejected", { kind: "rejected", reason: "unregistered", answer: { status: 410 } }, "rejected"],
    ["dropped", { kind: "dropped", reason: "refused-by-upstream", answer: { status: 400 } }, "dropped"],
  ] as const)("settles what was %s, tells of it, and forgets the content", async (_what, outcome, state) => {
    const world = workerWorld(() => outcome);
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(500);
    expect(await world.counts()).toMatchObject({ accepted: 1, [state]: 1, pending: 0, pendingBytes: 0 });
    expect(world.concluded).toMatchObject([{ app: "app", outcome, attempts: 1 }]);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("takes a token that was rejected from the registry", async () => {
    const world = workerWorld(() => ({ kind: "rejected", reason: "unregistered", answer: { status: 410 } }));
    const devices = (["dead", "alive"] as const).map((pushkey, n) => ({
      kind: "registry" as const,
      appId: "app",
      pushkey,
      device: n === 0 ? world.entry().device : "a".repeat(64),
    }));
    const report = { owner: "alice", nowMs: NOON - 1, devices, mayTakeSelector: false, maxPerOwner: 9 };
    await world.store.devices.report(report);
    await world.put(world.entry({ device: devices[0]?.device ?? "" }));
    await world.engine.start();
    await world.pass(500);
    expect((await world.store.devices.ofOwner("alice")).map(({ pushkey }) => pushkey)).toEqual(["alive"]);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("takes the freshest first", async () => {
    const world = workerWorld(() => delivered);
    const entries = [1, 3, 2].map((age) => world.entry({ receivedAtMs: NOON + age }));
    await world.put(...entries);
    await world.engine.start();
    await world.pass(500);
    expect(world.attempted.map(({ id }) => id)).toEqual([entries[1]?.id, entries[2]?.id, entries[0]?.id]);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("tries again with growing waits, and takes Retry-After as a floor", async () => {
    const world = workerWorld((_attempt, count) =>
      count === 1
        ? { kind: "retryable", reason: "rate-limited", retryAfterMs: 10_000 }
        : count < 4
          ? unavailable
          : delivered,
    );
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(60_000);
    const waits = world.attempted
      .slice(1)
      .map(({ atMs }, index) => atMs - (world.attempted[index]?.atMs ?? 0));
    expect(waits).toHaveLength(3);
    // Half of 1, 2 and 4 s by the fixed jitter; the first on top of the ten seconds asked for.
    for (const [index, least] of [10_500, 1_000, 2_000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(least);
      expect(waits[index]).toBeLessThan(least + 1_100);
    }
    expect(await world.counts()).toMatchObject({ handed: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("sends one probe at a time while the circuit is open, and drains fast when the upstream is back", async () => {
    let back = false;
    const world = workerWorld(() => (back ? delivered : unavailable));
    await world.put(...Array.from({ length: 200 }, () => world.entry()));
    await world.engine.start();
    await world.pass(5_000);
    const before = world.attempted.length;
    await world.pass(60_000);
    // A probe each five seconds.
    expect(world.attempted.length - before).toBeLessThanOrEqual(13);
    expect(world.attempted.length - before).toBeGreaterThanOrEqual(9);
    back = true;
    await world.pass(30_000);
    expect(await world.counts()).toMatchObject({ handed: 200, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("never sends what has expired", async () => {
    const world = workerWorld(() => delivered);
    await world.put(world.entry({ dueInMs: 5_000, expiresInMs: 4_000 }));
    await world.engine.start();
    await world.pass(10_000);
    expect(world.attempted).toEqual([]);
    expect(await world.counts()).toMatchObject({ expired: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("tells the pushkin what remains of a push's life by the store's clock", async () => {
    const world = workerWorld(() => delivered);
    await world.put(world.entry({ dueInMs: 3_000, expiresInMs: 30_000 }));
    await world.engine.start();
    await world.pass(6_000);
    expect(world.attempted[0]?.expiresAtMs).toBeCloseTo(NOON + 30_000, -2);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("does not send what another type of pushkin has rendered", async () => {
    const world = workerWorld(() => delivered);
    await world.put(world.entry({}, "gcm"), world.entry({ payload: "no json" }));
    await world.engine.start();
    await world.pass(500);
    expect(world.attempted).toEqual([]);
    expect(await world.counts()).toMatchObject({ dropped: 2, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("does not ask for a device that has died meanwhile", async () => {
    const world = workerWorld(() => delivered);
    const entry = world.entry();
    await world.store.rejections.put("app", entry.device, { sinceMs: NOON, keepUntilMs: NOON + HOUR_MS });
    await world.put(entry);
    await world.engine.start();
    await world.pass(500);
    expect(world.attempted).toEqual([]);
    expect(await world.counts()).toMatchObject({ rejected: 1 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("keeps a push away that was in hand at three crashes, and lets the rest flow", async () => {
    const world = workerWorld(() => delivered);
    const poison = world.entry();
    await world.put(poison);
    for (const owner of ["first", "second", "third"]) {
      const lease = { owner, leaseMs: 1_000 };
      const claim = (suspects: boolean) =>
        world.store.outbox.claim({ apps: ["app"], limit: 1, lease, suspects });
      expect([...(await claim(false)), ...(await claim(true))]).toHaveLength(1);
      await world.clock.advance(1_001);
    }
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(3_000);
    expect(world.attempted.map(({ id }) => id)).not.toContain(poison.id);
    expect(await world.counts()).toMatchObject({ handed: 1, dropped: 1, pending: 0 });
    expect(world.concluded.map(({ outcome }) => outcome)).toContainEqual({
      kind: "dropped",
      reason: "quarantined",
    });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("leaves an older badge unsent once a newer one has been handed over", async () => {
    const world = workerWorld(() => delivered);
    const device = "a".repeat(64);
    await world.put(world.entry({ device, slot: "badge", receivedAtMs: NOON + 10 }));
    await world.engine.start();
    await world.pass(500);
    await world.put(world.entry({ device, slot: "badge", receivedAtMs: NOON + 5 }));
    await world.pass(1_500);
    expect(world.attempted).toHaveLength(1);
    expect(await world.counts()).toMatchObject({ handed: 1, dropped: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("settles what is in hand when it stops, and claims nothing more", async () => {
    let finish: (outcome: Outcome) => void = () => {};
    const world = workerWorld(() => new Promise((resolve) => (finish = resolve)));
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(250);
    const stopped = world.engine.stop(new AbortController().signal);
    await world.put(world.entry());
    await world.pass(1_000);
    finish(delivered);
    await stopped;
    expect(world.attempted).toHaveLength(1);
    expect(await world.counts()).toMatchObject({ handed: 1, pending: 1 });
  });

  it("does not settle a push that another process has taken over", async () => {
    let finish: (outcome: Outcome) => void = () => {};
    const world = workerWorld(() => new Promise((resolve) => (finish = resolve)));
    const entry = world.entry();
    await world.put(entry);
    await world.engine.start();
    await world.pass(250);
    // As after a pause of two leases: neither renewed nor claimed by us meanwhile.
    const { outbox } = world.store;
    const claim = outbox.claim.bind(outbox);
    outbox.renew = async () => [];
    outbox.claim = async () => [];
    await world.clock.advance(16_000);
    const lease = { owner: "another", leaseMs: 60_000 };
    const [taken] = await claim({ apps: ["app"], limit: 1, lease });
    const [suspect] = await claim({ apps: ["app"], limit: 1, lease, suspects: true });
    expect((taken ?? suspect)?.id).toBe(entry.id);
    outbox.renew = async (held) => held.map(({ id }) => id);
    await world.clock.advance(5_000);
    finish(delivered);
    await world.pass(500);
    expect(await world.counts()).toMatchObject({ handed: 0, pending: 1 });
    const stop = world.engine.stop(AbortSignal.abort());
    await world.pass(1_000);
    await stop;
  });

  it("makes no second attempt when its own lease ran out under a slow one", async () => {
    const finish: ((outcome: Outcome) => void)[] = [];
    const world = workerWorld(() => new Promise((resolve) => finish.push(resolve)));
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(250);
    world.store.outbox.renew = async () => [];
    await world.pass(17_000);
    expect(world.attempted).toHaveLength(1);
    finish[0]?.(delivered);
    await world.pass(500);
    expect(await world.counts()).toMatchObject({ handed: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("lets one dead host of many hold up nobody else", async () => {
    const dead = new Set<string>();
    const world = workerWorld((attempt) => (dead.has(attempt.id) ? unavailable : delivered), {
      manyHosts: true,
    });
    const toDead = Array.from({ length: 30 }, () => world.entry({}, "apns", "dead.example"));
    for (const { id } of toDead) dead.add(id);
    await world.put(...toDead);
    await world.engine.start();
    await world.pass(3_000);
    await world.put(...Array.from({ length: 50 }, () => world.entry({}, "apns", "alive.example")));
    for (let second = 0; second < 20; second += 1) {
      const fresh = world.entry({}, "apns", "dead.example");
      dead.add(fresh.id);
      await world.put(fresh);
      await world.pass(1_000);
    }
    expect(await world.counts()).toMatchObject({ handed: 50 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("gives a push back when a bug of ours ended its attempt", async () => {
    const world = workerWorld(() => delivered);
    const find = world.store.rejections.find.bind(world.store.rejections);
    world.store.rejections.find = () => {
      throw new TypeError("a bug");
    };
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(1_000);
    world.store.rejections.find = find;
    await world.pass(62_000);
    expect(await world.counts()).toMatchObject({ handed: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("settles what was delivered although the store did not take it, and sends it no second time", async () => {
    const world = workerWorld(() => delivered);
    const settle = world.store.outbox.settle.bind(world.store.outbox);
    world.store.outbox.settle = () => Promise.reject(new StoreError("unavailable", "away"));
    await world.put(world.entry({ key: "b".repeat(64) }));
    await world.engine.start();
    await world.pass(90_000);
    world.store.outbox.settle = settle;
    await world.pass(20_000);
    expect(world.attempted).toHaveLength(1);
    expect(await world.counts()).toMatchObject({ handed: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("shares the app's places with fresh pushes, and leaves them a quarter", async () => {
    let underWay = 0;
    let most = 0;
    const finish: (() => void)[] = [];
    const world = workerWorld(
      async () => {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise<void>((resolve) => finish.push(resolve));
        underWay -= 1;
        return delivered;
      },
      { limit: 8 },
    );
    await world.put(...Array.from({ length: 30 }, () => world.entry()));
    await world.engine.start();
    await world.pass(2_000);
    expect(underWay).toBe(6);
    const fresh = [world.dispatch(), world.dispatch()];
    await world.pass(250);
    expect(underWay).toBe(8);
    expect(await world.dispatch()).toMatchObject({ kind: "accepted", because: { reason: "overloaded" } });
    for (let i = 0; i < 33; i += 1) {
      finish.shift()?.();
      await world.pass(250);
    }
    expect(await Promise.all(fresh)).toEqual([delivered, delivered]);
    expect(await world.counts()).toMatchObject({ accepted: 31, handed: 31, pending: 0 });
    expect(most).toBe(8);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("goes on as soon as fresh pushes leave it places", async () => {
    const finish: (() => void)[] = [];
    const world = workerWorld(
      async (_attempt, count) => {
        if (count <= 4) await new Promise<void>((resolve) => finish.push(resolve));
        return delivered;
      },
      { limit: 4 },
    );
    const fresh = Array.from({ length: 4 }, () => world.dispatch());
    await world.engine.start();
    await world.put(world.entry());
    await world.pass(2_000);
    expect(world.attempted).toHaveLength(4);
    for (const each of finish) each();
    // Long before the worker would have looked by itself.
    for (let i = 0; i < 3; i += 1) await world.clock.advance(1);
    expect(world.attempted).toHaveLength(5);
    await Promise.all(fresh);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("tries a push that was in hand at two crashes without any other suspect in hand", async () => {
    const finish: (() => void)[] = [];
    const world = workerWorld(async () => {
      await new Promise<void>((resolve) => finish.push(resolve));
      return delivered;
    });
    const crash = async (owner: string): Promise<void> => {
      const options = { apps: ["app"], limit: 10, lease: { owner, leaseMs: 1_000 } };
      await world.store.outbox.claim(options);
      await world.store.outbox.claim({ ...options, suspects: true });
      await world.clock.advance(1_001);
    };
    const twice = world.entry({ receivedAtMs: NOON + 1_000 });
    await world.put(twice);
    await crash("first");
    await world.put(world.entry(), world.entry());
    await crash("second");
    await world.engine.start();
    await world.pass(2_000);
    expect(world.attempted).toHaveLength(2);
    expect(world.attempted.map(({ id }) => id)).not.toContain(twice.id);
    for (const each of finish.splice(0)) each();
    await world.pass(2_000);
    expect(world.attempted.map(({ id }) => id).slice(2)).toEqual([twice.id]);
    for (const each of finish) each();
    await world.pass(500);
    expect(await world.counts()).toMatchObject({ handed: 3, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });
});
