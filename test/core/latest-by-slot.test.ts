import { LatestBySlot } from "../../src/core/latest-by-slot.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import { StoreError } from "../../src/store/store.ts";
import { NOON, push } from "../support/builders.ts";
import { HOUR_MS, delivered, unavailable, workerWorld } from "../support/worker-world.ts";

const slot = "badge";
const superseded = { kind: "dropped", reason: "superseded" };
const olderBadge = (): ReturnType<typeof push> =>
  push({ appId: "app", urgency: "badge", receivedAtMs: NOON - 5 });
const newerBadge = (): ReturnType<typeof push> =>
  push({ appId: "app", urgency: "badge", receivedAtMs: NOON });

/** A world whose app answers when told to. */
function withAnswers() {
  const answers: ((outcome: Outcome) => void)[] = [];
  const world = workerWorld(() => new Promise((resolve) => answers.push(resolve)));
  return { ...world, answer: (attempt: number, outcome: Outcome) => answers[attempt]?.(outcome) };
}

describe("LatestBySlot", () => {
  it("knows what is older, of this app, device and slot alone", async () => {
    const latest = new LatestBySlot();
    const device = "a".repeat(64);
    await latest.note("app", device, slot, NOON);
    await latest.note("app", device, slot, NOON - 9);
    expect(latest.isOlder("app", device, slot, NOON - 1)).toBe(true);
    expect(latest.isOlder("app", device, slot, NOON)).toBe(false);
    expect(latest.isOlder("app", "b".repeat(64), slot, NOON - 1)).toBe(false);
    expect(latest.isOlder("app", device, "throttled", NOON - 1)).toBe(false);
    expect(latest.isOlder("other", device, slot, NOON - 1)).toBe(false);
  });

  it.each([
    { comes: "through a door", dispatched: true, state: "dropped" },
    { comes: "from the outbox", dispatched: false, state: "expired" },
  ])(
    "takes the older badge out of the outbox when a newer one that came $comes is handed over",
    async (each) => {
      const world = workerWorld(() => delivered);
      const device = world.deviceOf(newerBadge());
      const older = world.entry({ device, slot, receivedAtMs: NOON - 5, dueInMs: HOUR_MS / 2 });
      // In somebody's hands, so that the newer entry does not replace it.
      const lease = { owner: "another process", leaseMs: 1_000 };
      await world.store.outbox.put([older], world.caps, each.dispatched ? undefined : lease);
      await world.engine.start();
      if (each.dispatched) expect(await world.dispatch(newerBadge())).toEqual(delivered);
      else await world.put(world.entry({ device, slot, receivedAtMs: NOON }));
      await world.pass(3_000);
      expect(world.attempted).toHaveLength(1);
      expect(await world.counts()).toMatchObject({ pending: 0 });
      await world.engine.stop(AbortSignal.timeout(1_000));
    },
  );

  it("hands a badge over although the store cannot be told", async () => {
    const world = workerWorld(() => delivered);
    world.store.outbox.supersede = () => Promise.reject(new StoreError("unavailable", "away"));
    expect(await world.dispatch(newerBadge())).toEqual(delivered);
    await world.put(world.entry({ device: world.deviceOf(newerBadge()), slot, receivedAtMs: NOON - 5 }));
    await world.engine.start();
    await world.pass(500);
    expect(await world.counts()).toMatchObject({ dropped: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it("drops a promised badge whose attempt fails after a newer one was handed over", async () => {
    const world = withAnswers();
    const older = { device: world.deviceOf(newerBadge()), slot, receivedAtMs: NOON - 5 };
    await world.put(world.entry(older));
    await world.engine.start();
    await world.pass(250);
    const newer = world.dispatch(newerBadge());
    await world.pass(1);
    world.answer(1, delivered);
    expect(await newer).toEqual(delivered);
    world.answer(0, unavailable);
    await world.pass(250);
    expect(world.attempted).toHaveLength(2);
    expect(world.concluded).toMatchObject([{ outcome: superseded }]);
    await world.engine.stop(AbortSignal.timeout(1_000));
  });

  it.each([
    { when: "its attempt hangs", late: undefined },
    { when: "its attempt has failed", late: unavailable },
  ])("promises no badge after a newer one was handed over ($when)", async ({ late }) => {
    const world = withAnswers();
    const older = world.dispatch(olderBadge());
    await world.pass(1);
    const newer = world.dispatch(newerBadge());
    await world.pass(1);
    world.answer(1, delivered);
    await newer;
    if (late !== undefined) world.answer(0, late);
    await world.pass(6_000);
    expect(await older).toEqual(superseded);
    expect(await world.counts()).toBeUndefined();
  });

  it("drops the badge that was promised while its attempt ran, when that fails after a newer one", async () => {
    const world = withAnswers();
    const older = world.dispatch(olderBadge());
    await world.pass(6_000);
    expect(await older).toMatchObject({ kind: "accepted" });
    const newer = world.dispatch(newerBadge());
    await world.pass(1);
    world.answer(1, delivered);
    await newer;
    world.answer(0, unavailable);
    await world.pass(250);
    expect(await world.counts()).toMatchObject({ accepted: 1, dropped: 1, pending: 0 });
  });

  it("tells of a waiting badge that a newer one replaces, and of one that a newer one which went out leaves behind", async () => {
    let upstream: Outcome = unavailable;
    const world = workerWorld(() => upstream);
    const device = world.deviceOf(newerBadge());
    const waiting = world.entry({ device, slot, receivedAtMs: NOON - 5, dueInMs: HOUR_MS / 2, attempts: 2 });
    await world.put(waiting);
    const promising = world.dispatch(newerBadge());
    await world.pass(6_000);
    expect(await promising).toMatchObject({ kind: "accepted" });
    const told = { app: "app", pushkin: "apns", device };
    expect(world.superseded).toEqual([{ ...told, push: waiting.id, attempts: 2 }]);
    upstream = delivered;
    const newest = push({ appId: "app", urgency: "badge", receivedAtMs: NOON + 5 });
    expect(await world.dispatch(newest)).toMatchObject({ kind: "delivered" });
    expect(world.superseded).toMatchObject([{ push: waiting.id }, told]);
    expect(await world.counts()).toMatchObject({ accepted: 2, dropped: 2, pending: 0 });
  });

  it("tells of a badge that another replica overtook in this one's hands, when its attempt fails", async () => {
    const world = withAnswers();
    const device = world.deviceOf(newerBadge());
    await world.put(world.entry({ device, slot, receivedAtMs: NOON - 5 }));
    await world.engine.start();
    await world.pass(250);
    // As another replica does it, of which this process hears nothing.
    await world.store.outbox.supersede({ app: "app", device, slot, receivedAtMs: NOON });
    world.answer(0, unavailable);
    await world.pass(250);
    expect(world.concluded).toMatchObject([{ outcome: superseded, device }]);
    expect(await world.counts()).toMatchObject({ dropped: 1, pending: 0 });
    await world.engine.stop(AbortSignal.timeout(1_000));
  });
});
