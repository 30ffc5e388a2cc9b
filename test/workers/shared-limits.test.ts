import { TokenBuckets } from "../../src/core/token-buckets.ts";
import { sharedBuckets, sharedProbe, sharedTimes } from "../../src/workers/shared-limits.ts";
import { SharedTable, tableMemory } from "../../src/workers/shared-table.ts";
import { createFakeClock } from "../support/fake-clock.ts";

/** Two threads' views of one table. */
function views(): readonly [SharedTable, SharedTable] {
  const memory = tableMemory(1_024);
  return [new SharedTable(memory, 0), new SharedTable(memory, 1)];
}

describe("token buckets of several threads", () => {
  it.each([
    { count: 4, windowMs: 60_000 },
    { count: 1, windowMs: 1_000 },
    { count: 600, windowMs: 60_000 },
  ])("say what those of one thread would: %j", async (allowance) => {
    const clock = createFakeClock();
    const makers = views().map((table) => sharedBuckets(table, () => clock.monotonic()));
    const both = makers.map((make) => make("device", allowance, clock));
    const own = new TokenBuckets(allowance, clock);
    const waits: [number, number][] = [];
    for (let i = 0; i < 3 * allowance.count; i += 1) {
      const bucket = both[i % 2];
      waits.push([bucket?.waitFor("a") ?? -1, own.waitFor("a")], [bucket?.take("a") ?? -1, own.take("a")]);
      await clock.advance(allowance.windowMs / allowance.count / 3);
    }
    for (const [shared, alone] of waits) expect(shared).toBeCloseTo(alone, 3);
    expect(waits.some(([shared]) => shared > 0)).toBe(true);
  });

  it("are apart by kind, allowance and name", () => {
    const clock = createFakeClock();
    const make = sharedBuckets(views()[0], () => clock.monotonic());
    const once = { count: 1, windowMs: 60_000 };
    expect(make("device", once, clock).take("a")).toBe(0);
    expect(make("device", once, clock).take("a")).toBeGreaterThan(0);
    expect(make("device", once, clock).take("b")).toBe(0);
    expect(make("source", once, clock).take("a")).toBe(0);
    expect(make("device", { count: 2, windowMs: 60_000 }, clock).take("a")).toBe(0);
  });
});

describe("times of several threads", () => {
  it("are the newest that any of them gave", () => {
    const [one, other] = views().map(sharedTimes);
    one?.set("a", 5);
    other?.set("a", 3);
    expect([one?.get("a"), other?.get("a")]).toEqual([5, 5]);
    other?.set("a", 7);
    expect(one?.get("a")).toBe(7);
    expect(one?.get("b")).toBeUndefined();
  });
});

describe("an upstream's probe among threads", () => {
  it("is one thread's at a time, and the next one's when its time has passed", () => {
    let now = 1_000;
    const [one, other] = views().map((table) => sharedProbe(table, "app", "host", () => now));
    expect(one?.take(5_000)).toBe(true);
    expect(other?.take(5_000)).toBe(false);
    expect(other?.waitMs()).toBe(5_000);
    now += 5_000;
    expect(other?.waitMs()).toBe(0);
    expect(other?.take(5_000)).toBe(true);
    expect(one?.take(5_000)).toBe(false);
  });

  it("tells all of them how long ago the upstream answered", () => {
    let now = 1_000;
    const [one, other] = views().map((table) => sharedProbe(table, "app", "host", () => now));
    expect(one?.closedAgoMs()).toBeUndefined();
    other?.closed();
    now += 250;
    expect(one?.closedAgoMs()).toBe(250);
    const elsewhere = sharedProbe(views()[0], "app", "another", () => now);
    expect(elsewhere.closedAgoMs()).toBeUndefined();
  });
});
