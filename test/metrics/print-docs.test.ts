import { readFileSync } from "node:fs";
import { metricsPage } from "../../src/metrics/print-docs.ts";

it("docs/metrics.md is as printed (npm run docs prints it anew)", () => {
  expect(readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8")).toBe(metricsPage());
});
