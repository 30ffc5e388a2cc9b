import { Command } from "commander";
import type { PushkinType } from "../core/pushkin.ts";
import { version } from "../version.ts";

type MakeCommand = () => Promise<Command>;

/** Each is loaded by who asks for it: a gateway has no use for the simulators. */
async function withPushkins(make: (types: readonly PushkinType[]) => Command): Promise<Command> {
  const { pushkinTypes } = await import("../pushkins/index.ts");
  return make(pushkinTypes);
}

/** THE LIST of commands, in the order of the help. */
const commands: Readonly<Record<string, MakeCommand>> = {
  serve: async () => (await import("./serve.ts")).serveCommand(),
  check: async () => withPushkins((await import("./check.ts")).checkCommand),
  doctor: async () => withPushkins((await import("./doctor.ts")).doctorCommand),
  explain: async () => (await import("./explain.ts")).explainCommand(),
  reload: async () => (await import("./reload.ts")).reloadCommand(),
  send: async () => (await import("./send.ts")).sendCommand(),
  load: async () => (await import("./load.ts")).loadCommand(),
  vapid: async () => (await import("./vapid.ts")).vapidCommand(),
  "hash-password": async () => (await import("./hash-password.ts")).hashPasswordCommand(),
  sim: async () => (await import("./sim.ts")).simCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
};
const usual = "serve";

/**
 * The program with the one command that the arguments name, or with all where they name none: for the help, and for what
 * is no command.
 *
 * @param args without the interpreter and the script
 */
export async function program(args: readonly string[]): Promise<Command> {
  const [first = usual] = args;
  const named = first === "--config" || first === "-c" || first.startsWith("--config=") ? usual : first;
  const made = Object.hasOwn(commands, named) ? [named] : Object.keys(commands);
  const whole = new Command("signalbox")
    .description("A push gateway that keeps what it promises. A drop-in for Sygnal.")
    .version(version);
  for (const name of made) {
    const command = await commands[name]?.();
    if (command !== undefined) whole.addCommand(command, { isDefault: name === usual });
  }
  return whole;
}
