import type { LoadFigures } from "./tally.ts";

/** What a gateway is expected to hold; absent = anything goes. Times in milliseconds. */
export interface ServiceLevel {
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly p999Ms?: number;
  /** Of the requests, those due and never sent included: 0 to 1. */
  readonly successShare?: number;
  /** Pushes answered 200, a second. */
  readonly pushesPerSecond?: number;
}

/** One sentence for each part of the service level that was missed; none when it was held. */
export function missed(level: ServiceLevel, figures: LoadFigures): readonly string[] {
  const { latency, successShare } = figures;
  const rate = pushRate(figures);
  const slow = (name: string, ms: number, limitMs: number | undefined): readonly string[] =>
    limitMs === undefined || ms <= limitMs ? [] : [`${name} is ${time(ms)}, more than ${time(limitMs)}`];
  const share = level.successShare;
  const wanted = level.pushesPerSecond;
  return [
    ...(figures.requests === 0 ? ["no request ended"] : []),
    ...(figures.requests > 0 && !figures.outcomes.some(([name]) => /^\d+$/.test(name))
      ? ["no request was answered"]
      : []),
    ...slow("p50", latency.p50, level.p50Ms),
    ...slow("p99", latency.p99, level.p99Ms),
    ...slow("p99.9", latency.p999, level.p999Ms),
    ...(share !== undefined && successShare < share
      ? [`${percent(successShare)} of the requests were answered 200, less than ${percent(share)}`]
      : []),
    ...(wanted !== undefined && rate < wanted
      ? [`${rate.toFixed(0)} pushes a second, less than ${wanted}`]
      : []),
  ];
}

/** The figures so far in one line. */
export function liveLine(figures: LoadFigures): string {
  const { latency, successShare } = figures;
  return (
    `${(figures.elapsedMs / 1000).toFixed(0).padStart(4)} s  ${String(figures.requests).padStart(8)} requests` +
    `  ${pushRate(figures).toFixed(0).padStart(6)} pushes/s  ${percent(successShare)} answered 200` +
    `  p50 ${time(latency.p50)}  p99 ${time(latency.p99)}`
  );
}

/** Everything, in lines for people. */
export function summary(figures: LoadFigures): string {
  const { latency } = figures;
  const outcomes = figures.outcomes.map(([name, count]) => `${name}: ${count}`).join(", ");
  const lines = [
    `${figures.requests} requests in ${(figures.elapsedMs / 1000).toFixed(1)} s; ${figures.pushes} pushes answered 200 (${pushRate(figures).toFixed(1)} a second); ${figures.rejected} pushkeys rejected`,
    `outcomes   ${outcomes || "none"}`,
    ...(figures.unsent === 0
      ? []
      : [`unsent     ${figures.unsent} requests were due and no caller was free for them`]),
    `latency    mean ${time(latency.mean)}  p50 ${time(latency.p50)}  p90 ${time(latency.p90)}  p99 ${time(latency.p99)}  p99.9 ${time(latency.p999)}  max ${time(latency.max)}`,
    ...histogramLines(figures),
  ];
  return `${lines.join("\n")}\n`;
}

const barWidth = 40;

/** A bar for each doubling of the time. */
function histogramLines({ buckets }: LoadFigures): readonly string[] {
  const most = Math.max(1, ...buckets.map(({ count }) => count));
  const shown = buckets.slice(
    buckets.findIndex(({ count }) => count > 0),
    buckets.findLastIndex(({ count }) => count > 0) + 1,
  );
  if (buckets.every(({ count }) => count === 0)) return [];
  return shown.map(({ upToMs, count }) =>
    `  up to ${time(upToMs).padStart(8)}  ${String(count).padStart(8)}  ${"█".repeat(Math.ceil((count / most) * barWidth))}`.trimEnd(),
  );
}

function pushRate({ elapsedMs, pushes }: LoadFigures): number {
  return elapsedMs === 0 ? 0 : pushes / (elapsedMs / 1000);
}

function percent(share: number): string {
  // Rounded down: 99.999 % is not all.
  return `${(Math.floor(share * 10_000) / 100).toFixed(2)} %`;
}

function time(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${ms.toFixed(0)} ms` : `${Number(ms.toPrecision(3))} ms`;
}
