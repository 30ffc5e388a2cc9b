import { readFile, writeFile } from "node:fs/promises";
import { format } from "prettier";

/** The page that holds the comparison's result. */
const page = new URL("../../../docs/moving-from-sygnal.md", import.meta.url);
const BEGIN = "<!-- printed by npm run compare:sygnal -- --write -->";
const END = "<!-- end of what compare:sygnal prints -->";

/** Puts a result between the markers; the rest stays as it is. */
export async function writeSection(section: string): Promise<void> {
  await writeFile(page, await pageWith(section));
}

/** Whether the page has just this result. */
export async function hasSection(section: string): Promise<boolean> {
  return (await readFile(page, "utf8")) === (await pageWith(section));
}

/** What the page has between its markers. */
export async function readSection(): Promise<string> {
  return split(await readFile(page, "utf8")).section.trim();
}

async function pageWith(section: string): Promise<string> {
  const { before, after } = split(await readFile(page, "utf8"));
  return format(`${before}${BEGIN}\n\n${section}\n\n${END}${after}`, { parser: "markdown", printWidth: 110 });
}

function split(text: string): { readonly before: string; readonly section: string; readonly after: string } {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error("docs/moving-from-sygnal.md has no place for the comparison");
  return {
    before: text.slice(0, begin),
    section: text.slice(begin + BEGIN.length, end),
    after: text.slice(end + END.length),
  };
}
