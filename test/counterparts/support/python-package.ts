import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The folder for virtual environments; git ignores it. `SIGNALBOX_VENVS` puts it elsewhere. */
const venvs = process.env["SIGNALBOX_VENVS"] ?? fileURLToPath(new URL("../../../.venv/", import.meta.url));

/** The exit code of a command that had to skip because a package could not be had. */
export const SKIPPED = 77;

/** A counterpart that its package index does not give us, or no Python to run it. */
export class NotAvailable extends Error {
  readonly packageName: string;

  constructor(packageName: string, reason: string) {
    super(reason);
    this.packageName = packageName;
  }
}

/** What to install. */
export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** A requirements file with every version that it needs. */
  readonly requirements: URL;
  /** Milliseconds for the whole installation. */
  readonly limitMs: number;
}

/** An installed package: the Python of its own virtual environment. */
export interface InstalledPackage {
  readonly python: string;
  /** 0 when it was there already. */
  readonly tookMs: number;
}

const OLDEST_PYTHON = "(3, 10)";

/**
 * The package in a virtual environment of its own, made unless it is there already. Wheels only: nothing is built, and
 * nothing but the package index is asked.
 *
 * @throws {NotAvailable} when there is no Python that can do it, or the index does not give it
 */
export async function installPackage(wanted: PinnedPackage): Promise<InstalledPackage> {
  const { name, version, requirements } = wanted;
  const digest = createHash("sha256")
    .update(await readFile(requirements))
    .digest("hex")
    .slice(0, 12);
  const home = join(venvs, `${name}-${version}-${digest}`);
  const python = join(home, "bin", "python");
  const finished = join(home, "installed");
  if (await exists(finished)) return { python, tookMs: 0 };
  const startedMs = performance.now();
  const system = await systemPython(name);
  await rm(home, { recursive: true, force: true });
  await mkdir(venvs, { recursive: true });
  const step = async (program: string, args: readonly string[]): Promise<void> => {
    const leftMs = Math.round(wanted.limitMs - (performance.now() - startedMs));
    try {
      await run(program, args, { timeout: Math.max(1, leftMs), maxBuffer: 16 * 1024 * 1024 });
    } catch (error) {
      // Only a program that ran and failed, or ran too long, says something about the package.
      if (!(error instanceof Error && "stderr" in error)) throw error;
      await rm(home, { recursive: true, force: true });
      throw new NotAvailable(name, lastLine(error));
    }
  };
  await step(system, ["-m", "venv", home]);
  await step(python, [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-input",
    "--disable-pip-version-check",
    "--only-binary=:all:",
    "--requirement",
    fileURLToPath(requirements),
  ]);
  // Only a whole installation is ever taken for one.
  await writeFile(`${finished}.part`, `${name} ${version}\n`);
  await rename(`${finished}.part`, finished);
  return { python, tookMs: performance.now() - startedMs };
}

/** The first Python that is new enough and can make virtual environments. */
async function systemPython(name: string): Promise<string> {
  for (const program of ["python3", "python3.13", "python3.12", "python3.11", "python3.10"]) {
    const check = `import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= ${OLDEST_PYTHON} else 1)`;
    const fits = await run(program, ["-c", check], { timeout: 20_000 }).then(
      () => true,
      () => false,
    );
    if (fits) return program;
  }
  throw new NotAvailable(name, "no Python 3.10 or newer with venv");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What pip said last, which names the package or the network. */
function lastLine(error: unknown): string {
  const said = error as { stderr?: string; message?: string; killed?: boolean };
  if (said.killed === true) return "the installation took too long";
  const lines = (said.stderr ?? said.message ?? "").trim().split("\n");
  return lines.findLast((line) => line.startsWith("ERROR")) ?? lines.at(-1) ?? "unknown";
}

/** Runs a command's main function: its exit code, and the one line when a package cannot be had. */
export async function runCommand(main: () => Promise<boolean>): Promise<void> {
  try {
    process.exitCode = (await main()) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof NotAvailable)) throw error;
    console.error(error.message);
    console.log(`skipped: ${error.packageName} not available`);
    process.exitCode = SKIPPED;
  }
}
