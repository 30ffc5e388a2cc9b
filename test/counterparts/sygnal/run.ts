// `npm run compare:sygnal`: Signalbox beside a running Sygnal. See usage below.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installPackage, runCommand, SKIPPED } from "../support/python-package.ts";
import { runSpeed } from "./speed.ts";
import { signalbox, sygnal, type SideProgram } from "./side.ts";
import { compare, type Counterpart } from "./compare.ts";
import { hasSection, writeSection } from "./moving-page.ts";
import { asMarkdown, asText, idleRules, summarise } from "./report.ts";

const SYGNAL = { name: "matrix-sygnal", version: "0.17.0" } as const;

const usage = `npm run compare:sygnal                     the same requests through Sygnal ${SYGNAL.version} and Signalbox
npm run compare:sygnal -- --python FILE    with a Python that has Sygnal already
npm run compare:sygnal -- --notes          compares with notes on Sygnal ${SYGNAL.version} instead, taken from watching one
npm run compare:sygnal -- --speed          how fast each is, turn by turn: pushes a CPU-second, added latency, memory
                        -- --speed --quick    20 callers and no upstream latency alone
                        -- --speed --itself   Signalbox beside another Signalbox: shows what the figures are worth
npm run compare:sygnal -- --write          puts the result into docs/moving-from-sygnal.md
npm run compare:sygnal -- --check          is content only when that page has this result

Installs ${SYGNAL.name} ${SYGNAL.version} into .venv/ the first time, and runs it as a black box. Exit code 0: no difference
without a rule's name; 1: some; ${SKIPPED}: the package, or a Python to run it, is not to be had.
`;

async function main(): Promise<boolean> {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: {
      notes: flag,
      speed: flag,
      quick: flag,
      itself: flag,
      write: flag,
      check: flag,
      help: flag,
      python: { type: "string" },
    },
  });
  if (values.help) {
    console.log(usage);
    return true;
  }
  if (values.speed) {
    await speed(values.itself ? signalbox : sygnal((await installed(values.python)).python), values.quick);
    return true;
  }
  const counterpart = values.notes ? ({ kind: "notes" } as const) : await installed(values.python);
  const against = values.notes
    ? `notes on Sygnal ${SYGNAL.version}, taken from watching one (none ran here)`
    : `Sygnal ${SYGNAL.version}`;
  const directory = await mkdtemp(join(tmpdir(), "signalbox-compare-"));
  try {
    const summary = summarise(await compare(counterpart, directory));
    console.log(`Compared with ${against}.\n\n${asText(summary)}`);
    const idle = idleRules(summary);
    for (const name of idle) console.log(`rule without a request: ${name}`);
    const result = asMarkdown(summary, against);
    if (values.write) await writeSection(result);
    const isStale = values.check && !(await hasSection(result));
    if (isStale) console.log("docs/moving-from-sygnal.md has another result; -- --write mends it");
    return summary.unexpected.length === 0 && idle.length === 0 && !isStale;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `--itself` measures the measuring: two of the same must come out the same. */
async function speed(program: SideProgram, quick: boolean): Promise<void> {
  const name = program === signalbox ? "another signalbox" : `sygnal ${SYGNAL.version}`;
  await runSpeed(
    { name, program },
    { name: "signalbox", program: signalbox },
    { quick, rounds: 3, seconds: 3 },
  );
}

async function installed(python: string | undefined): Promise<Extract<Counterpart, { kind: "sygnal" }>> {
  if (python !== undefined) return { kind: "sygnal", python };
  const requirements = new URL("./requirements.txt", import.meta.url);
  return {
    kind: "sygnal",
    python: (await installPackage({ ...SYGNAL, requirements, limitMs: 180_000 })).python,
  };
}

await runCommand(main);
