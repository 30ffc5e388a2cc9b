import { once } from "node:events";
import { Command, InvalidArgumentError } from "commander";
import { startSimulators } from "../simulator/index.ts";
import { phoneLine } from "../simulator/phone-line.ts";
import { tokenPrefixes } from "../simulator/script.ts";
import { writeWorkspace } from "../simulator/workspace.ts";

interface SimOptions {
  readonly host: string;
  readonly apnsPort: number;
  readonly fcmPort: number;
  readonly webpushPort: number;
  readonly unifiedpushPort: number;
  readonly controlPort: number;
  readonly dir?: string;
  readonly quiet?: true;
}

/** `signalbox sim`: runs the fake upstreams until SIGINT or SIGTERM. */
export function simCommand(): Command {
  return new Command("sim")
    .description("run simulators of APNs, FCM, Web Push and UnifiedPush, and print what each phone gets")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--apns-port <port>", "port of APNs; 0 takes a free one", port, 0)
    .option("--fcm-port <port>", "port of FCM and its OAuth endpoint; 0 takes a free one", port, 0)
    .option("--webpush-port <port>", "port of the Web Push service; 0 takes a free one", port, 0)
    .option("--unifiedpush-port <port>", "port of the UnifiedPush server; 0 takes a free one", port, 0)
    .option("--control-port <port>", "port of the control server; 0 takes a free one", port, 0)
    .option("--dir <directory>", "write credentials and a sygnal.yaml that uses the simulators there")
    .option("--quiet", "do not print what the phones get")
    .addHelpText("after", `\n${SUBSCRIBING}`)
    .addHelpText("after", () => `\nTokens that begin so get a fixed answer (APNs, FCM):\n${prefixTable()}`)
    .addHelpText("after", CONTROLLING)
    .action(run);
}

const SUBSCRIBING = `POST to /subscribe of the Web Push service, or to /register of the UnifiedPush server, answers with what a
browser or a distributor gives to an app.`;

const CONTROLLING = `
The control server makes an upstream misbehave; JSON, and what is wrong with it is answered:
  GET  /             counts, and where the simulators are          GET  /records  the requests that came
  POST /rules        how to answer; DELETE /rules takes them away  POST /latency  {"delay": 200}, in milliseconds
  POST /connections  {"goaway": {}}, {"close": true}               POST /reset    as after the start
Google is down for ten pushes:
  curl CONTROL/rules -H 'Content-Type: application/json' \\
    -d '{"upstream":"fcm","times":10,"answer":{"kind":"error","reason":"UNAVAILABLE"}}'`;

/** The documented token prefixes as lines of text. */
export function prefixTable(): string {
  return tokenPrefixes
    .map(({ apns, fcm, meaning }) => `  ${apns.padEnd(6)}${fcm.padEnd(10)}${meaning}\n`)
    .join("");
}

async function run(options: SimOptions): Promise<void> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const { host, apnsPort, fcmPort, controlPort } = options;
  const simulators = await startSimulators({
    host,
    apnsPort,
    fcmPort,
    controlPort,
    tokenPrefixes: true,
    recordCapacity: 1000,
  });
  try {
    if (options.quiet !== true) simulators.recorder.listen((request) => print(phoneLine(request)));
    print(`apns     ${simulators.apns.url}`);
    print(`fcm      ${simulators.fcm.url}`);
    print(`oauth    ${simulators.fcm.tokenUri}`);
    print(`webpush  ${simulators.webPush.url}`);
    print(`up       ${simulators.unifiedPush.url}`);
    print(`control  ${simulators.control?.url ?? ""}`);
    if (options.dir !== undefined)
      print(`config   ${(await writeWorkspace(simulators, options.dir)).config}`);
    await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  } finally {
    await simulators.stop();
  }
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535)
    throw new InvalidArgumentError("a port is a number from 0 to 65535.");
  return value;
}
