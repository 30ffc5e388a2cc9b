import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Environment } from "../config/secrets.ts";
import type { PushkinType } from "../core/pushkin.ts";
import { configFile } from "./config-file.ts";

/** What the command reads and writes; the process's own when it is run. */
export interface CheckIo {
  readonly env: Environment;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Called once with 0 or 1. */
  readonly exit: (code: number) => void;
}

const processIo: CheckIo = {
  env: process.env,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  // Not process.exit: what was written to a pipe must get out first.
  exit: (code) => void (process.exitCode = code),
};

/** `signalbox check`: every problem and warning of a configuration, a line each, without starting anything. */
export function checkCommand(pushkinTypes: readonly PushkinType[], io: CheckIo = processIo): Command {
  return new Command("check")
    .description("check a configuration and the files it names, without starting anything")
    .option("-c, --config <file>", "the configuration (default: $SYGNAL_CONF, else sygnal.yaml)")
    .addHelpText(
      "after",
      "\nExits 0 when the gateway would start with it, else 1. Problems and warnings go to stderr.",
    )
    .action(async (flags: { config?: string }) => {
      const file = configFile(flags.config, io.env);
      const loaded = await loadConfig({ path: file, env: io.env, pushkinTypes });
      for (const warning of loaded.warnings) io.stderr(`warning: ${formatProblem(warning)}\n`);
      if (loaded.ok) {
        const { size } = loaded.config.apps;
        io.stdout(`${file}: ok, ${size} ${size === 1 ? "app" : "apps"}\n`);
      } else {
        for (const problem of loaded.problems) io.stderr(`${formatProblem(problem)}\n`);
      }
      io.exit(loaded.ok ? 0 : 1);
    });
}
