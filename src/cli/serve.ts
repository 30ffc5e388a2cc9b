import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { systemClock } from "../clock.ts";
import { loadConfig, type Loaded } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Config } from "../config/schema.ts";
import { Gateway, StartError } from "../gateway.ts";
import { giveBackMemory } from "../give-back-memory.ts";
import { errorFields } from "../log.ts";
import { createLog, type ClosableLog, type ErrorReporter } from "../log/create-log.ts";
import { logOptionsFrom } from "../log/setup.ts";
import { pushkinTypes } from "../pushkins/index.ts";
import { version } from "../version.ts";
import { configFile } from "./config-file.ts";

/** `signalbox serve`: runs the gateway in the foreground until SIGTERM or SIGINT. */
export function serveCommand(): Command {
  return new Command("serve")
    .description("run the gateway in the foreground")
    .option("-c, --config <file>", "the configuration (default: $SYGNAL_CONF, else sygnal.yaml)")
    .addHelpText(
      "after",
      "\nSIGTERM finishes what is under way and exits 0; a second one ends at once. SIGHUP reads the configuration anew;" +
        "\na wrong one changes nothing. Exits 1 when it cannot start.",
    )
    .action((flags: { config?: string }) => serve(configFile(flags.config, process.env)));
}

async function serve(file: string): Promise<void> {
  const load = (): Promise<Loaded> => loadConfig({ path: file, env: process.env, pushkinTypes });
  const loaded = await load();
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`);
  if (!loaded.ok) {
    for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`);
    process.exitCode = 1;
    return;
  }
  const { config } = loaded;
  collectYoungAlone();
  const log = await openLog(config);
  const end = endOfProcess(log);
  // From here on a signal is heard, also one that comes in the middle of the start.
  const stopAsked = firstSignal(log);
  let gateway: Gateway | undefined;
  process.on("SIGHUP", () => void gateway?.reload());
  try {
    gateway = await Gateway.create({ config, clock: systemClock, log, load, onFatal: end });
    await gateway.start();
    giveBackMemory(systemClock);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`${file}: ${error.message}\n`);
    await log.close();
    process.exitCode = 1;
    return;
  }
  await stop(gateway, await stopAsked, log);
}

/**
 * What a push leaves behind dies young, so that a scavenge has little to do: waking V8's helper threads for it costs more
 * than they bring, a tenth of a push's processor time where they were measured (docs/performance.md).
 */
function collectYoungAlone(): void {
  setFlagsFromString("--no-parallel-scavenge");
}

async function openLog(config: Config): Promise<ClosableLog> {
  const { options } = logOptionsFrom(config.log.setup);
  // A person reads a terminal; everything else gets JSON unless the setup says otherwise.
  const readable = options.destinations === undefined && process.stderr.isTTY;
  const reporter = await openSentry(config);
  return createLog({
    ...options,
    ...(readable ? { format: "text" } : {}),
    ...(reporter === undefined ? {} : { reporter }),
  });
}

/** Sentry, when it is configured; loaded by those who use it only. */
async function openSentry({ metrics: { sentry } }: Config): Promise<ErrorReporter | undefined> {
  if (!sentry.enabled || sentry.dsn === undefined) return undefined;
  const { createSentry } = await import("../log/sentry.ts");
  return createSentry({ dsn: sentry.dsn, release: version, clock: systemClock });
}

/** A bug that nobody caught leaves no state to trust: the process ends, and what was promised is in the store (PR10). */
function endOfProcess(log: ClosableLog): (what: string) => void {
  const end = (what: string, error?: unknown): void => {
    log.error(what, error === undefined ? {} : errorFields(error));
    process.exitCode = 1;
    // The log gets a moment to get out, and no more.
    void log.close().finally(() => process.exit(1));
    setTimeout(() => process.exit(1), 900).unref();
  };
  process.on("uncaughtException", (error) => end("an error that nobody caught ends the gateway", error));
  process.on("unhandledRejection", (error) => end("a rejection that nobody caught ends the gateway", error));
  return (what) => end(what);
}

/** Resolves at the first signal to stop. A second one ends the process at once, also in the middle of the start. */
function firstSignal(log: ClosableLog): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isFirst = true;
    const hear = (signal: NodeJS.Signals): void => {
      if (isFirst) {
        isFirst = false;
        log.info("stopping", { signal });
        resolve(signal);
        return;
      }
      log.warn("stopping at once", { signal });
      process.exit(0);
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, hear);
  });
}

/** Ends the process when the gateway has stopped in order. */
async function stop(gateway: Gateway, signal: NodeJS.Signals, log: ClosableLog): Promise<void> {
  // Whoever presses Ctrl-C is not a load balancer that needs time to look elsewhere.
  await gateway.stop({ drainMs: signal === "SIGTERM" ? gateway.drainDelayMs : 0 });
  log.info("stopped");
  await log.close();
  process.exit(0);
}
