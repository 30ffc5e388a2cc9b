import type { App } from "../../src/core/app.ts";
import { createEngine } from "../../src/core/engine.ts";
import { Guard } from "../../src/core/guard.ts";
import { InFlight } from "../../src/core/in-flight.ts";
import { silentObserver, type ConcludedEvent } from "../../src/core/observer.ts";
import { writePayload } from "../../src/core/outbox-payload.ts";
import type { Outcome, Settled } from "../../src/core/outcome.ts";
import type { Pushkin } from "../../src/core/pushkin.ts";
import { silentLog } from "../../src/log.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { StoreError, type OutboxEntry, type Store } from "../../src/store/store.ts";
import { NOON, push } from "../support/builders.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const HOUR_MS = 60 * 60 * 1000;
const caps = { maxRows: 1_000, maxBytes: 1_000_000, maxAppRows: 1_000, maxAppBytes: 1_000_000 };
const delivered: Outcome = { kind: "delivered", answer: { status: 200 } };
const unavailable: Outcome = { kind: "retryable", reason: "upstream-unavailable" };

interface Attempted {
  readonly id: string;
  readonly atMs: number;
  readonly expiresAtMs: number;
}

/** An engine on a store that counts as durable, whose one app answers by a function of the attempt. */
function setUp(
  answer: (attempt: Attempted, count: number) => Outcome | Promise<Outcome>,
  options: { readonly manyHosts?: true; readonly limit?: number } = {},
) {
  const clock = createFakeClock();
  const store: Store = { ...openMemoryStore(clock), durable: true };
  const attempted: Attempted[] = [];
  const concluded: ConcludedEvent[] = [];
  const pushkin: Pushkin = {
    name: "app",
    type: "apns",
    fingerprint: "f",
    waiting: () => 0,
    // With many hosts the token names its host, as an endpoint does.
    upstreamOf: ({ to }) => (options.manyHosts === true ? to : "api.push.example"),
    ...(options.manyHosts === true ? { hasManyUpstreams: true as const } : {}),
    render: (each) => ({ body: "{}", to: each.pushkey }),
    async attempt(_message, { push: facts }) {
      const attempt = { id: facts.id, atMs: clock.monotonic(), expiresAtMs: facts.expiresAtMs };
      attempted.push(attempt);
      return { outcome: await answer(attempt, attempted.length) };
    },
    async close() {},
  };
  const guard = new Guard({
    app: "app",
    fingerprint: "f",
    policy: undefined,
    known: undefined,
    clock,
    store: store.knownApps,
    onStoreError: () => {},
  });
  const app: App = { name: "app", pushkin, guard, inFlight: new InFlight(options.limit ?? 512) };
  const engine = createEngine({
    apps: new Map([["app", app]]),
    store,
    known: [],
    observer: { ...silentObserver, concluded: (event) => concluded.push(event) },
    clock,
    log: silentLog,
    random: () => 0.5,
    keepRejectionsMs: 30 * 24 * HOUR_MS,
    dedupeForMs: 24 * HOUR_MS,
    caps,
  });
  let made = 0;
  const entry = (overrides: Partial<OutboxEntry> = {}, pushkinType = "apns", to = "token"): OutboxEntry => {
    made += 1;
    const { id, priority, urgency, receivedAtMs } = push();
    return {
      id,
      app: "app",
      device: made.toString(16).padStart(64, "0"),
      payload: writePayload({
        pushkin: pushkinType,
        facts: { id, priority, urgency, receivedAtMs },
        message: { body: "{}", to },
      }),
      attempts: 0,
      dueInMs: 0,
      expiresInMs: HOUR_MS,
      receivedAtMs: NOON + made,
      ...overrides,
    };
  };
  return {
    clock,
    store,
    engine,
    attempted,
    concluded,
    entry,
    put: (...entries: OutboxEntry[]) => store.outbox.put(entries, caps),
    /** A push that comes through a door. */
    async dispatch(each = push({ appId: "app" })): Promise<Settled> {
      const answerByMs = clock.monotonic() + 5_000;
      const callerGone = new AbortController().signal;
      const [settled] = await engine.dispatcher.dispatch([each], { requestId: "r", answerByMs, callerGone });
      if (settled === undefined) throw new Error("nothing was settled");
      return settled;
    },
    counts: async () => (await store.outbox.counts()).get("app"),
    /** Moves time in steps, as the worker's sleeps need. */
    async pass(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 250) await clock.advance(Math.min(250, left));
    },
  };
}

