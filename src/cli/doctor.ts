import { Command } from "commander";
import { systemClock } from "../clock.ts";
import type { PushkinType } from "../core/pushkin.ts";
import { configFile } from "./config-file.ts";
import { examine } from "./doctor/examine.ts";
import { isHealthy, printReport, reportJson } from "./doctor/report.ts";

interface DoctorFlags {
  readonly config?: string;
  readonly app?: readonly string[];
  readonly json?: true;
}

/** `signalbox doctor`: looks, live, whether pushes would arrive, and says what to do where they would not. */
export function doctorCommand(pushkinTypes: readonly PushkinType[]): Command {
  return new Command("doctor")
    .description("look, live, whether pushes of every app would arrive, and say what to do where not")
    .option("-c, --config <file>", "the configuration (default: $SYGNAL_CONF, else sygnal.yaml)")
    .option("--app <id...>", "look at these apps only, as they are written under `apps`")
    .option("--json", "print JSON")
    .addHelpText("after", `\n${ABOUT}`)
    .action(async (flags: DoctorFlags) => {
      const lines = await examine({
        file: configFile(flags.config, process.env),
        env: process.env,
        clock: systemClock,
        pushkinTypes,
        ...(flags.app === undefined ? {} : { only: flags.app }),
      });
      const colours = process.stdout.isTTY && process.env.NO_COLOR === undefined;
      process.stdout.write(flags.json === true ? reportJson(lines) : printReport(lines, colours));
      process.exitCode = isHealthy(lines) ? 0 : 1;
    });
}

const ABOUT = `Run it as the user and on the machine that the gateway runs as and on; the gateway may be running. No
phone gets anything: APNs is asked about a token that cannot exist, FCM about a message that it shall only validate.
Exits 1 when a line failed, else 0; warnings do not count.`;
