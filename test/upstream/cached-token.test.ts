import { CachedToken, TokenError, type ExpiringToken } from "../../src/upstream/cached-token.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";

/** Tokens `t1`, `t2`, … of `lifeMs`, each given when the test says so; or an error. */
function setUp(lifeMs = 3_600_000) {
  const clock: FakeClock = createFakeClock();
  const waiting: { give: (change?: Partial<ExpiringToken>) => void; fail: (error: TokenError) => void }[] =
    [];
  let fetches = 0;
  const cached = new CachedToken(() => {
    fetches += 1;
    const number = fetches;
    return new Promise<ExpiringToken>((resolve, reject) => {
      waiting.push({
        give: (change) => resolve({ token: `t${number}`, expiresAtMs: clock.now() + lifeMs, ...change }),
        fail: reject,
      });
    });
  }, clock);
  const next = () => {
    const first = waiting.shift();
    if (first === undefined) throw new Error("nothing is fetched");
    return first;
  };
  return {
    clock,
    cached,
    fetches: () => fetches,
    give: async (change?: Partial<ExpiringToken>) => {
      next().give(change);
      await clock.advance(0);
    },
    fail: async (error = down) => {
      next().fail(error);
      await clock.advance(0);
    },
  };
}

const down = new TokenError("unavailable", "down");
const MINUTE_MS = 60_000;

describe("a cached token", () => {
  it("is fetched once, however many wait for it", async () => {
    const { cached, fetches, give } = setUp();
    const all = Promise.all(Array.from({ length: 500 }, () => Promise.resolve(cached.get())));
    await give();
    expect(new Set(await all)).toEqual(new Set(["t1"]));
    expect(fetches()).toBe(1);
    expect(cached.get()).toBe("t1");
  });

  it("is not fetched before somebody asks", () => {
    expect(setUp().fetches()).toBe(0);
  });

  it.each([
    ["an hour", 60 * MINUTE_MS, 5 * MINUTE_MS],
    ["fifty seconds", 50_000, 10_000],
  ])("of %s is renewed before its end, in the background and once", async (_name, lifeMs, beforeMs) => {
    const { cached, clock, fetches, give } = setUp(lifeMs);
    void cached.get();
    await give();
    await clock.advance(lifeMs - beforeMs - 1);
    expect([cached.get(), fetches()]).toEqual(["t1", 1]);
    await clock.advance(1);
    expect([cached.get(), cached.get(), fetches()]).toEqual(["t1", "t1", 2]);
    await give();
    expect([cached.get(), fetches()]).toEqual(["t2", 2]);
  });

  it("is used to its very end when renewing fails, and asked for less and less often", async () => {
    const { cached, clock, fail, fetches } = setUp();
    const first = Promise.resolve(cached.get());
    await Promise.all([expect(first).rejects.toBe(down), fail()]);
    const times: number[] = [];
    const startedMs = clock.now();
    for (let ms = 0; ms < 300_000; ms += 500) {
      const before = fetches();
      const got = expect(Promise.resolve(cached.get())).rejects.toBe(down);
      if (fetches() > before) {
        times.push((clock.now() - startedMs) / 1_000);
        await fail();
      }
      await got;
      await clock.advance(500);
    }
    expect(times).toEqual([1, 3, 7, 15, 31, 63, 123, 183, 243]);
  });

  it("that could not be renewed ends, and then callers hear why", async () => {
    const { cached, clock, fail, give } = setUp(100_000);
    void cached.get();
    await give();
    await clock.advance(85_000);
    expect(cached.get()).toBe("t1");
    await fail();
    await clock.advance(14_999);
    expect(cached.get()).toBe("t1");
    await fail();
    await clock.advance(1);
    await expect(Promise.resolve(cached.get())).rejects.toBe(down);
    await clock.advance(2_000);
    const got = cached.get();
    await give();
    expect(await got).toBe("t4");
  });

  it("begins anew with short waits after a success", async () => {
    const { cached, clock, fail, fetches, give } = setUp(10_000);
    for (const wait of [1_000, 2_000, 4_000]) {
      const got = Promise.resolve(cached.get());
      await Promise.all([expect(got).rejects.toBe(down), fail()]);
      await clock.advance(wait);
    }
    void cached.get();
    await give();
    await clock.advance(10_000);
    const got = Promise.resolve(cached.get());
    await Promise.all([expect(got).rejects.toBe(down), fail()]);
    await clock.advance(1_000);
    void Promise.resolve(cached.get()).catch(() => {});
    expect(fetches()).toBe(6);
  });

  it("is asked for again at once when the wall clock was set back meanwhile", async () => {
    const { cached, clock, fail, fetches } = setUp();
    const got = Promise.resolve(cached.get());
    await Promise.all([expect(got).rejects.toBe(down), fail()]);
    clock.setWallClock(clock.now() - 24 * 60 * MINUTE_MS);
    void Promise.resolve(cached.get()).catch(() => {});
    expect(fetches()).toBe(2);
  });

  it("without a life is good for those who waited, and for nobody else", async () => {
    const { cached, fetches, give } = setUp();
    const both = [Promise.resolve(cached.get()), Promise.resolve(cached.get())];
    await give({ expiresAtMs: 0 });
    expect(await Promise.all(both)).toEqual(["t1", "t1"]);
    const third = cached.get();
    await give();
    expect(await third).toBe("t2");
    expect(fetches()).toBe(2);
  });
});

describe("a token that the upstream refuses", () => {
  async function refused() {
    const all = setUp();
    void all.cached.get();
    await all.give();
    return all;
  }

  it("is replaced, once for all who were refused", async () => {
    const { cached, fetches, give } = await refused();
    expect([cached.invalidate("t1"), cached.invalidate("t1")]).toEqual([true, true]);
    const both = Promise.all([Promise.resolve(cached.get()), Promise.resolve(cached.get())]);
    expect(cached.invalidate("t1")).toBe(true);
    await give();
    expect(await both).toEqual(["t2", "t2"]);
    expect([cached.invalidate("t1"), cached.get(), fetches()]).toEqual([true, "t2", 2]);
  });

  it("so soon after another is kept: it is not the token's fault", async () => {
    const { cached, clock, fetches, give } = await refused();
    cached.invalidate("t1");
    void cached.get();
    await give();
    await clock.advance(9_999);
    expect([cached.invalidate("t2"), cached.get(), fetches()]).toEqual([false, "t2", 2]);
    await clock.advance(1);
    expect(cached.invalidate("t2")).toBe(true);
    expect(cached.get()).toBeInstanceOf(Promise);
    await give();
    expect([cached.get(), fetches()]).toEqual(["t3", 3]);
  });
});
