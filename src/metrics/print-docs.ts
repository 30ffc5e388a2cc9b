import { writeFileSync } from "node:fs";
import { metricNames, type MetricDefinition } from "./names.ts";

/** The page `docs/metrics.md`, printed from the list of metrics. */
export function metricsPage(): string {
  const all: readonly MetricDefinition[] = Object.values(metricNames);
  const sygnals = all.filter(({ name }) => name.startsWith("sygnal_"));
  const ours = all.filter(({ name }) => !name.startsWith("sygnal_"));
  return [
    "# Metrics",
    "",
    "<!-- Printed from src/metrics/names.ts by src/metrics/print-docs.ts. Do not edit. -->",
    "",
    "Served by the metrics listener (`metrics.prometheus`) to GET on any path, as Prometheus text or, when asked for with",
    "`Accept: application/openmetrics-text`, as OpenMetrics. `?name[]=…`, once or several times, gives the named ones only.",
    "No label ever holds a pushkey, a name or anything else that a sender chose.",
    "",
    "## Sygnal's",
    "",
    "Same names, labels and meaning, so that dashboards and alerts made for Sygnal go on working. The label `pushkin` is",
    "the app's key in the configuration.",
    "",
    ...table(sygnals),
    "",
    "## Signalbox's own",
    "",
    ...table(ours),
    "",
    "## The process's own",
    "",
    "`process_*` (CPU, memory, file descriptors, start time) as Prometheus clients name them, and `nodejs_*` (event loop,",
    "heap, garbage collection). Sygnal's `python_*` have no counterpart.",
    "",
  ].join("\n");
}

function table(metrics: readonly MetricDefinition[]): readonly string[] {
  const rows = metrics.map(({ name, type, labels, help }) => {
    const labelCell = labels.length === 0 ? "–" : labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${labelCell} | ${help} |`;
  });
  return ["| Name | Type | Labels | What it says |", "| --- | --- | --- | --- |", ...rows];
}

if (import.meta.main) {
  writeFileSync(new URL("../../docs/metrics.md", import.meta.url), metricsPage());
}
