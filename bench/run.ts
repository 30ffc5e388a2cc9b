/**
 * `npm run bench`: the gateway beside the reference relay, turn by turn in one run, against the same upstreams and with
 * the same callers, each in a process of their own.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { BadMeasurement, measure, medianOf, type Measurement } from "./measure.ts";
import { MeasuredProcess } from "./measured-process.ts";
import type { ProfileKind } from "./probe.ts";
import { machine, speedPlot, speedTable, writeResult, type Row } from "./report.ts";
import { scenarios, titleOf, type Scenario } from "./scenarios.ts";
import {
  gatewaySubject,
  leanGateway,
  referenceRelay,
  type RunningSubject,
  type Subject,
} from "./subjects.ts";
import { measureScale } from "./scale.ts";
import { measureStarts, startTable } from "./start.ts";
import { startUpstreams, type BenchUpstreams, type UpstreamKind } from "./upstreams.ts";

interface BenchFlags {
  readonly quick?: true;
  readonly rounds: number;
  readonly seconds: number;
  readonly upstream: UpstreamKind;
  readonly warmup: number;
  readonly only?: string;
  readonly profile?: string;
  readonly write?: true;
  readonly start?: true;
  readonly scale?: true;
}

const print = (line = ""): void => void process.stdout.write(`${line}\n`);

/** Every scenario, `rounds` times, the subjects in turn: A B A B. Prints and returns the medians. */
export async function runBench(
  subjects: readonly Subject[],
  flags: Omit<BenchFlags, "write">,
): Promise<readonly Row[]> {
  return withRig(flags.upstream, async ({ directory, load, processes, upstreams }) => {
    const running: RunningSubject[] = [];
    for (const subject of subjects) {
      const one = await subject.start(upstreams.addresses, directory);
      processes.push(one.process);
      running.push(one);
    }
    const rows: Row[] = [];
    const chosen = scenarios(flags.quick === true).filter((scenario) =>
      titleOf(scenario).includes(flags.only ?? ""),
    );
    for (const scenario of chosen) {
      await upstreams.setLatency(scenario.latencyMs);
      const rounds = new Map<string, Measurement[]>(running.map(({ name }) => [name, []]));
      const turn = async (subject: RunningSubject, durationMs: number): Promise<Measurement> =>
        measure({ subject, scenario, upstreams, load, durationMs });
      // The compilers need some thousand pushes before a program is what it will be for the rest of its life.
      const warmupMs = (rows.length === 0 ? flags.warmup : flags.warmup / 4) * 1000;
      for (const subject of running) await turn(subject, warmupMs);
      for (let round = 0; round < flags.rounds; round += 1) {
        for (const subject of running) {
          const measured = await turn(subject, flags.seconds * 1000);
          rounds.get(subject.name)?.push(measured);
        }
      }
      if (flags.profile !== undefined) await profile(running, scenario, flags.profile, turn);
      const row: Row = {
        scenario,
        medians: new Map([...rounds].map(([name, each]) => [name, medianOf(each)])),
      };
      rows.push(row);
      printRow(scenario, row, rounds);
    }
    return rows;
  });
}

/** What every measurement needs: upstreams and callers in processes of their own, a directory that goes at the end. */
interface Rig {
  readonly directory: string;
  readonly upstreams: BenchUpstreams;
  readonly load: MeasuredProcess;
  /** Whatever is in here is stopped at the end. */
  readonly processes: MeasuredProcess[];
}

