import { liveLine, missed, summary } from "../../src/load/summary.ts";
import { LoadTally } from "../../src/load/tally.ts";

function figuresOf(timesMs: readonly number[], unsent = 0) {
  const tally = new LoadTally();
  for (const ms of timesMs) tally.add({ kind: "answer", status: 200, body: '{"rejected":[]}' }, 1, ms);
  return tally.figures(1000, unsent);
}

const hundred = Array.from({ length: 100 }, (_, i) => i + 1);

describe("missed", () => {
  it.each([
    [{}, []],
    [{ p50Ms: 51, p99Ms: 100, p999Ms: 101, successShare: 1, pushesPerSecond: 100 }, []],
    [{ p50Ms: 40 }, ["p50 is 50 ms, more than 40 ms"]],
    [{ p99Ms: 50 }, ["p99 is 99 ms, more than 50 ms"]],
    [{ p999Ms: 60 }, ["p99.9 is 100 ms, more than 60 ms"]],
    [{ pushesPerSecond: 200 }, ["100 pushes a second, less than 200"]],
  ])("holds %j against the figures", (level, expected) => {
    expect(missed(level, figuresOf(hundred))).toEqual(expected);
  });

  it("counts what was never sent", () => {
    expect(missed({ successShare: 1 }, figuresOf(hundred, 100))).toEqual([
      "50.00 % of the requests were answered 200, less than 100.00 %",
    ]);
  });

  it("is missed by no request at all, whatever was asked for", () => {
    expect(missed({}, figuresOf([]))).toEqual(["no request ended"]);
  });
});

describe("summary and live line", () => {
  it("say what it came to, with a bar for each doubling", () => {
    const text = summary(figuresOf([0.2, 3, 3, 3, 70], 5));
    expect(text).toContain("5 requests in 1.0 s; 5 pushes answered 200 (5.0 a second); 0 pushkeys rejected");
    expect(text).toContain("5 requests were due and no caller was free");
    expect(text).toMatch(/up to +4 ms +3 +█{40}\n/);
    expect(text).toMatch(/up to +128 ms +1 +█{14}\n/);
    expect(liveLine(figuresOf([3]))).toMatch(/1 s +1 requests +1 pushes\/s +100\.00 % answered 200/);
  });

  it("never round up to all", () => {
    const tally = new LoadTally();
    for (let i = 0; i < 99_999; i += 1) tally.add({ kind: "answer", status: 200, body: "{}" }, 1, 1);
    tally.add({ kind: "failed", reason: "timeout" }, 1, 1);
    expect(liveLine(tally.figures(1000, 0))).toContain("99.99 % answered 200");
  });

  it("stay readable without any request", () => {
    expect(summary(figuresOf([]))).toContain("outcomes   none");
  });
});
