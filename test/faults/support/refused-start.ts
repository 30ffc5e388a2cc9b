import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { startSimulators } from "../../../src/simulator/index.ts";
import { writeWorkspace } from "../../../src/simulator/workspace.ts";
import { spawnSignalbox } from "../../support/spawn-gateway.ts";
import { sharedCredentials } from "./shared.ts";

/** A directory with a good configuration's files, and the configuration as an object. */
export interface Workspace {
  readonly directory: string;
  readonly config: { readonly apps: Readonly<Record<string, Readonly<Record<string, unknown>>>> } & Readonly<
    Record<string, unknown>
  >;
}

/** Lends a workspace whose apps could start. */
export async function withWorkspace<T>(work: (workspace: Workspace) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-config-"));
  const simulators = await startSimulators({ credentials: sharedCredentials() });
  try {
    const files = await writeWorkspace(simulators, directory);
    const written = parse(await readFile(files.config, "utf8")) as Workspace["config"];
    const config = {
      http: { port: 0 },
      admin: { enabled: false },
      store: { url: `sqlite:${join(directory, "s.db")}` },
      ...written,
    };
    return await work({ directory, config });
  } finally {
    await simulators.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What the gateway prints when it refuses to start; fails when it does start, or takes more than a second to refuse. */
export async function refusalOf(
  directory: string,
  config: string | object,
  options: { readonly env?: Readonly<Record<string, string>>; readonly command?: "serve" | "check" } = {},
): Promise<{ readonly text: string; readonly code: number | string }> {
  const path = join(directory, "refused.yaml");
  await writeFile(path, typeof config === "string" ? config : stringify(config, { version: "1.1" }), {
    mode: 0o600,
  });
  const args = options.command === "check" ? ["check", "--config", path] : ["serve", "--config", path];
  const started = spawnSignalbox(args, {
    cwd: directory,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const timer = setTimeout(() => started.child.kill("SIGKILL"), 10_000);
  const code = await started.ended();
  clearTimeout(timer);
  return { text: started.stdout() + started.stderr(), code };
}

/** Refuses this configuration with exit 1, and gives what it said. */
export async function expectRefused(config: string | object): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-config-"));
  try {
    const { text, code } = await refusalOf(directory, config);
    assert.equal(code, 1, text);
    return text;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
