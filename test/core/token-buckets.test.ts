import { TokenBuckets } from "../../src/core/token-buckets.ts";
import { createFakeClock } from "../support/fake-clock.ts";

describe("TokenBuckets", () => {
  it("lets the whole allowance through at once, and then what time brings back", async () => {
    const clock = createFakeClock();
    const buckets = new TokenBuckets({ count: 3, windowMs: 3000 }, clock);
    expect([1, 2, 3].map(() => buckets.take("a"))).toEqual([0, 0, 0]);
    expect(buckets.take("a")).toBe(1000);
    await clock.advance(400);
    expect(buckets.waitFor("a")).toBe(600);
    await clock.advance(600);
    expect(buckets.take("a")).toBe(0);
    expect(buckets.take("a")).toBe(1000);
    await clock.advance(10_000);
    expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 1000]);
  });

  it("keeps names apart, and those that wait lose nothing by asking", async () => {
    const clock = createFakeClock();
    const buckets = new TokenBuckets({ count: 1, windowMs: 1000 }, clock);
    expect(buckets.take("a")).toBe(0);
    expect(buckets.take("b")).toBe(0);
    for (let i = 0; i < 100; i += 1) expect(buckets.take("a")).toBe(1000);
    await clock.advance(1000);
    expect(buckets.take("a")).toBe(0);
  });

  it("loses none of an odd allowance to rounding", () => {
    const buckets = new TokenBuckets({ count: 7, windowMs: 1000 }, createFakeClock());
    expect(Array.from({ length: 8 }, () => buckets.take("a")).map((wait) => wait > 0)).toEqual([
      ...Array<boolean>(7).fill(false),
      true,
    ]);
  });

  it("remembers a bounded number of names, and none whose bucket is full again", async () => {
    const clock = createFakeClock();
    const buckets = new TokenBuckets({ count: 2, windowMs: 1000 }, clock, 100);
    for (let i = 0; i < 10_000; i += 1) buckets.take(`made up ${i}`);
    expect(buckets.size).toBe(100);
    await clock.advance(1000);
    buckets.take("a");
    expect(buckets.size).toBe(1);
  });
});
