import { AdaptiveLimit } from "../../src/core/adaptive-limit.ts";
import { RetryBudget } from "../../src/core/retry-budget.ts";
import { createFakeClock } from "../support/fake-clock.ts";

describe("RetryBudget", () => {
  it("allows a repeat for every ten fresh attempts, and three a second", async () => {
    const clock = createFakeClock();
    const budget = new RetryBudget(clock);
    let repeats = 0;
    // A minute in which 300 fresh pushes a second all want to be repeated.
    for (let second = 0; second < 60; second += 1) {
      for (let i = 0; i < 300; i += 1) {
        budget.fresh();
        if (budget.tryRepeat()) repeats += 1;
      }
      await clock.advance(1_000);
    }
    expect(repeats).toBeLessThanOrEqual(60 * 300 * 0.1 + 60 * 3 + 3);
    expect(repeats).toBeGreaterThan(60 * 300 * 0.1);
  });

  it("saves up no more than a short outage's worth", async () => {
    const clock = createFakeClock();
    const budget = new RetryBudget(clock);
    await clock.advance(3_600_000);
    let repeats = 0;
    while (budget.tryRepeat()) repeats += 1;
    expect(repeats).toBe(30);
  });

  it("is one budget where several threads have a part of it each", async () => {
    const clock = createFakeClock();
    const budgets = Array.from({ length: 3 }, () => new RetryBudget(clock, 3));
    await clock.advance(3_600_000);
    let repeats = 0;
    for (const budget of budgets) while (budget.tryRepeat()) repeats += 1;
    expect(repeats).toBe(30);
    await clock.advance(1_000);
    for (const budget of budgets) while (budget.tryRepeat()) repeats += 1;
    expect(repeats).toBe(33);
  });
});

describe("AdaptiveLimit", () => {
  it("grows to its bound while all goes well, and shrinks to one while nothing does", () => {
    const limit = new AdaptiveLimit();
    const start = limit.value;
    for (let i = 0; i < 20_000; i += 1) limit.wentWell();
    expect(limit.value).toBe(512);
    limit.wasTooMuch();
    expect(limit.value).toBe(358);
    for (let i = 0; i < 100; i += 1) limit.wasTooMuch();
    expect(limit.value).toBe(1);
    for (let i = 0; i < 100; i += 1) limit.wentWell();
    expect(limit.value).toBeGreaterThan(start / 4);
  });
});
