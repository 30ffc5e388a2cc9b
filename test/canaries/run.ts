/*
 * The whole test suite once more, heard at debug level: no pushkey, token, password, content or query string that came
 * in may be found in what went out, which is logs, metrics, traces, refusals and process arguments. Then a part of it
 * with redaction switched off, which must be found in all five: the control.
 * Run: npm run canaries [-- --short | -- --control | -- jest's own arguments]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startCollector, type Collector } from "../support/collector.ts";
import { changed, changedFiles, type Mode } from "./changes.ts";
import { Search } from "./search.ts";
import type { Heard, Place } from "./tap.ts";
import { secretsInBody, type Secret } from "./secrets.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const places: readonly Place[] = ["arguments", "errors", "logs", "metrics", "traces"];
/** Enough to find secrets in every place, were they let out. */
const controlTests = [
  "test/e2e/matrix-outcomes.test.ts",
  "test/doors/token-reporter",
  "test/http/app.test.ts",
];
/** The whole ways of a push and of a command, which is most of what comes in: the selection for every commit. */
const shortTests = ["test/e2e/", "test/doors/", "test/cli/", "test/tracing/"];
/** Leaks printed; one is as bad as many. */
const MAX_PRINTED = 20;

/** What one run heard. */
interface Hearing {
  readonly secrets: readonly Secret[];
  readonly texts: readonly { readonly place: Place; readonly text: string }[];
}

async function runSuite(
  directory: string,
  collector: Collector,
  mode: Mode,
  args: readonly string[],
): Promise<number> {
  const jest = spawn(
    process.execPath,
    [
      "--experimental-vm-modules",
      "--disable-warning=ExperimentalWarning",
      join(root, "node_modules/jest/bin/jest.js"),
      "--config",
      join(root, "test/canaries/jest.config.js"),
      ...args,
    ],
    {
      cwd: root,
      // The control run breaks what tests expect: its failures are none.
      stdio: mode === "watch" ? "inherit" : "ignore",
      env: {
        ...process.env,
        SIGNALBOX_CANARIES: directory,
        SIGNALBOX_CANARIES_MODE: mode,
        SIGNALBOX_CANARIES_TRACES: collector.url,
      },
    },
  );
  const [code] = (await once(jest, "exit")) as [number | null];
  return code ?? 1;
}

async function listen(mode: Mode, args: readonly string[]): Promise<{ code: number; hearing: Hearing }> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-canaries-"));
  const collector = await startCollector();
  try {
    const code = await runSuite(directory, collector, mode, args);
    const secrets = new Map<string, Secret>();
    const names = new Set<string>();
    const texts: { place: Place; text: string }[] = collector.requests.map(({ body }) => ({
      place: "traces",
      text: body,
    }));
    for (const file of await readdir(directory)) {
      for (const line of (await readFile(join(directory, file), "utf8")).split("\n")) {
        // The last line of a process that was killed may be a half.
        if (!line.endsWith("}")) continue;
        const entry = JSON.parse(line) as Heard;
        if ("own" in entry) names.add(entry.own);
        else if ("secret" in entry) secrets.set(entry.secret, entry);
        else if ("body" in entry)
          for (const secret of secretsInBody(entry.body, entry.type)) secrets.set(secret.secret, secret);
        else texts.push(entry);
      }
    }
    // What we say ourselves is no secret, also where a test sends it: reasons, event types, names of fields, ids of
    // requests. Nor is what the configuration calls an app, or a part of that, since it may be a glob; an app_id that a
    // stranger makes up is one.
    const own = [await sourceText(), ...names].join("\n");
    const isSecret = ({ secret }: Secret): boolean => !own.includes(secret);
    return { code, hearing: { secrets: [...secrets.values()].filter(isSecret), texts } };
  } finally {
    await collector.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The sources as they are. */
async function sourceText(): Promise<string> {
  const files = (await readdir(join(root, "src"), { recursive: true })).filter((file) =>
    file.endsWith(".ts"),
  );
  const sources = await Promise.all(files.map((file) => readFile(join(root, "src", file), "utf8")));
  return sources.join("\n");
}

/** Throws when a change does not find its place, or its file. */
async function checkChanges(): Promise<void> {
  for (const file of changedFiles) {
    const path = join(root, file);
    changed(path, await readFile(path, "utf8"), "leak");
  }
}

function find({ secrets, texts }: Hearing): ReadonlyMap<Place, readonly string[]> {
  const search = new Search(secrets);
  const found = new Map<Place, string[]>();
  for (const { place, text } of texts) {
    for (const { secret, from, around } of search.in(text)) {
      const list = found.get(place) ?? [];
      found.set(place, list);
      list.push(
        `${JSON.stringify(secret.slice(0, 60))} of ${from} in: ${JSON.stringify(around.slice(0, 300))}`,
      );
    }
  }
  return found;
}

function describe({ secrets, texts }: Hearing): string {
  const count = (place: Place): number => texts.filter((each) => each.place === place).length;
  const bytes = texts.reduce((sum, { text }) => sum + text.length, 0);
  return `${secrets.length} secrets looked for in ${(bytes / 1e6).toFixed(0)} MB: ${places
    .map((place) => `${count(place)} ${place}`)
    .join(", ")}`;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Whether the suite passed and let nothing out. */
async function watch(args: readonly string[]): Promise<boolean> {
  const { code, hearing } = await listen("watch", args);
  const leaks = find(hearing);
  print(`canaries: ${describe(hearing)}`);
  for (const [place, list] of leaks) {
    print(`LEAK: ${list.length} in ${place}`);
    const different = [...new Map(list.map((each) => [each.split(" in: ")[0], each])).values()];
    for (const each of different.slice(0, MAX_PRINTED)) print(`  ${each}`);
  }
  if (leaks.size === 0) print("canaries: nothing came out");
  return code === 0 && leaks.size === 0;
}

/** Whether what was let out on purpose was found, everywhere. */
async function control(): Promise<boolean> {
  const { hearing } = await listen("leak", controlTests);
  const leaks = find(hearing);
  print(`control, redaction off: ${describe(hearing)}`);
  const unseen = places.filter((place) => !leaks.has(place));
  print(
    unseen.length === 0
      ? `control: found in ${[...leaks].map(([place, list]) => `${place} (${list.length})`).join(", ")}`
      : `control: NOT found in ${unseen.join(", ")}: a run that finds nothing there proves nothing`,
  );
  return unseen.length === 0;
}

await checkChanges();
const args = process.argv.slice(2).flatMap((each) => (each === "--short" ? shortTests : each));
const isClean = args.includes("--control") || (await watch(args));
const isProven = await control();
process.exitCode = isClean && isProven ? 0 : 1;
