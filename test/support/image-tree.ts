import { spawnSync } from "node:child_process";
import { chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const read = (name: string): string => readFileSync(repository + name, "utf8");

/** The image's files without its base's, laid out as the Dockerfile's steps would, and what it is started with. */
export interface ImageTree {
  readonly root: string;
  readonly packages: number;
  readonly workingDirectory: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  /** ENTRYPOINT and CMD. */
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
  remove(): void;
}

/**
 * Follows the Dockerfile without an engine: the lockfile's production packages are taken from those that are installed
 * here, the build is TypeScript's own, what the image leaves out goes by the Dockerfile's own commands, and the last
 * stage's COPY lines say where things lie.
 */
export function layOutImage(): ImageTree {
  const dockerfile = read("Dockerfile").replaceAll(/\\\n\s*/g, "");
  const lines = dockerfile.split("\n");
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));
  const stages = mkdtempSync(join(tmpdir(), "signalbox-image-"));
  const [build, dependencies, root] = ["build", "dependencies", "root"].map((name) => join(stages, name)) as [
    string,
    string,
    string,
  ];

  cpSync(process.execPath, join(build, "usr/local/bin/node"));
  run(
    "node_modules/typescript/bin/tsc",
    "-p",
    "tsconfig.build.json",
    "--noCheck",
    "--outDir",
    join(build, "app/dist"),
  );

  const names = productionPackages();
  for (const name of names) {
    const nested = join(repository, name, "node_modules");
    cpSync(repository + name, join(dependencies, "app", name), {
      recursive: true,
      filter: (source) => source !== nested,
    });
  }
  mkdirSync(join(dependencies, "data"));
  const prunes = [...dockerfile.matchAll(/&& (find node_modules .*?)\s+(?=&&|\n)/g)].map(
    ([, command = ""]) => command,
  );
  if (prunes.length === 0) throw new Error("the Dockerfile leaves nothing out");
  for (const command of prunes) shell(command, join(dependencies, "app"));

  for (const line of last.filter((each) => each.startsWith("COPY "))) {
    const words = line.split(/\s+/).slice(1);
    const paths = words.filter((word) => !word.startsWith("--"));
    const stage = words.find((word) => word.startsWith("--from="))?.slice("--from=".length);
    const owner = /^--chown=(\d+):(\d+)$/.exec(words.find((word) => word.startsWith("--chown=")) ?? "");
    const to = paths.pop() ?? "";
    for (const from of paths) {
      const source = stage === undefined ? repository + from : join(stages, stage, from);
      const target = join(root, to, to.endsWith("/") ? from : "");
      mkdirSync(dirname(target), { recursive: true });
      cpSync(source, target, { recursive: true });
      if (owner !== null) chownSync(target, Number(owner[1]), Number(owner[2]));
    }
  }
  const instruction = (name: string): string =>
    last
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1)
      .trim() ?? "";
  const words = (name: string): readonly string[] => JSON.parse(instruction(name)) as string[];
  return {
    root,
    packages: names.length,
    workingDirectory: instruction("WORKDIR"),
    user: instruction("USER"),
    environment: Object.fromEntries(
      instruction("ENV")
        .split(" ")
        .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    ),
    command: [...words("ENTRYPOINT"), ...words("CMD")],
    healthCheck: JSON.parse(/ CMD (\[.*\])/.exec(instruction("HEALTHCHECK"))?.[1] ?? "[]") as string[],
    remove: () => rmSync(stages, { recursive: true, force: true }),
  };
}

/** What `npm ci --omit=dev --omit=optional` installs. */
function productionPackages(): readonly string[] {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { dev?: true; optional?: true; devOptional?: true }>;
  };
  return Object.entries(packages)
    .filter(([name, { dev, devOptional, optional }]) => name !== "" && !dev && !optional && !devOptional)
    .map(([name]) => name);
}

function run(script: string, ...args: readonly string[]): void {
  told(spawnSync(process.execPath, [repository + script, ...args], { cwd: repository, encoding: "utf8" }));
}

function shell(command: string, cwd: string): void {
  told(spawnSync("sh", ["-c", command], { cwd, encoding: "utf8" }));
}

function told({ status, stderr, stdout }: ReturnType<typeof spawnSync>): void {
  if (status !== 0) throw new Error(`${String(stdout)}${String(stderr)}`);
}