describe("OutboxWorker", () => {
  it.each([
    ["delivered", delivered, "handed"],
    ["rejected", { kind: "rejected", reason: "unregistered", answer: { status: 410 } }, "rejected"],
    ["dropped", { kind: "dropped", reason: "refused-by-upstream", answer: { status: 400 } }, "dropped"],
  ] as const)("settles what was %s, tells of it, and forgets the content", async (_what, outcome, state) => {
    const world = setUp(() => outcome);
    await world.put(world.entry());
    await world.engine.start();
    await world.pass(500);
    expect(await world.counts()).toMatchObject({ accepted: 1, [state]: 1, pending: 0, pendingBytes: 0 });
    expect(world.concluded).toMatchObject([{ app: "app", outcome, attempts: 1 }]);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("takes a token that was rejected from the registry", async () => {
    const world = setUp(() => ({ kind: "rejected", reason: "unregistered", answer: { status: 410 } }));
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
    const world = setUp(() => delivered);
    const entries = [1, 3, 2].map((age) => world.entry({ receivedAtMs: NOON + age }));
    await world.put(...entries);
    await world.engine.start();
    await world.pass(500);
    expect(world.attempted.map(({ id }) => id)).toEqual([entries[1]?.id, entries[2]?.id, entries[0]?.id]);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("tries again with growing waits, and takes Retry-After as a floor", async () => {
    const world = setUp((_attempt, count) =>
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
    const world = setUp(() => (back ? delivered : unavailable));
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
    const world = setUp(() => delivered);
    await world.put(world.entry({ dueInMs: 5_000, expiresInMs: 4_000 }));
    await world.engine.start();
    await world.pass(10_000);
    expect(world.attempted).toEqual([]);
    expect(await world.counts()).toMatchObject({ expired: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("tells the pushkin what remains of a push's life by the store's clock", async () => {
    const world = setUp(() => delivered);
    await world.put(world.entry({ dueInMs: 3_000, expiresInMs: 30_000 }));
    await world.engine.start();
    await world.pass(6_000);
    expect(world.attempted[0]?.expiresAtMs).toBeCloseTo(NOON + 30_000, -2);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("does not send what another type of pushkin has rendered", async () => {
    const world = setUp(() => delivered);
    await world.put(world.entry({}, "gcm"), world.entry({ payload: "no json" }));
    await world.engine.start();
    await world.pass(500);
    expect(world.attempted).toEqual([]);
    expect(await world.counts()).toMatchObject({ dropped: 2, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("does not ask for a device that has died meanwhile", async () => {
    const world = setUp(() => delivered);
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
    const world = setUp(() => delivered);
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
    const world = setUp(() => delivered);
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
    const world = setUp(() => new Promise((resolve) => (finish = resolve)));
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
    const world = setUp(() => new Promise((resolve) => (finish = resolve)));
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
    const world = setUp(() => new Promise((resolve) => finish.push(resolve)));
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
    const world = setUp((attempt) => (dead.has(attempt.id) ? unavailable : delivered), { manyHosts: true });
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
    const world = setUp(() => delivered);
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
    const world = setUp(() => delivered);
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
    const world = setUp(
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
    expect(await world.dispatch()).toEqual({ kind: "accepted" });
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
    const world = setUp(
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
    const world = setUp(async () => {
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
