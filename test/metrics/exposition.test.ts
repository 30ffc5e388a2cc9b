import { onlyNamed, toOpenMetrics } from "../../src/metrics/exposition.ts";

const text = [
  "# HELP a_total Things.",
  "# TYPE a_total counter",
  'a_total{app="x_total",le="1"} 3',
  "",
  "# HELP b Seconds.",
  "# TYPE b histogram",
  'b_bucket{le="0.5",app="x"} 1',
  'b_bucket{le="1",app="x"} 1',
  'b_bucket{le="+Inf",app="x"} 1',
  'b_sum{app="x"} 0.1',
  'b_count{app="x"} 1',
  "",
  "# HELP c_total A gauge with a counter's name.",
  "# TYPE c_total gauge",
  "c_total 1",
  "",
].join("\n");

it("OpenMetrics names a counter's family without _total, has float bounds and an end", () => {
  expect(toOpenMetrics(text)).toBe(
    [
      "# HELP a Things.",
      "# TYPE a counter",
      'a_total{app="x_total",le="1.0"} 3',
      "# HELP b Seconds.",
      "# TYPE b histogram",
      'b_bucket{le="0.5",app="x"} 1',
      'b_bucket{le="1.0",app="x"} 1',
      'b_bucket{le="+Inf",app="x"} 1',
      'b_sum{app="x"} 0.1',
      'b_count{app="x"} 1',
      "# HELP c_total A gauge with a counter's name.",
      "# TYPE c_total gauge",
      "c_total 1",
      "# EOF",
      "",
    ].join("\n"),
  );
});

it.each([
  ["a family", ["b"], ["b"]],
  ["a counter", ["a_total"], ["a_total"]],
  ["a counter by its family", ["a"], ["a_total"]],
  ["a sample", ["b_bucket"], ["b"]],
  ["two", ["a_total", "b_sum"], ["a_total", "b"]],
  ["none that is there", ["x"], []],
])("gives %s by name", (_title, names, families) => {
  const found = [...onlyNamed(text, names).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
  expect(found).toEqual(families);
});