async function withRig<T>(kind: UpstreamKind, work: (rig: Rig) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
  const processes: MeasuredProcess[] = [];
  try {
    const upstreams = await startUpstreams(directory, kind);
    processes.push(upstreams.process);
    const script = fileURLToPath(new URL("load-child.ts", import.meta.url));
    const load = new MeasuredProcess(script, [], { logFile: `${directory}/load.log` });
    processes.push(load);
    await load.message();
    return await work({ directory, load, processes, upstreams });
  } finally {
    for (const process of processes.reverse()) await process.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

const profileMs = 5000;

/** Two more stretches for each: a CPU profile of its main thread, and a profile of what that allocates. */
async function profile(
  running: readonly RunningSubject[],
  scenario: Scenario,
  directory: string,
  turn: (subject: RunningSubject, durationMs: number) => Promise<Measurement>,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const subject of running.filter(({ hasProbe }) => hasProbe)) {
    const name = `${subject.name} ${titleOf(scenario)}`.toLowerCase().replaceAll(/\W+/g, "-");
    for (const kind of ["cpu", "heap"] satisfies ProfileKind[]) {
      await subject.process.ask({ profile: kind });
      const { pushesPerSecond } = await turn(subject, profileMs);
      const file = resolve(directory, `${name}.${kind}profile`);
      await subject.process.ask({ write: file });
      print(`  ${file}: ${Math.round((pushesPerSecond * profileMs) / 1000)} pushes`);
    }
  }
}

function printRow(scenario: Scenario, row: Row, rounds: ReadonlyMap<string, readonly Measurement[]>): void {
  print(titleOf(scenario));
  for (const [name, figures] of row.medians) {
    const base = row.medians.get(referenceRelay.name)?.pushesPerCpuSecond;
    const each = (rounds.get(name) ?? []).map(({ pushesPerCpuSecond }) => Math.round(pushesPerCpuSecond));
    const { addedMs } = figures;
    const latency = [addedMs.p50, addedMs.p99, addedMs.p999].map((ms) => ms.toFixed(2)).join(" / ");
    print(
      `  ${name.padEnd(18)} ${String(Math.round(figures.pushesPerCpuSecond)).padStart(7)} pushes/CPU-s` +
        `${base === undefined ? "" : `  ${(figures.pushesPerCpuSecond / base).toFixed(2)}`}` +
        `  added p50/p99/p99.9 ${latency} ms  RSS ${figures.rssMiB.toFixed(0)} MiB` +
        `  ${((figures.allocatedBytesPerPush ?? 0) / 1024).toFixed(1)} KiB/push` +
        `  core ${(100 * figures.cpuShare).toFixed(0)} %  [${each.join(" ")}]`,
    );
  }
}

/** Tables and plots, one for each upstream. */
function writeResults(rows: readonly Row[], flags: BenchFlags): void {
  const parts = [`${machine()}; median of ${flags.rounds} rounds of ${flags.seconds} s each, in turn.\n`];
  for (const upstream of new Set(rows.map(({ scenario }) => scenario.upstream))) {
    const own = rows.filter(({ scenario }) => scenario.upstream === upstream);
    const name = `speed-${upstream.toLowerCase().replaceAll(/\W+/g, "-")}.svg`;
    writeResult(name, speedPlot(`${upstream}: pushes per CPU-second`, own));
    parts.push(`## ${upstream}\n`, speedTable(own, referenceRelay.name), `![${upstream}](${name})\n`);
  }
  writeResult("speed.md", parts.join("\n"));
  print("written: bench/results/speed.md and its plots");
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 3600)) throw new InvalidArgumentError("a number above 0.");
  return value;
}

async function main(flags: BenchFlags): Promise<void> {
  try {
    print(machine());
    if (flags.start === true) {
      const table = startTable(await measureStarts(flags.rounds));
      print(table);
      if (flags.write === true) writeResult("start.md", `${machine()}.\n\n${table}`);
      return;
    }
    if (flags.scale === true) {
      const { rounds, seconds } = flags;
      const table = await withRig("lean", (rig) => measureScale({ ...rig, rounds, seconds, print }));
      print(`\n${table}`);
      if (flags.write === true) writeResult("scale.md", `${machine()}.\n\n${table}`);
      return;
    }
    const rows = await runBench([referenceRelay, gatewaySubject(), leanGateway], flags);
    if (flags.write === true) writeResults(rows, flags);
  } catch (error) {
    if (!(error instanceof BadMeasurement)) throw error;
    process.stderr.write(`not a measurement of its subject: ${error.message}\n`);
    process.exitCode = 1;
  }
}

if (import.meta.main) {
  await new Command("bench")
    .description("the gateway beside the reference relay: pushes per CPU-second, added latency, memory")
    .option(
      "--quick",
      "a look: APNs and FCM, 20 callers, no upstream latency (with --only APNs half of that)",
    )
    .option("--rounds <count>", "stretches of load for each relay and scenario", positive, 5)
    .option("--seconds <seconds>", "length of a stretch", positive, 3)
    .option(
      "--warmup <seconds>",
      "before the first stretch; a quarter of it before each further scenario",
      positive,
      8,
    )
    .option("--only <text>", "only scenarios whose title holds this, such as 'APNs, 20 callers, 0 ms'")
    .addOption(
      new Option("--upstream <kind>", "lean: answers all alike; sim: the simulators")
        .choices(["lean", "sim"])
        .default("lean"),
    )
    .option("--profile <directory>", "write CPU and allocation profiles of the relays there")
    .option("--start", "instead: time from nothing to the first answer, and memory when idle")
    .option("--scale", "instead: what pushkeys, apps, rejections, waiting pushes and those under way cost")
    .option("--write", "write tables and plots into bench/results/")
    .addHelpText(
      "after",
      "\nMeasures dist/. Exits 1 when a figure would say something about another process than the relay's.",
    )
    .action(main)
    .parseAsync();
}
