import { createSteadyClock } from "../../src/store/steady-clock.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const hour = 3_600_000;

describe("the steady clock", () => {
  it("goes with the wall clock", async () => {
    const clock = createFakeClock();
    const steady = createSteadyClock(clock);
    expect(steady.now()).toBe(clock.now());
    await clock.advance(hour);
    expect(steady.now()).toBe(clock.now());
    expect(steady.unadjusted()).toBe(clock.now());
  });

  it.each([2 * hour, -2 * hour, 10 * 365 * 24 * hour])(
    "believes a jump of %i ms only when it is still there 30 s later",
    async (jump) => {
      const clock = createFakeClock();
      const steady = createSteadyClock(clock);
      const before = steady.now();
      clock.setWallClock(clock.now() + jump);
      expect(steady.now()).toBe(before);
      await clock.advance(29_000);
      expect(steady.now()).toBe(before + 29_000);
      await clock.advance(1000);
      expect(steady.now()).toBe(before + 30_000 + jump);
      await clock.advance(1000);
      expect(steady.now()).toBe(before + 31_000 + jump);
      expect(steady.unadjusted()).toBe(before + 31_000);
    },
  );

  it("needs two looks: a single one after a long silence is not enough", async () => {
    const clock = createFakeClock();
    const steady = createSteadyClock(clock);
    const before = steady.now();
    clock.setWallClock(clock.now() + hour);
    await clock.advance(10 * hour);
    expect(steady.now()).toBe(before + 10 * hour);
    await clock.advance(30_000);
    expect(steady.now()).toBe(before + 11 * hour + 30_000);
  });

  it("forgets a jump that was taken back, and begins anew with one that changed", async () => {
    const clock = createFakeClock();
    const steady = createSteadyClock(clock);
    const wall = clock.now();
    clock.setWallClock(wall + hour);
    steady.now();
    await clock.advance(20_000);
    clock.setWallClock(wall + 20_000);
    expect(steady.now()).toBe(wall + 20_000);
    clock.setWallClock(wall + 20_000 + hour);
    steady.now();
    await clock.advance(20_000);
    clock.setWallClock(wall + 40_000 + 3 * hour);
    expect(steady.now()).toBe(wall + 40_000);
    await clock.advance(20_000);
    expect(steady.now()).toBe(wall + 60_000);
    await clock.advance(10_000);
    expect(steady.now()).toBe(wall + 70_000 + 3 * hour);
  });

  it.each([50_000, -50_000])(
    "follows a drift of %i ms slowly, and never runs backwards",
    async (drift) => {
      const clock = createFakeClock();
      const steady = createSteadyClock(clock);
      let last = steady.now();
      clock.setWallClock(clock.now() + drift);
      expect(steady.now()).toBe(last);
      for (let i = 0; i < 1000; i += 1) {
        await clock.advance(1000);
        const now = steady.now();
        expect(now - last).toBeGreaterThanOrEqual(950);
        expect(now - last).toBeLessThanOrEqual(1050);
        last = now;
      }
      expect(steady.now()).toBe(clock.now());
    },
    20_000,
  );

  it("gives whole milliseconds", () => {
    const steady = createSteadyClock({
      ...createFakeClock(),
      now: () => 1_800_000_000_000,
      monotonic: () => 0.3,
    });
    expect(Number.isInteger(steady.now())).toBe(true);
    expect(Number.isInteger(steady.unadjusted())).toBe(true);
  });
});
