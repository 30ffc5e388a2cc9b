import type { App } from "../../src/core/app.ts";
import { createEngine } from "../../src/core/engine.ts";
import { Guard } from "../../src/core/guard.ts";
import { InFlight } from "../../src/core/in-flight.ts";
import { silentObserver, type AlarmEvent, type SettledEvent } from "../../src/core/observer.ts";
import type { Outcome, Settled } from "../../src/core/outcome.ts";
import type { Pushkin } from "../../src/core/pushkin.ts";
import type { Push } from "../../src/core/push.ts";
import { silentLog } from "../../src/log.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { StoreError, type KnownApp } from "../../src/store/store.ts";
import { NOON, push } from "../support/builders.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
type Step = Outcome | "hang" | "throw";

/** A gateway's core around one app, `com.example.*`, whose pushkin answers by a script; the last step repeats. */
function setUp(
  steps: readonly Step[],
  options: { limit?: number; store?: ReturnType<typeof openMemoryStore>; known?: KnownApp[] } = {},
) {
  const clock = createFakeClock();
  const store = options.store ?? openMemoryStore();
  const attempted: Push["id"][] = [];
  const hanging: ((outcome: Outcome) => void)[] = [];
  let step = 0;
  const pushkin: Pushkin = {
    name: "com.example.*",
    type: "apns",
    fingerprint: "f",
    render: (each) =>
      each.pushkey === "unrenderable"
        ? { kind: "rejected", reason: "invalid-pushkey" }
        : { body: "{}", to: each.pushkey },
    async attempt(_message, context) {
      attempted.push(context.push.id);
      const next = steps[Math.min(step, steps.length - 1)] ?? "hang";
      step += 1;
      if (next === "throw") throw new Error("secret pushkey in a message");
      if (next !== "hang") return { outcome: next };
      return { outcome: await new Promise<Outcome>((resolve) => hanging.push(resolve)) };
    },
    waiting: () => 0,
    upstreamOf: () => "api.push.example",
    async close() {},
  };
  const guard = new Guard({
    app: pushkin.name,
    fingerprint: pushkin.fingerprint,
    policy: { share: 0.2, minimum: 50, windowMs: 300_000 },
    known: undefined,
    clock,
    store: store.knownApps,
    onStoreError: () => {},
  });
  const app: App = { name: pushkin.name, pushkin, guard, inFlight: new InFlight(options.limit ?? 512) };
  const settledEvents: SettledEvent[] = [];
  const alarms: AlarmEvent[] = [];
  const engine = createEngine({
    apps: new Map([[pushkin.name, app]]),
    store,
    known: options.known ?? [],
    observer: {
      ...silentObserver,
      settled: (event) => settledEvents.push(event),
      alarm: (event) => alarms.push(event),
    },
    clock,
    log: silentLog,
    random: () => 0.5,
    keepRejectionsMs: 30 * DAY_MS,
    dedupeForMs: DAY_MS,
    caps: { maxRows: 1000, maxBytes: 1_000_000, maxAppRows: 1000, maxAppBytes: 1_000_000 },
  });
  const { dispatcher } = engine;
  const dispatch = (
    pushes: readonly Push[],
    callerGone = new AbortController().signal,
  ): Promise<readonly Settled[]> =>
    dispatcher.dispatch(pushes, { requestId: "r", answerByMs: clock.monotonic() + 5_000, callerGone });
  const one = async (each: Push): Promise<Settled> => (await dispatch([each]))[0] as Settled;
  return {
    clock,
    store,
    guard,
    attempted,
    hanging,
    dispatch,
    one,
    settledEvents,
    alarms,
    engine,
  };
}

const delivered: Outcome = { kind: "delivered" };
const unavailable: Outcome = { kind: "retryable", reason: "upstream-unavailable" };
const gone: Outcome = { kind: "rejected", reason: "unregistered", answer: { status: 410 } };
const badToken: Outcome = { kind: "rejected", reason: "bad-token", guarded: true, answer: { status: 400 } };

