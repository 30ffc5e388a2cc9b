import { retryDelayMs } from "../../src/core/retry.ts";

describe("retryDelayMs", () => {
  const outcome = { kind: "retryable", reason: "connect" } as const;
  it.each([
    [1, 0, 0],
    [1, 0.5, 500],
    [2, 0.5, 1_000],
    [5, 0.999, 15_984],
    [9, 0.5, 128_000],
    [10, 1, 300_000],
    [400, 1, 300_000],
  ])("attempt %d with jitter %d waits %d ms", (attempt, random, expected) => {
    expect(retryDelayMs(attempt, outcome, random)).toBeCloseTo(expected);
  });

  it.each([
    [1, 0, 10_000],
    [1, 0.5, 10_500],
    [3, 1, 14_000],
  ])("takes the upstream's word as a floor, jitter on top: attempt %d, %d", (attempt, random, expected) => {
    expect(retryDelayMs(attempt, { ...outcome, retryAfterMs: 10_000 }, random)).toBe(expected);
  });
});
