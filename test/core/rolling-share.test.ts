import { RollingShare } from "../../src/core/rolling-share.ts";

describe("RollingShare", () => {
  it("counts what lies within the window, to a twentieth of it", () => {
    const share = new RollingShare(10_000);
    share.add(true, 1_000);
    share.add(false, 5_000);
    expect([share.total, share.failures]).toEqual([2, 1]);
    share.add(false, 10_999);
    expect([share.total, share.failures]).toEqual([3, 1]);
    share.add(false, 11_000);
    expect([share.total, share.failures]).toEqual([3, 0]);
    share.add(true, 15_499);
    expect([share.total, share.failures]).toEqual([3, 1]);
  });

  it("forgets everything after a long silence, and when it is told to", () => {
    const share = new RollingShare(10_000);
    for (let i = 0; i < 100; i += 1) share.add(true, i * 90);
    share.add(false, 1_000_000);
    expect([share.total, share.failures]).toEqual([1, 0]);
    share.clear();
    expect([share.total, share.failures]).toEqual([0, 0]);
  });

  it("agrees with a list of the results, whatever comes when", () => {
    const share = new RollingShare(2_000);
    const results: { readonly atMs: number; readonly failed: boolean }[] = [];
    let nowMs = 0;
    // A fixed sequence that looks like chance.
    for (let i = 1; i < 5_000; i += 1) {
      nowMs += (i * 7919) % 61;
      const failed = (i * 104_729) % 3 === 0;
      share.add(failed, nowMs);
      results.push({ atMs: nowMs, failed });
      if (i % 97 !== 0) continue;
      const step = Math.floor(nowMs / 100);
      const within = results.filter(({ atMs }) => Math.floor(atMs / 100) > step - 20);
      expect(share.total).toBe(within.length);
      expect(share.failures).toBe(within.filter((result) => result.failed).length);
    }
  });
});
