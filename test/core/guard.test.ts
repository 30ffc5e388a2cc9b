import { Guard, type GuardPolicy } from "../../src/core/guard.ts";
import type { KnownApp } from "../../src/store/store.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const policy: GuardPolicy = { share: 0.2, minimum: 50, windowMs: 300_000 };

function setUp(known?: Partial<KnownApp>, usedPolicy: GuardPolicy | undefined = policy) {
  const clock = createFakeClock();
  const store = openMemoryStore();
  const guard = new Guard({
    app: "app",
    fingerprint: "key-1",
    policy: usedPolicy,
    known: known === undefined ? undefined : { app: "app", lastConfiguredAtMs: 0, served: true, ...known },
    clock,
    store: store.knownApps,
    onStoreError: (error) => {
      throw error;
    },
  });
  return { clock, store, guard };
}

const held = (guard: Guard, device: string): boolean => guard.judge(device).held !== undefined;

describe("Guard", () => {
  it("holds every rejection until a push has succeeded with these settings", () => {
    const { guard } = setUp();
    for (let i = 0; i < 200; i += 1) expect(guard.judge(`d${i}`).held).toBe("never-succeeded");
    guard.succeeded("alive");
    expect(held(guard, "d1")).toBe(false);
  });

  it("remembers the first success over a restart, and forgets it when the settings change", async () => {
    const { guard, store } = setUp();
    guard.succeeded("alive");
    const [known] = await store.knownApps.all();
    expect(known?.succeededWith).toBe("key-1");
    expect(held(setUp({ succeededWith: "key-1" }).guard, "dead")).toBe(false);
    expect(setUp({ succeededWith: "key-0" }).guard.judge("dead").held).toBe("never-succeeded");
  });

  it("believes a share of dead tokens up to the limit and holds what is over it", () => {
    const { guard } = setUp({ succeededWith: "key-1" });
    for (let i = 0; i < 80; i += 1) guard.succeeded(`alive${i}`);
    const verdicts: boolean[] = [];
    for (let i = 0; i < 40; i += 1) {
      verdicts.push(held(guard, `dead${i}`));
      if (i % 5 === 4 && guard.holding === undefined) guard.succeeded(`more${i}`);
    }
    // 80 alive and a few more: the share passes 20 % a little after twenty dead ones.
    expect(verdicts.indexOf(true)).toBeGreaterThanOrEqual(19);
    expect(verdicts.indexOf(true)).toBeLessThan(30);
    expect(verdicts.slice(verdicts.indexOf(true))).not.toContain(false);
    expect(guard.holding).toBe("mass-rejection");
  });

  it("deletes fewer than 50 pushers when every answer turns bad after hours of success", async () => {
    const { guard, clock } = setUp({ succeededWith: "key-1" });
    for (let minute = 0; minute < 120; minute += 1) {
      for (let i = 0; i < 100; i += 1) guard.succeeded(`alive${i}`);
      await clock.advance(60_000);
    }
    for (let i = 0; i < 3_000; i += 1) guard.succeeded(`alive${i}`);
    let believed = 0;
    for (let i = 0; i < 1_000; i += 1) if (!held(guard, `dead${i}`)) believed += 1;
    expect(believed).toBeLessThan(50);
    expect(believed).toBeGreaterThan(0);
  });

  it("counts devices, not attempts", () => {
    const { guard } = setUp({ succeededWith: "key-1" });
    for (let i = 0; i < 100; i += 1) expect(held(guard, "one-dead-phone")).toBe(false);
  });

  it("forgets what is older than the window", async () => {
    const { guard, clock } = setUp({ succeededWith: "key-1" }, { ...policy, minimum: 100 });
    for (let i = 0; i < 30; i += 1) {
      expect(held(guard, `dead${i}`)).toBe(false);
      guard.succeeded("alive");
    }
    await clock.advance(300_001);
    for (let i = 0; i < 90; i += 1) guard.succeeded(`alive${i}`);
    for (let i = 0; i < 15; i += 1) expect(held(guard, `later${i}`)).toBe(false);
  });

  it("is released by a success, and the next verdict counts", async () => {
    const { guard, store } = setUp({ succeededWith: "key-1" });
    for (let i = 0; i < 60; i += 1) guard.judge(`dead${i}`);
    expect(guard.holding).toBe("mass-rejection");
    expect((await store.knownApps.all())[0]?.guardTrippedAtMs).toBeGreaterThan(0);
    guard.succeeded("alive");
    expect(guard.holding).toBeUndefined();
    expect(held(guard, "dead1")).toBe(false);
    expect((await store.knownApps.all())[0]?.guardTrippedAtMs).toBeUndefined();
  });

  it("stays tripped over a restart", () => {
    const { guard } = setUp({ succeededWith: "key-1", guardTrippedAtMs: 1 });
    expect(guard.judge("dead").held).toBe("mass-rejection");
  });

  it("tells once that it has just tripped", () => {
    const { guard } = setUp({ succeededWith: "key-1" });
    const told = Array.from({ length: 100 }, (_, i) => guard.judge(`dead${i}`).justTripped);
    expect(told.filter(Boolean)).toHaveLength(1);
  });

  it("counts a certain rejection as proof that the settings are right", () => {
    const { guard } = setUp({ succeededWith: "key-1" });
    for (let i = 0; i < 100; i += 1) guard.sawCertainRejection(`gone${i}`);
    for (let i = 0; i < 15; i += 1) expect(held(guard, `dead${i}`)).toBe(false);
  });

  it("releases a held app although made-up tokens by the thousand were found dead before", () => {
    const { guard } = setUp();
    for (let i = 0; i < 20_000; i += 1) guard.judge(`made-up${i}`);
    guard.succeeded("alive");
    for (let i = 0; i < 15; i += 1) expect(held(guard, `dead${i}`)).toBe(false);
  });

  it("believes malformed pushkeys, proven or not, until there are too many in a row", async () => {
    for (const known of [undefined, { succeededWith: "key-1" }]) {
      const { guard, store } = setUp(known);
      const verdicts = Array.from({ length: 100 }, (_, i) => guard.judgeMalformed(`malformed${i}`));
      expect(verdicts.indexOf(true)).toBe(19);
      expect(verdicts.slice(19)).not.toContain(false);
      expect((await store.knownApps.all())[0]?.guardTrippedAtMs).toBeGreaterThan(0);
      guard.succeeded("alive");
      expect(guard.judgeMalformed("malformed1")).toBe(false);
      expect((await store.knownApps.all())[0]?.guardTrippedAtMs).toBeUndefined();
    }
  });

  it("counts a malformed pushkey once, and anew after each success", () => {
    const { guard } = setUp({ succeededWith: "key-1" });
    for (let i = 0; i < 200; i += 1) {
      expect(guard.judgeMalformed("one-broken-client")).toBe(false);
      expect(guard.judgeMalformed(`malformed${i}`)).toBe(false);
      if (i % 10 === 9) guard.succeeded("alive");
    }
  });

  it("holds malformed pushkeys on over a restart, also of an app that has never succeeded", () => {
    expect(setUp({ guardTrippedAtMs: 1 }).guard.judgeMalformed("malformed")).toBe(true);
  });

  it("believes everything when it is off", () => {
    const clock = createFakeClock();
    const guard = new Guard({
      app: "app",
      fingerprint: "key-1",
      policy: undefined,
      known: undefined,
      clock,
      store: openMemoryStore().knownApps,
      onStoreError: () => {},
    });
    for (let i = 0; i < 200; i += 1) expect(held(guard, `dead${i}`)).toBe(false);
    for (let i = 0; i < 200; i += 1) expect(guard.judgeMalformed(`malformed${i}`)).toBe(false);
  });
});
