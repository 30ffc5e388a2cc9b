import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A page for users, or a file whose comments tell them what to type. */
export interface Page {
  readonly name: string;
  readonly text: string;
}

/** A fenced block of a page. */
export interface Block {
  /** `docs/softphone.md:54`. */
  readonly place: string;
  readonly text: string;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** A file of the repository. */
export function page(name: string): Page {
  return { name, text: readFileSync(root + name, "utf8") };
}

/** All Markdown that users and contributors read. */
export const pages: readonly Page[] = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync(`${root}docs`, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
].map(page);

/** The fenced blocks of one of these languages, without the indentation that a list gives them. */
export function blocks({ name, text }: Page, languages: readonly string[]): readonly Block[] {
  const found: Block[] = [];
  const fence = /^( *)```(\w+)\n([\s\S]*?)^ *```$/gm;
  for (const { index, 1: indent = "", 2: language = "", 3: body = "" } of text.matchAll(fence)) {
    if (!languages.includes(language)) continue;
    const line = text.slice(0, index).split("\n").length;
    found.push({ place: `${name}:${line}`, text: body.replaceAll(new RegExp(`^${indent}`, "gm"), "") });
  }
  return found;
}

/** The commands of a shell's text, a line each: continued lines joined, comments and blank lines gone. */
export function commandLines(text: string): readonly string[] {
  return text
    .replaceAll(/\\\n\s*/g, " ")
    .split(/\n(?=(?:[^']*'[^']*')*[^']*$)/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** A command line's simple commands, each as words without their quotes; what follows a `#` is a comment. */
export function simpleCommands(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]];
  const token = /'([^']*)'|"([^"]*)"|(&&|\|\||[|;<>])|(#.*$)|([^\s'"|;&<>]+)|\s+/gy;
  for (const [, single, double, operator, comment, bare] of line.matchAll(token)) {
    if (comment !== undefined) break;
    if (operator !== undefined) commands.push([]);
    const word = single ?? double ?? bare;
    if (word !== undefined) commands.at(-1)?.push(word);
  }
  return commands.filter((words) => words.length > 0);
}