describe("CoreDispatcher", () => {
  it("delivers, and tells the observer by a digest that is not the pushkey", async () => {
    const core = setUp([delivered]);
    expect(await core.one(push())).toEqual(delivered);
    expect(core.settledEvents).toMatchObject([{ app: "com.example.*", settled: delivered, attempts: 1 }]);
    expect(core.settledEvents[0]?.device).toMatch(/^[0-9a-f]{64}$/);
  });

  it("tries again within the window, and stops at its end", async () => {
    const core = setUp([unavailable, unavailable, delivered]);
    const result = core.one(push());
    await core.clock.advance(500 + 1_000);
    expect(await result).toEqual(delivered);
    expect(core.attempted).toHaveLength(3);
    expect(new Set(core.attempted).size).toBe(1);

    const never = setUp([unavailable]);
    const open = never.one(push());
    await never.clock.advance(5_000);
    expect(await open).toEqual(unavailable);
    // 0.5 s, 1 s, 2 s; the next wait of 4 s would end after the window.
    expect(never.attempted).toHaveLength(4);
  });

  it("answers at once when the upstream wants to be left alone beyond the window", async () => {
    const core = setUp([{ kind: "retryable", reason: "rate-limited", retryAfterMs: 60_000 }]);
    expect(await core.one(push())).toMatchObject({
      kind: "retryable",
      reason: "rate-limited",
      retryAfterMs: 60_000,
    });
    expect(core.attempted).toHaveLength(1);
  });

  it("answers at the window's end while an attempt hangs, and remembers its late success for the repeat", async () => {
    const core = setUp(["hang"]);
    const event = push({ dedupeOn: "$e" });
    const first = core.one(event);
    await core.clock.advance(5_000);
    expect(await first).toEqual({ kind: "retryable", reason: "answer-window" });
    // The repeat joins what is under way.
    const second = core.one({ ...event, id: "again" });
    await core.clock.advance(1_000);
    core.hanging[0]?.(delivered);
    expect(await second).toEqual(delivered);
    expect(await core.one({ ...event, id: "third" })).toEqual({ kind: "dropped", reason: "duplicate" });
    expect(core.attempted).toHaveLength(1);
  });

  it("settles devices side by side, whatever happens to the others", async () => {
    const core = setUp(["hang", gone, delivered]);
    const pushes = ["one", "two", "three"].map((pushkey) => push({ pushkey }));
    const result = core.dispatch(pushes);
    await core.clock.advance(0);
    core.hanging[0]?.(delivered);
    expect((await result).map((settled) => settled.kind)).toEqual(["delivered", "rejected", "delivered"]);
  });

  it("rejects an app_id that nobody is configured for", async () => {
    const core = setUp([delivered]);
    expect(await core.one(push({ appId: "org.nobody" }))).toEqual({
      kind: "rejected",
      reason: "unknown-app",
    });
    expect(core.attempted).toHaveLength(0);
  });

  it("holds an app_id that was served until lately, and rejects it a week after it was last configured", async () => {
    const known = [{ app: "org.gone.*", lastConfiguredAtMs: NOON - 6 * DAY_MS, served: true }];
    const core = setUp([delivered], { known });
    expect(await core.one(push({ appId: "org.gone.ios" }))).toMatchObject({
      kind: "retryable",
      reason: "held",
    });
    expect(core.alarms).toMatchObject([{ app: "org.gone.*", alarm: "app-removed" }]);
    await core.clock.advance(DAY_MS);
    expect(await core.one(push({ appId: "org.gone.ios" }))).toEqual({
      kind: "rejected",
      reason: "unknown-app",
    });
  });

  it("does not hold an app that never served a push", async () => {
    const core = setUp([delivered], {
      known: [{ app: "org.gone", lastConfiguredAtMs: NOON, served: false }],
    });
    expect(await core.one(push({ appId: "org.gone" }))).toEqual({ kind: "rejected", reason: "unknown-app" });
  });

  describe("dead pushkeys", () => {
    it("answers for a known-dead one without asking the upstream", async () => {
      const core = setUp([gone]);
      expect(await core.one(push())).toEqual(gone);
      expect(await core.one(push())).toEqual({ kind: "rejected", reason: "known-dead" });
      expect(core.attempted).toHaveLength(1);
    });

    it("asks again when it was registered after the verdict, and forgets the verdict after a success", async () => {
      const core = setUp([gone, delivered]);
      await core.one(push({ pushkeyTsMs: NOON - 1_000 }));
      expect(await core.one(push({ pushkeyTsMs: NOON - 1_000 }))).toMatchObject({ kind: "rejected" });
      expect(await core.one(push({ pushkeyTsMs: NOON + 1_000 }))).toEqual(delivered);
      expect(await core.one(push({ pushkeyTsMs: NOON - 1_000 }))).toEqual(delivered);
    });

    it("takes the upstream's own time of death for the comparison", async () => {
      const core = setUp([{ ...gone, sinceMs: NOON - DAY_MS }, delivered]);
      await core.one(push({ pushkeyTsMs: NOON - 2 * DAY_MS }));
      expect(await core.one(push({ pushkeyTsMs: NOON - DAY_MS + 1 }))).toEqual(delivered);
    });

    it.each([
      [NOON - 1_000, 29 * DAY_MS, 1],
      [NOON - 1_000, 31 * DAY_MS, 2],
      [undefined, DAY_MS - 1_000, 1],
      [undefined, DAY_MS + 1_000, 2],
    ])(
      "with pushkey_ts %s, after %d ms, the upstream was asked %d times",
      async (pushkeyTsMs, laterMs, asked) => {
        const core = setUp([gone]);
        const each = push({
          expiresAtMs: NOON + 90 * DAY_MS,
          ...(pushkeyTsMs === undefined ? {} : { pushkeyTsMs }),
        });
        await core.one(each);
        await core.clock.advance(laterMs);
        await core.one(each);
        expect(core.attempted).toHaveLength(asked);
      },
    );

    it("does not confuse apps, nor remember what it could tell by itself", async () => {
      const core = setUp([delivered]);
      expect(await core.one(push({ pushkey: "unrenderable" }))).toEqual({
        kind: "rejected",
        reason: "invalid-pushkey",
      });
      expect((await core.store.rejections.count(core.clock.now())).size).toBe(0);
    });
  });

  describe("the guard", () => {
    it("holds a verdict on a token until a push has succeeded, with an alarm", async () => {
      const core = setUp([badToken, delivered, badToken]);
      expect(await core.one(push({ pushkey: "a" }))).toMatchObject({ kind: "retryable", reason: "held" });
      expect(core.alarms).toMatchObject([{ app: "com.example.*", alarm: "rejections-held-unproven" }]);
      expect(await core.one(push({ pushkey: "b" }))).toEqual(delivered);
      expect(await core.one(push({ pushkey: "a" }))).toEqual(badToken);
    });

    it("lets a certain verdict pass from the first push on", async () => {
      expect(await setUp([gone]).one(push())).toEqual(gone);
    });
  });

  describe("duplicates", () => {
    const event = (overrides: Partial<Push> = {}): Push => push({ dedupeOn: '["$e",{}]', ...overrides });

    it("sends a delivered push once, however often it comes", async () => {
      const core = setUp([delivered]);
      await core.one(event());
      expect(await core.one(event())).toEqual({ kind: "dropped", reason: "duplicate" });
      expect(core.attempted).toHaveLength(1);
    });

    it("shares one attempt among fifty at once", async () => {
      const core = setUp(["hang"]);
      const results = Promise.all(Array.from({ length: 50 }, () => core.one(event())));
      await core.clock.advance(0);
      core.hanging[0]?.(delivered);
      expect(new Set(await results)).toEqual(new Set([delivered]));
      expect(core.attempted).toHaveLength(1);
    });

    it.each([
      ["other pusher data", { dedupeOn: '["$e",{"a":1}]' }],
      ["another pushkey", { pushkey: "other" }],
      ["another app under the same glob", { appId: "com.example.other" }],
    ])("does not take %s for a duplicate", async (_what, difference) => {
      const core = setUp([delivered]);
      await core.one(event());
      expect(await core.one(event(difference))).toEqual(delivered);
    });

    it("tries again after a failure", async () => {
      const core = setUp([{ kind: "retryable", reason: "connect", retryAfterMs: 9_000 }, delivered]);
      await core.one(event());
      expect(await core.one(event())).toEqual(delivered);
    });

    it("lets a push without an event id pass every time", async () => {
      const core = setUp([delivered]);
      await core.one(push());
      expect(await core.one(push())).toEqual(delivered);
    });

    it("forgets after its time", async () => {
      const core = setUp([delivered]);
      await core.one(event());
      await core.clock.advance(DAY_MS + 1_000);
      expect(await core.one(event({ expiresAtMs: NOON + 9 * DAY_MS }))).toEqual(delivered);
    });

    it("reaches only what is open when a partly failed request is repeated, also after a crash", async () => {
      const failing: Outcome = { kind: "retryable", reason: "upstream-unavailable", retryAfterMs: 60_000 };
      const core = setUp([delivered, failing]);
      const pushes = [event({ pushkey: "good" }), event({ pushkey: "bad" })];
      expect((await core.dispatch(pushes)).map((each) => each.kind)).toEqual(["delivered", "retryable"]);
      const afterCrash = setUp([delivered], { store: core.store });
      expect((await afterCrash.dispatch(pushes)).map((each) => each.kind)).toEqual(["dropped", "delivered"]);
      expect(afterCrash.attempted).toEqual([pushes[1]?.id]);
    });

    it("keeps the result for a caller that hung up", async () => {
      const core = setUp([delivered]);
      await core.dispatch([event()], AbortSignal.abort());
      expect(await setUp([delivered], { store: core.store }).one(event())).toEqual({
        kind: "dropped",
        reason: "duplicate",
      });
    });

    it("writes nothing for the usual push, and everything at an orderly stop", async () => {
      const core = setUp([delivered]);
      await core.one(event());
      expect(await setUp([delivered], { store: core.store }).one(event())).toEqual(delivered);
      await core.engine.stop(AbortSignal.timeout(1_000));
      expect(await setUp([delivered], { store: core.store }).one(event())).toEqual({
        kind: "dropped",
        reason: "duplicate",
      });
    });
  });

  it("does not share a verdict with a device that was registered since", async () => {
    const core = setUp(["hang", delivered]);
    const event = { dedupeOn: "$e" };
    const old = core.one(push({ ...event, pushkeyTsMs: NOON - 2_000 }));
    await core.clock.advance(0);
    const registeredSince = core.one(push({ ...event, pushkeyTsMs: NOON - 500 }));
    await core.clock.advance(0);
    const goneSince: Outcome = { ...gone, sinceMs: NOON - 1_000 };
    core.hanging[0]?.(goneSince);
    expect(await old).toEqual(goneSince);
    expect(await registeredSince).toEqual(delivered);
  });

  it("sends no older badge after a newer one", async () => {
    const core = setUp([unavailable, delivered]);
    const older = core.one(push({ urgency: "badge", receivedAtMs: NOON }));
    await core.clock.advance(0);
    expect(await core.one(push({ urgency: "badge", receivedAtMs: NOON + 1 }))).toEqual(delivered);
    await core.clock.advance(1_000);
    expect(await older).toEqual({ kind: "dropped", reason: "superseded" });
    expect(core.attempted).toHaveLength(2);
  });

  it("promises what has no place among the pushes under way, where it can promise", async () => {
    const core = setUp(["hang", delivered], { limit: 1, store: { ...openMemoryStore(), durable: true } });
    const first = core.one(push());
    await core.clock.advance(0);
    expect(await core.one(push())).toMatchObject({ kind: "accepted", because: { reason: "overloaded" } });
    core.hanging[0]?.(delivered);
    await first;
  });

  it("serves on while the store is away, except for what it has promised itself (P15)", async () => {
    const store = { ...openMemoryStore(), durable: true };
    const core = setUp(["hang", delivered], { limit: 1, store });
    const first = core.one(push());
    const promised = push({ dedupeOn: "promised" });
    await core.clock.advance(0);
    expect(await core.one(promised)).toMatchObject({ kind: "accepted" });
    core.hanging[0]?.(delivered);
    await first;
    store.outbox.holds = () => Promise.reject(new StoreError("unavailable", "away"));
    expect(await core.one(push({ dedupeOn: "new" }))).toEqual(delivered);
    expect(await core.one({ ...promised, id: push().id })).toMatchObject({
      kind: "retryable",
      reason: "store",
    });
    expect(core.attempted).toHaveLength(2);
  });

  it("turns pushes away when the app has too many under way, and takes them again afterwards", async () => {
    const core = setUp(["hang", delivered], { limit: 1 });
    const first = core.one(push());
    await core.clock.advance(0);
    expect(await core.one(push())).toMatchObject({ kind: "retryable", reason: "overloaded" });
    core.hanging[0]?.(delivered);
    await first;
    expect(await core.one(push())).toEqual(delivered);
  });

  it("sends nothing that has expired", async () => {
    const core = setUp([delivered]);
    expect(await core.one(push({ expiresAtMs: NOON }))).toEqual({ kind: "dropped", reason: "expired" });
    expect(core.attempted).toHaveLength(0);
  });

  it("answers for a bug of ours as something to be tried again", async () => {
    const core = setUp(["throw"]);
    const result = core.one(push());
    await core.clock.advance(5_000);
    expect(await result).toEqual({ kind: "retryable", reason: "internal" });
  });

  it("goes on when the store fails, with an alarm", async () => {
    const store = openMemoryStore();
    const core = setUp([gone], {
      store: {
        ...store,
        rejections: { ...store.rejections, put: () => Promise.reject(new StoreError("full", "no space")) },
      },
    });
    expect(await core.one(push())).toEqual(gone);
    expect(core.alarms).toMatchObject([{ alarm: "store" }]);
  });

  it("begins no attempt once it is stopping, and waits for the one under way", async () => {
    const core = setUp(["hang", delivered]);
    const first = core.one(push());
    await core.clock.advance(0);
    const stopped = core.engine.stop(new AbortController().signal);
    expect(await core.one(push())).toEqual({ kind: "retryable", reason: "shutting-down" });
    core.hanging[0]?.(delivered);
    expect(await first).toEqual(delivered);
    await stopped;
  });
});
