// `npm run faults`: the fault catalogue as a table. See usage below.
import { parseArgs } from "node:util";
import { catalogue } from "./catalogue.ts";
import { runCrashCycles } from "./crash.ts";
import { limitOf, runFault, type Fault, type Result } from "./fault.ts";
import { closeShared } from "./support/shared.ts";

const usage = `npm run faults                      tier 1 of the fault catalogue
npm run faults -- --all             tier 2 too
npm run faults -- --ci              the selection for every commit, three minutes at most
npm run faults -- B H UA10          rows whose number is or begins so
npm run faults -- --http2 lean      any of these with that HTTP/2 client towards the upstreams (node, lean)
npm run faults -- --workers 2       any of these with so many threads
npm run faults -- --crash 100       100 cycles of kill -9 under load on SQLite (--postgres: on PostgreSQL)
`;

/** Rows that mostly wait run side by side, so many at once. */
const WAITING_AT_ONCE = 4;

const terminal = process.stdout.isTTY;
const paint = (code: number, text: string): string => (terminal ? `\u001b[${code}m${text}\u001b[0m` : text);
const colours = { passed: 32, failed: 31, skipped: 33 } as const;
const words = { passed: "pass", failed: "FAIL", skipped: "skip" } as const;

function progress(text: string): void {
  if (terminal) process.stderr.write(`\r\u001b[2K${text}`);
}

interface Row {
  readonly fault: Fault;
  readonly result: Result;
  readonly tookMs: number;
}

async function runAll(faults: readonly Fault[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const running = new Set<string>();
  const one = async (fault: Fault): Promise<void> => {
    running.add(fault.number);
    progress(`${rows.length + running.size}/${faults.length} ${[...running].join(" ")}`);
    const { tookMs, ...result } = await runFault(fault);
    running.delete(fault.number);
    rows.push({ fault, result, tookMs });
    progress("");
    print({ fault, result, tookMs });
  };
  const inTurn = async (queue: Fault[]): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await one(next);
  };
  const idle = faults.filter(({ waits }) => waits === "idle");
  const measuring = faults.filter(({ waits }) => waits === undefined);
  // The longest first, so that none is left to run alone at the end.
  const waiting = faults.filter(({ waits }) => waits === true).sort((a, b) => limitOf(b) - limitOf(a));
  const afterMeasuring = async (): Promise<void> => {
    await inTurn(measuring);
    await Promise.all(Array.from({ length: WAITING_AT_ONCE }, () => inTurn(waiting)));
  };
  await Promise.all([inTurn(idle), afterMeasuring()]);
  return rows;
}

function print({ fault, result, tookMs }: Row): void {
  const text = result.kind === "passed" ? result.figure : (result.reason.split("\n")[0] ?? "");
  const word = paint(colours[result.kind], words[result.kind]);
  const seconds = (tookMs / 1_000).toFixed(1).padStart(6);
  console.log(`${fault.number.padEnd(5)} ${word} ${seconds} s  ${fault.fault.padEnd(58)} ${text}`);
}

function summarise(rows: readonly Row[]): boolean {
  const of = (kind: Result["kind"]): readonly Row[] => rows.filter(({ result }) => result.kind === kind);
  const [passed, failed, skipped] = [of("passed"), of("failed"), of("skipped")];
  for (const { fault, result } of failed) {
    if (result.kind === "failed") console.log(`\n${fault.number}: ${fault.fault}\n${result.reason}`);
  }
  console.log(`\n${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return failed.length === 0;
}

function select(
  prefixes: readonly string[],
  options: { readonly all: boolean; readonly ci: boolean },
): readonly Fault[] {
  const chosen = catalogue.filter(({ ci }) => (options.ci ? ci !== undefined : ci !== "only"));
  if (prefixes.length > 0) {
    // "B" is the group, not "BX": a group's letters end where its digits begin.
    const wanted = (number: string): boolean =>
      prefixes.some((prefix) =>
        /\d/.test(prefix) ? number === prefix : number.replace(/\d.*$/, "") === prefix,
      );
    return chosen.filter(({ number }) => wanted(number));
  }
  if (options.ci) return chosen;
  return options.all ? chosen : chosen.filter(({ tier }) => tier === 1);
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: "boolean", default: false },
      ci: { type: "boolean", default: false },
      crash: { type: "string" },
      postgres: { type: "boolean", default: false },
      http2: { type: "string" },
      workers: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return true;
  }
  if (values.http2 !== undefined) {
    if (values.http2 !== "node" && values.http2 !== "lean") throw new Error("--http2 wants node or lean");
    process.env["SIGNALBOX_TEST_HTTP2"] = values.http2;
    console.log(`HTTP/2 client: ${values.http2}\n`);
  }
  if (values.workers !== undefined) {
    const workers = Number(values.workers);
    if (!Number.isInteger(workers) || workers < 1) throw new Error("--workers wants a number of threads");
    process.env["SIGNALBOX_TEST_WORKERS"] = String(workers);
    console.log(`threads: ${workers}\n`);
  }
  if (values.crash !== undefined) {
    const cycles = Number(values.crash);
    if (!Number.isInteger(cycles) || cycles < 1) throw new Error("--crash wants a number of cycles");
    const store = values.postgres ? "postgres" : "sqlite";
    const fault: Fault = {
      number: "PR01",
      fault: `kill -9 at random under load, ${cycles} cycles, ${store}`,
      tier: 1,
      limitMs: 60_000 + cycles * 30_000,
      run: () => runCrashCycles({ cycles, store, onCycle: (line) => console.log(line) }),
    };
    return summarise(await runAll([fault]));
  }
  const faults = select(positionals, values);
  if (faults.length === 0) throw new Error(`no such row: ${positionals.join(" ")}`);
  const startedMs = performance.now();
  const rows = await runAll(faults);
  console.log(`\n${rows.length} rows in ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  return summarise(rows);
}

// A row's own mistake must not look like an end of the run.
process.on("unhandledRejection", (error) => {
  console.error("a row left a rejection unheard:", error);
  process.exitCode = 1;
});

try {
  const good = await main();
  await closeShared();
  if (!good) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
// Whatever a failed row left open must not keep the run from ending.
setTimeout(() => process.exit(), 2_000).unref();
process.exit();
