import { Registry } from "prom-client";
import { counterFor, gaugeFor, histogramFor } from "../../src/metrics/instruments.ts";
import { keptOf, summedMetrics, valuesOf } from "../../src/metrics/summed.ts";

const pushes = { name: "pushes_total", type: "counter", help: "Pushes.", labels: ["app"] } as const;
const underWay = { name: "under_way", type: "gauge", help: "Under way.", labels: [] } as const;
const holding = { ...underWay, name: "holding", acrossThreads: "max" } as const;
const took = { name: "took", type: "histogram", help: "Took.", labels: [], buckets: [1, 2] } as const;

/** What one thread has counted. */
function thread(): {
  readonly registry: Registry;
  readonly count: (app: string, seconds: number) => void;
  readonly set: (gauge: number) => void;
} {
  const registry = new Registry();
  const counter = counterFor(registry, pushes);
  const gauges = [gaugeFor(registry, underWay), gaugeFor(registry, holding)];
  const histogram = histogramFor(registry, took);
  return {
    registry,
    count(app, seconds) {
      counter.inc({ app });
      histogram.observe(seconds);
    },
    set: (value) => gauges.forEach((gauge) => gauge.set(value)),
  };
}

async function scrape(own: Registry, others: readonly Registry[], ended: Registry[] = []): Promise<string> {
  let kept: Awaited<ReturnType<typeof keptOf>> = [];
  for (const each of ended) kept = await keptOf(kept, await valuesOf(each));
  return summedMetrics(own, {
    metrics: () => Promise.all(others.map(valuesOf)),
    ended: () => kept,
  }).metrics();
}

describe("one scrape of several threads", () => {
  it("sums counters, histograms and gauges, but for those of which the largest counts", async () => {
    const [first, other] = [thread(), thread()];
    first.count("a", 0.5);
    other.count("a", 1.5);
    other.count("b", 3);
    first.set(3);
    other.set(4);
    const lines = (await scrape(first.registry, [other.registry])).split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        'pushes_total{app="a"} 2',
        'pushes_total{app="b"} 1',
        "under_way 7",
        "holding 4",
        'took_bucket{le="1"} 1',
        'took_bucket{le="2"} 2',
        'took_bucket{le="+Inf"} 3',
        "took_sum 5",
        "took_count 3",
      ]),
    );
  });

  it("keeps what ended threads had counted, and lets their gauges go", async () => {
    const [first, ended, endedToo] = [thread(), thread(), thread()];
    first.count("a", 0.5);
    for (const each of [ended, endedToo]) {
      each.count("a", 1.5);
      each.set(9);
    }
    first.set(1);
    const lines = (await scrape(first.registry, [], [ended.registry, endedToo.registry])).split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        'pushes_total{app="a"} 3',
        "under_way 1",
        "holding 1",
        "took_count 3",
        "took_sum 3.5",
      ]),
    );
  });

  it("has the shape that a scrape of one thread has", async () => {
    const first = thread();
    first.count("a", 0.5);
    first.set(1);
    const shape = (text: string): readonly string[] =>
      text
        .split("\n")
        .filter((line) => line !== "")
        .sort();
    expect(shape(await scrape(first.registry, []))).toEqual(shape(await first.registry.metrics()));
  });
});
