/**
 * `npm run soak -- --minutes 60`: a steady load on one gateway for as long as is asked, one upstream down all the while,
 * with a look at its memory, descriptors and outbox every second. Exits 1 when one of them goes on growing.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import type { LoadFigures } from "../src/load/tally.ts";
import type { LoadOrder } from "./load-child.ts";
import { median } from "./measure.ts";
import { MeasuredProcess } from "./measured-process.ts";
import { lineSvg } from "./plot.ts";
import { machine, markdownTable, writeResult } from "./report.ts";
import { freePort } from "./start.ts";
import { gatewaySubject, type BaseConfig } from "./subjects.ts";
import { startUpstreams } from "./upstreams.ts";

/** One look. */
interface Sample {
  readonly atMinutes: number;
  readonly rssMiB: number;
  readonly descriptors: number;
  readonly waiting: number;
}

interface SoakFlags {
  readonly minutes: number;
  readonly rate: number;
  readonly write?: true;
}

const sampleEveryMs = 1000;
/** Growth of RSS from the middle third to the last that is no leak but the heap finding its size. */
const mostGrowth = 1.15;
/** In less time every heap grows. */
const leastMinutes = 9.5;
/** Open descriptors more in the last third. */
const mostDescriptors = 20;
const downApp = "com.example.app.android";

async function soak({ minutes, rate, write }: SoakFlags): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "signalbox-soak-"));
  const processes: MeasuredProcess[] = [];
  try {
    const upstreams = await startUpstreams(directory, "lean");
    processes.push(upstreams.process);
    const script = fileURLToPath(new URL("load-child.ts", import.meta.url));
    const load = new MeasuredProcess(script, [], { logFile: `${directory}/load.log` });
    processes.push(load);
    await load.message();
    const metricsPort = await freePort();
    const subject = gatewaySubject({
      name: "soaked",
      probe: false,
      extra: ({ apps }: BaseConfig) => ({
        apps: { ...apps, [downApp]: { ...apps[downApp], endpoint: "https://127.0.0.1:9" } },
        // What waits is given up after a minute, so that the outbox comes to rest at a depth.
        delivery: { answer_within: "500ms", expire_after: { message: "60s", call: "30s", badge: "60s" } },
        metrics: { prometheus: { enabled: true, address: "127.0.0.1", port: metricsPort } },
      }),
    });
    const { process: gateway, url } = await subject.start(upstreams.addresses, directory);
    processes.push(gateway);
    const order: LoadOrder = {
      url,
      apps: [
        ...Array.from({ length: 19 }, () => ({
          appId: "com.example.app.ios",
          kind: "apns" as const,
          devices: 10_000,
        })),
        { appId: downApp, kind: "fcm", devices: 10_000 },
      ],
      callers: 50,
      durationMs: minutes * 60_000,
      perSecond: rate,
    };
    const loading = load.ask<LoadFigures>(order, order.durationMs + 120_000);
    const samples: Sample[] = [];
    const startedMs = performance.now();
    while (performance.now() - startedMs < order.durationMs) {
      await sleep(sampleEveryMs);
      samples.push({
        atMinutes: (performance.now() - startedMs) / 60_000,
        rssMiB: gateway.usage().rssBytes / 2 ** 20,
        descriptors: readdirSync(`/proc/${gateway.pid}/fd`).length,
        waiting: await waitingPushes(metricsPort),
      });
    }
    const figures = await loading;
    report(samples, figures, write === true);
  } finally {
    for (const process of processes.reverse()) await process.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function report(samples: readonly Sample[], figures: LoadFigures, write: boolean): void {
  const third = Math.floor(samples.length / 3);
  const middle = samples.slice(third, 2 * third);
  const last = samples.slice(2 * third);
  const of = (part: readonly Sample[], key: keyof Sample): number =>
    median(part.map((sample) => sample[key]));
  const row = (name: string, key: keyof Sample): string[] => [
    name,
    of(middle, key).toFixed(0),
    of(last, key).toFixed(0),
    Math.max(...samples.map((sample) => sample[key])).toFixed(0),
  ];
  const table = markdownTable(
    ["", "middle third", "last third", "most"],
    [row("RSS, MiB", "rssMiB"), row("open descriptors", "descriptors"), row("pushes waiting", "waiting")],
  );
  const minutes = samples.at(-1)?.atMinutes ?? 0;
  const head = `${machine()}; ${minutes.toFixed(1)} minutes, ${figures.pushes} pushes, one upstream of two down.\n`;
  process.stdout.write(`${head}\n${table}`);
  if (write) {
    const points = (key: keyof Sample): (readonly [number, number])[] =>
      samples.map((sample) => [sample.atMinutes, sample[key]]);
    const series = [
      { name: "RSS, MiB", points: points("rssMiB") },
      { name: "pushes waiting", points: points("waiting") },
      { name: "open descriptors", points: points("descriptors") },
    ];
    writeResult("soak.svg", lineSvg({ title: "A gateway under steady load", xName: "minutes", series }));
    writeResult("soak.md", `${head}\n${table}\n![soak](soak.svg)\n`);
  }
  const isYoung = minutes < leastMinutes;
  const grows = !isYoung && of(last, "rssMiB") > mostGrowth * of(middle, "rssMiB");
  if (isYoung)
    process.stdout.write(
      `\nmemory is judged from ${leastMinutes} minutes on: until then the heap finds its size\n`,
    );
  const leaks = of(last, "descriptors") > of(middle, "descriptors") + mostDescriptors;
  if (grows || leaks || figures.successShare < 1) {
    process.stderr.write(
      `not at rest: ${grows ? "memory grows; " : ""}${leaks ? "descriptors grow; " : ""}${(100 * figures.successShare).toFixed(2)} % answered 200\n`,
    );
    process.exitCode = 1;
  }
}

/** From the gateway's own metrics; NaN when they cannot be had. */
async function waitingPushes(port: number): Promise<number> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const counts = [...text.matchAll(/^signalbox_outbox_pushes\{[^}]*state="pending"[^}]*\} (\d+)/gm)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  } catch {
    return Number.NaN;
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 100_000)) throw new InvalidArgumentError("a number above 0.");
  return value;
}

await new Command("soak")
  .description(
    "a steady load for as long as is asked: does memory, do descriptors, does the outbox come to rest?",
  )
  .option("--minutes <minutes>", "how long", positive, 10)
  .option(
    "--rate <pushes>",
    "pushes a second, a twentieth of them for an upstream that is down",
    positive,
    200,
  )
  .option("--write", "write the table and the plot into bench/results/")
  .addHelpText(
    "after",
    "\nRuns dist/. Exits 1 when something goes on growing, or not every request was answered 200.",
  )
  .action(soak)
  .parseAsync();
