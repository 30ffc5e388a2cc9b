import { ConnectPacing, isLasting } from "../../src/upstream/connect-pacing.ts";

const refused = { class: "refused" } as const;
const badCertificate = { class: "tls", detail: "CERT_HAS_EXPIRED" } as const;

function pacing(random = 1): ConnectPacing {
  return new ConnectPacing({
    intervalMs: 1000,
    backoffMinMs: 100,
    backoffMaxMs: 30_000,
    outageMaxMs: 8000,
    random: () => random,
  });
}

describe("the pace of connects", () => {
  it("is free at first, then one an interval", () => {
    const pace = pacing();
    expect(pace.allowedAtMs).toBe(-Infinity);
    pace.started(5000);
    expect(pace.allowedAtMs).toBe(6000);
    expect(pace.backoff(5000)).toBeUndefined();
  });

  it("doubles the wait at each failure, up to the bound for what may pass and for what will not", () => {
    const waits = (failure: typeof refused | typeof badCertificate): number[] => {
      const pace = pacing();
      return Array.from({ length: 7 }, () => pace.failed(10_000, failure).untilMs - 10_000);
    };
    expect(waits(refused)).toEqual([1000, 2000, 4000, 8000, 8000, 8000, 8000]);
    expect(waits(badCertificate)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it("is jittered down to the shortest wait, never below the interval", () => {
    const pace = pacing(0);
    for (let i = 0; i < 5; i += 1) pace.failed(10_000, refused);
    expect(pace.allowedAtMs).toBe(10_100);
    pace.started(10_100);
    pace.failed(10_150, refused);
    expect(pace.allowedAtMs).toBe(11_100);
  });

  it("names the failure while the back-off lasts, and forgets it at a success", () => {
    const pace = pacing();
    pace.started(0);
    pace.failed(10, refused);
    expect(pace.backoff(500)).toEqual({ failure: refused, untilMs: 1010 });
    expect(pace.backoff(1010)).toBeUndefined();
    pace.failed(1100, refused);
    pace.succeeded();
    expect(pace.backoff(1100)).toBeUndefined();
    expect(pace.failed(2000, refused).untilMs).toBe(3000);
  });
});

describe("a failure that an operator must cure", () => {
  it.each([
    [badCertificate, true],
    [{ class: "tls", detail: "ECONNRESET" } as const, false],
    [{ class: "goaway", detail: "BadCertificate" } as const, true],
    [{ class: "no-h2" } as const, true],
    [{ class: "proxy", status: 407 } as const, false],
    [{ class: "dns" } as const, false],
    [{ class: "timeout" } as const, false],
  ])("%j: %s", (failure, expected) => {
    expect(isLasting(failure)).toBe(expected);
  });
});
