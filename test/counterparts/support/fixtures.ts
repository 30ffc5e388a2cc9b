import { readFile, writeFile } from "node:fs/promises";

const folder = new URL("../../../bench/fixtures/", import.meta.url);

/** One body that a gateway gets, and what it is. */
export interface Fixture {
  readonly title: string;
  readonly body: unknown;
}

/** Where the bodies of a file come from. */
export interface Origin {
  /** `recorded`: a homeserver sent them just so. `by hand`: written after the documentation. */
  readonly made: "recorded" | "by hand";
  readonly from: string;
}

/** What one file of the folder holds. */
export interface IndexEntry extends Origin {
  readonly file: string;
  readonly bodies: number;
  /** How many of each title. */
  readonly titles: Readonly<Record<string, number>>;
}

/** Writes `NAME.jsonl`, one `{title, body}` a line, and its entry in `index.json`. */
export async function writeFixtures(
  name: string,
  fixtures: readonly Fixture[],
  origin: Origin,
): Promise<URL> {
  const file = `${name}.jsonl`;
  const url = new URL(file, folder);
  await writeFile(url, fixtures.map((fixture) => `${JSON.stringify(fixture)}\n`).join(""));
  const titles: Record<string, number> = {};
  for (const { title } of fixtures) titles[title] = (titles[title] ?? 0) + 1;
  const entry: IndexEntry = { file, ...origin, bodies: fixtures.length, titles };
  const others = (await readIndex()).filter((each) => each.file !== file);
  const index = [...others, entry].sort((a, b) => (a.file < b.file ? -1 : 1));
  await writeFile(new URL("index.json", folder), `${JSON.stringify(index, null, 2)}\n`);
  return url;
}

/** What the folder holds. */
export async function readIndex(): Promise<readonly IndexEntry[]> {
  const text = await readFile(new URL("index.json", folder), "utf8").catch(() => "[]");
  return JSON.parse(text) as IndexEntry[];
}

/** All bodies of one file: JSON lines, or one list. */
export async function readFixtures(file: string): Promise<readonly Fixture[]> {
  const text = await readFile(new URL(file, folder), "utf8");
  if (file.endsWith(".json")) return JSON.parse(text) as Fixture[];
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Fixture);
}
