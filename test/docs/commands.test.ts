import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { program } from "../../src/cli/index.ts";
import { blocks, commandLines, page, pages, simpleCommands, type Page } from "./printed.ts";

/*
 * What the pages tell people to type is understood by the program: commands, options, arguments. Taken from the fenced
 * shell blocks, from code in running text, and from the comments of what operators install.
 */
interface Typed {
  readonly place: string;
  readonly words: readonly string[];
}

const code = ({ name, text }: Page): readonly Typed[] =>
  [...text.matchAll(/`((?:npx |npm )?[a-z][^`\n]*)`/g)].flatMap(({ index, 1: line = "" }) =>
    simpleCommands(line).map((words) => ({
      place: `${name}:${text.slice(0, index).split("\n").length}`,
      words,
    })),
  );
const shell = (one: Page): readonly Typed[] =>
  blocks(one, ["sh", "bash", "console"]).flatMap(({ place, text }) =>
    commandLines(text).flatMap((line) => simpleCommands(line).map((words) => ({ place, words }))),
  );
const commented = ({ name, text }: Page): readonly Typed[] =>
  text.split("\n").flatMap((line, index) => {
    const said = /^#? {2,}(\S.*)$/.exec(line)?.[1] ?? /^Exec\w+=(.*)$/.exec(line)?.[1];
    return said === undefined
      ? []
      : simpleCommands(said).map((words) => ({ place: `${name}:${index + 1}`, words }));
  });
const typed: readonly Typed[] = [
  ...pages.flatMap((one) => [...shell(one), ...code(one)]),
  ...["config/systemd/signalbox.service", "config/compose.yaml"].map(page).flatMap(commented),
];

/** What our program is given; undefined where it is not called. */
function argumentsOfOurs(words: readonly string[]): readonly string[] | undefined {
  if (words[0] === "npm" && words[1] === "start") return ["serve", ...words.slice(3)];
  if (/^(?:npm|docker)$/.test(words[0] ?? "") && /^(?:install|build)$/.test(words[1] ?? "")) return undefined;
  if (words[0] === "useradd" || words[0] === "install" || words[0] === "systemctl") return undefined;
  const at = words.findLastIndex((word) => /^(?:\S*\/bin\/)?signalbox$/.test(word));
  return at < 0 ? undefined : words.slice(at + 1);
}

const ours = typed.flatMap(({ place, words }) => {
  const given = argumentsOfOurs(words);
  return given === undefined || given.length === 0 ? [] : [[place, given] as const];
});

/** Lets the program read the arguments as it would, and do nothing. Rejects for what it does not understand. */
async function understand(words: readonly string[]): Promise<void> {
  const whole = await program(words);
  const quieten = (command: Command): void => {
    command.exitOverride().configureOutput({ writeOut() {}, writeErr() {} });
    command.action(() => {});
    command.commands.forEach(quieten);
  };
  whole.commands.forEach(quieten);
  whole.exitOverride().configureOutput({ writeOut() {}, writeErr() {} });
  // Named in running text it needs no arguments: that there is such a command is what matters.
  if (words.length === 1) expect(whole.commands.map((command) => command.name())).toContain(words[0]);
  else await whole.parseAsync([...words], { from: "user" });
}

it("finds a mistake", async () => {
  for (const words of [
    ["serv", "--x"],
    ["check", "--konfig", "x"],
    ["explain", "a", "b"],
    ["send", "--text"],
  ])
    await expect(understand(words)).rejects.toThrow();
  await expect(understand(["chekc"])).rejects.toThrow();
});

it("finds what is printed", () => {
  expect(ours.length).toBeGreaterThan(40);
  const named = new Set(ours.map(([, [name = ""]]) => name));
  expect([...named].toSorted()).toEqual([
    "check",
    "demo",
    "doctor",
    "explain",
    "hash-password",
    "load",
    "reload",
    "send",
    "serve",
    "sim",
    "vapid",
  ]);
});

it.each(ours)("%s: signalbox %j", async (_place, words) => {
  await understand(words);
});

const { scripts } = JSON.parse(page("package.json").text) as { scripts: Record<string, string> };
const npm = typed
  .filter(({ words }) => words[0] === "npm" && words[1] !== "ci" && words[1] !== "install")
  .map(({ place, words }) => [place, words.slice(1)] as const);

it.each(npm)("%s: npm %j", (_place, words) => {
  const [first = "", second = ""] = words;
  if (["pack", "audit", "sbom", "publish"].includes(first)) return;
  const name = first === "run" ? second : first;
  expect(Object.keys(scripts)).toContain(name);
  const options = words.slice(words.indexOf("--") + 1).filter((word) => word.startsWith("--"));
  const file = /^node ([\w/.-]+\.ts)$/.exec(scripts[name] ?? "")?.[1];
  if (options.length === 0 || file === undefined) return;
  const source = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
  for (const option of options) expect(source).toContain(option.slice(2));
});

it("finds npm scripts in the pages", () => expect(npm.length).toBeGreaterThan(15));
