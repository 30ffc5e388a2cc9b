import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import type { Measurement } from "./measure.ts";
import { barSvg } from "./plot.ts";
import type { Scenario } from "./scenarios.ts";

/** A scenario's medians, by subject. */
export interface Row {
  readonly scenario: Scenario;
  readonly medians: ReadonlyMap<string, Measurement>;
}

export const resultsDirectory = fileURLToPath(new URL("results/", import.meta.url));

/** A table in Markdown; columns after the first are aligned to the right. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, i) => (i === 0 ? "---" : "--:"));
  return `${[head, rule, ...rows].map(line).join("\n")}\n`;
}

/** What one upstream's scenarios came to. */
export function speedTable(rows: readonly Row[], reference: string): string {
  const head = [
    "callers, upstream's latency",
    "relay",
    "pushes / CPU-s",
    "of the reference",
    "pushes / s",
    "added p50 ms",
    "p99",
    "p99.9",
    "RSS MiB",
    "allocated / push",
    "loop delay p99.9 ms",
  ];
  const lines = rows.flatMap(({ scenario, medians }) =>
    [...medians].map(([name, figures]) => {
      const base = medians.get(reference)?.pushesPerCpuSecond;
      const { addedMs } = figures;
      return [
        `${scenario.callers}, ${scenario.latencyMs} ms`,
        name,
        thousands(figures.pushesPerCpuSecond),
        base === undefined ? "" : (figures.pushesPerCpuSecond / base).toFixed(2),
        thousands(figures.pushesPerSecond),
        addedMs.p50.toFixed(2),
        addedMs.p99.toFixed(2),
        addedMs.p999.toFixed(2),
        figures.rssMiB.toFixed(0),
        figures.allocatedBytesPerPush === undefined
          ? ""
          : `${(figures.allocatedBytesPerPush / 1024).toFixed(1)} KiB`,
        figures.loopDelayP999Ms === undefined ? "" : figures.loopDelayP999Ms.toFixed(1),
      ];
    }),
  );
  return markdownTable(head, lines);
}

/** Bars of pushes a CPU-second, a group for each scenario. */
export function speedPlot(title: string, rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ medians }) => [...medians.keys()]))];
  return barSvg({
    title,
    unit: "pushes / CPU-second",
    groups: rows.map(({ scenario }) => `${scenario.callers} × ${scenario.latencyMs} ms`),
    series: names.map((name) => ({
      name,
      values: rows.map(({ medians }) => medians.get(name)?.pushesPerCpuSecond ?? 0),
    })),
  });
}

export function writeResult(name: string, text: string): void {
  mkdirSync(resultsDirectory, { recursive: true });
  writeFileSync(`${resultsDirectory}${name}`, text);
}

/** What the figures were measured on. */
export function machine(): string {
  const processors = cpus();
  return `Node ${process.versions.node}, Linux ${release()}, ${processors.length} × ${processors[0]?.model.trim() ?? "?"}`;
}

export function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-GB");
}
