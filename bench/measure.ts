import type { LoadApp } from "../src/load/replay.ts";
import type { LoadFigures } from "../src/load/tally.ts";
import type { LoadOrder } from "./load-child.ts";
import type { MeasuredProcess, ProbeAnswer } from "./measured-process.ts";
import { appsOf, titleOf, type Scenario } from "./scenarios.ts";
import type { RunningSubject } from "./subjects.ts";
import type { BenchUpstreams } from "./upstreams.ts";

/** What one stretch of load came to. */
export interface Measurement {
  readonly pushesPerCpuSecond: number;
  readonly pushesPerSecond: number;
  /** Of the load's requests; the upstream's own latency is taken off. Milliseconds. */
  readonly addedMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  readonly rssMiB: number;
  /** Absent for a process without the probe. */
  readonly allocatedBytesPerPush?: number;
  readonly loopDelayP999Ms?: number;
  /** Share of one core that the subject took; near 1 it was what limited the run. */
  readonly cpuShare: number;
}

/** A stretch that measured something other than its subject. */
export class BadMeasurement extends Error {}

/** A lean upstream, or the callers, at this share of a core would be what is measured. */
const busyShare = 0.9;

/** One stretch: load, then figures. Throws `BadMeasurement` where they would say nothing about the subject. */
export async function measure(options: {
  readonly subject: RunningSubject;
  readonly scenario: Scenario;
  readonly upstreams: BenchUpstreams;
  readonly load: MeasuredProcess;
  readonly durationMs: number;
  /** Instead of the scenario's. */
  readonly apps?: readonly LoadApp[];
}): Promise<Measurement> {
  const { subject, scenario, upstreams, load, durationMs } = options;
  const order: LoadOrder = {
    url: subject.url,
    apps: options.apps ?? appsOf(scenario, upstreams.addresses),
    callers: scenario.callers,
    durationMs,
  };
  const requestsBefore = await upstreams.requests();
  if (subject.hasProbe) await subject.process.ask("begin");
  const before = [subject.process, upstreams.process, load].map((process) => process.usage().cpuSeconds);
  const startedMs = performance.now();
  const figures = await load.ask<LoadFigures>(order, durationMs + 60_000);
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const after = [subject.process, upstreams.process, load].map((process) => process.usage().cpuSeconds);
  const probe = subject.hasProbe ? await subject.process.ask<ProbeAnswer>("end") : undefined;
  const sent = (await upstreams.requests()) - requestsBefore;

  const [subjectSeconds = 0, upstreamSeconds = 0, loadSeconds = 0] = after.map(
    (seconds, i) => seconds - (before[i] ?? 0),
  );
  const where = `${subject.name}, ${titleOf(scenario)}`;
  if (figures.successShare < 1)
    throw new BadMeasurement(
      `${where}: not every request was answered 200: ${JSON.stringify(figures.outcomes)}`,
    );
  if (figures.rejected > 0) throw new BadMeasurement(`${where}: ${figures.rejected} pushkeys were rejected`);
  if (sent < figures.pushes)
    throw new BadMeasurement(`${where}: ${figures.pushes} pushes, ${sent} at the upstream`);
  for (const [who, seconds] of [
    ["upstream", upstreamSeconds],
    ["load client", loadSeconds],
  ] as const) {
    if (seconds / wallSeconds > busyShare) {
      throw new BadMeasurement(
        `${where}: the ${who} took ${((100 * seconds) / wallSeconds).toFixed(0)} % of a core`,
      );
    }
  }
  const { p50, p99, p999 } = figures.latency;
  const added = (ms: number): number => Math.max(0, ms - scenario.latencyMs);
  return {
    pushesPerCpuSecond: figures.pushes / Math.max(subjectSeconds, 0.01),
    pushesPerSecond: figures.pushes / (figures.elapsedMs / 1000),
    addedMs: { p50: added(p50), p99: added(p99), p999: added(p999) },
    rssMiB: subject.process.usage().rssBytes / 2 ** 20,
    cpuShare: subjectSeconds / wallSeconds,
    ...(probe === undefined
      ? {}
      : {
          allocatedBytesPerPush: probe.allocatedBytes / Math.max(1, figures.pushes),
          loopDelayP999Ms: probe.loopDelayP999Ms,
        }),
  };
}

/** The median of each figure over the rounds. */
export function medianOf(rounds: readonly Measurement[]): Measurement {
  const of = (read: (round: Measurement) => number): number => median(rounds.map(read));
  const optional = (key: "allocatedBytesPerPush" | "loopDelayP999Ms"): Partial<Measurement> => {
    const values = rounds.map((round) => round[key]).filter((value) => value !== undefined);
    return values.length === 0 ? {} : { [key]: median(values) };
  };
  return {
    pushesPerCpuSecond: of((round) => round.pushesPerCpuSecond),
    pushesPerSecond: of((round) => round.pushesPerSecond),
    addedMs: {
      p50: of((round) => round.addedMs.p50),
      p99: of((round) => round.addedMs.p99),
      p999: of((round) => round.addedMs.p999),
    },
    rssMiB: of((round) => round.rssMiB),
    cpuShare: of((round) => round.cpuShare),
    ...optional("allocatedBytesPerPush"),
    ...optional("loopDelayP999Ms"),
  };
}

/** NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
