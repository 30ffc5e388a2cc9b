import { metricNames, type MetricDefinition } from "../../src/metrics/names.ts";

const definitions: readonly MetricDefinition[] = Object.values(metricNames);

describe("the list of metrics", () => {
  it.each(definitions.map((definition) => [definition.name, definition] as const))(
    "%s is well named",
    (name, metric) => {
      expect(name).toMatch(/^(sygnal|signalbox)_[a-z_]+$/);
      expect(name.endsWith("_total")).toBe(metric.type === "counter");
      expect(metric.buckets !== undefined).toBe(metric.type === "histogram");
      // One sentence, without what the two text formats would have to escape.
      expect(metric.help).toMatch(/^[A-Z][^"\\\n]*\.$/);
    },
  );

  it("names each once", () => {
    expect(new Set(definitions.map(({ name }) => name)).size).toBe(definitions.length);
  });
});
