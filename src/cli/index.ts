import { Command } from "commander";
import { pushkinTypes } from "../pushkins/index.ts";
import { version } from "../version.ts";
import { checkCommand } from "./check.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { hashPasswordCommand } from "./hash-password.ts";
import { loadCommand } from "./load.ts";
import { sendCommand } from "./send.ts";
import { serveCommand } from "./serve.ts";
import { simCommand } from "./sim.ts";
import { vapidCommand } from "./vapid.ts";

/** THE LIST of commands. */
export function program(): Command {
  return new Command("signalbox")
    .description("A push gateway that keeps what it promises. A drop-in for Sygnal.")
    .version(version)
    .addCommand(serveCommand(), { isDefault: true })
    .addCommand(checkCommand(pushkinTypes))
    .addCommand(doctorCommand(pushkinTypes))
    .addCommand(sendCommand())
    .addCommand(loadCommand())
    .addCommand(vapidCommand())
    .addCommand(hashPasswordCommand())
    .addCommand(simCommand())
    .addCommand(demoCommand());
}
