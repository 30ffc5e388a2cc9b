import {
  AggregatorRegistry,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from "prom-client";

/** One metric's values, as one thread has them. */
export type MetricValues = MetricObjectWithValues<MetricValue<string>>;

/** Never go down, so that what a thread has counted is counted although it has ended. */
const growing: ReadonlySet<string> = new Set(["counter", "histogram"]);

/** What other threads than this one say. */
export interface OtherThreads {
  /** What each says that lives, the last that it said where it does not answer in time. */
  metrics(): Promise<readonly (readonly MetricValues[])[]>;
  /** What those had counted that have ended. */
  ended(): readonly MetricValues[];
}

/**
 * One scrape for all threads of the process: counters and histograms are summed, gauges too unless their definition
 * says that the largest counts.
 */
export function summedMetrics(own: Registry, others: OtherThreads): Pick<Registry, "metrics"> {
  return {
    async metrics() {
      const [first, rest] = await Promise.all([valuesOf(own), others.metrics()]);
      return sum([first, ...rest, others.ended()]).metrics();
    },
  };
}

/** A thread's metrics as plain data. */
export async function valuesOf(registry: Registry): Promise<readonly MetricValues[]> {
  return await registry.getMetricsAsJSON();
}

/** What remains of a thread's metrics when it ends, together with those of former ones. */
export async function keptOf(
  before: readonly MetricValues[],
  ended: readonly MetricValues[],
): Promise<readonly MetricValues[]> {
  const counted = ended.filter(({ type }) => growing.has(String(type)));
  return valuesOf(aggregate([before, counted]));
}

function sum(threads: readonly (readonly MetricValues[])[]): Registry {
  const all = threads.flat();
  const times = new Map<string, number>();
  for (const { name } of all) times.set(name, (times.get(name) ?? 0) + 1);
  const lists = threads.map((metrics) =>
    metrics.map((metric) =>
      // What one thread alone tells is told as it is, whatever its library would make of several.
      times.get(metric.name) === 1 ? { ...metric, aggregator: "first" as const } : metric,
    ),
  );
  return aggregate(lists);
}

function aggregate(threads: readonly (readonly MetricValues[])[]): Registry {
  return AggregatorRegistry.aggregate([...threads]);
}
