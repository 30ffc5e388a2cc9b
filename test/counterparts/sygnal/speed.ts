import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { MeasuredProcess } from "../../../bench/measured-process.ts";
import { machine, speedTable } from "../../../bench/report.ts";
import { runBench } from "../../../bench/run.ts";
import type { Subject } from "../../../bench/subjects.ts";
import type { UpstreamAddresses } from "../../../bench/upstreams.ts";
import { freePort } from "../../support/free-port.ts";
import type { Listening } from "../../support/upstream-server.ts";
import { LOG } from "./scene.ts";
import { answering, type SideProgram } from "./side.ts";
import { startTunnel } from "./tunnel.ts";

/** How long it is measured. */
export interface SpeedOptions {
  /** APNs and FCM with 20 callers alone. */
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
}

/** Their gateway and ours, turn by turn in one run, over the benchmark's upstreams and callers. Prints tables. */
export async function runSpeed(
  theirs: { readonly name: string; readonly program: SideProgram },
  ours: { readonly name: string; readonly program: SideProgram },
  { quick, rounds, seconds }: SpeedOptions,
): Promise<void> {
  const tunnels: Listening[] = [];
  try {
    const subjects = [theirs, ours].map(({ name, program }) => subject(name, program, tunnels));
    console.log(machine());
    // Sygnal speaks HTTP/1.1 to Google, which the lean upstreams do not.
    for (const [only, upstream] of [
      ["APNs", "lean"],
      ["FCM", "sim"],
    ] as const) {
      const flags = { rounds, seconds, warmup: 4, upstream, only };
      const rows = await runBench(subjects, quick ? { ...flags, quick: true } : flags);
      console.log(`\n${only}\n\n${speedTable(rows, theirs.name)}`);
    }
  } finally {
    for (const tunnel of tunnels) await tunnel.close();
  }
}

function subject(name: string, { program, args }: SideProgram, tunnels: Listening[]): Subject {
  return {
    name,
    async start(upstreams, directory) {
      const home = join(directory, name.replaceAll(/\W+/g, "-"));
      await mkdir(home, { recursive: true });
      const port = await freePort();
      const config = await configFor(upstreams, port, home, tunnels);
      const [script = "", ...rest] = args;
      const process = new MeasuredProcess(script, rest, {
        program,
        logFile: join(home, "log"),
        cwd: home,
        env: {
          SYGNAL_CONF: config,
          SSL_CERT_FILE: upstreams.ca,
          REQUESTS_CA_BUNDLE: upstreams.ca,
          NODE_EXTRA_CA_CERTS: upstreams.ca,
        },
      });
      await answering(port, process.child);
      return { name, url: `http://127.0.0.1:${port}/_matrix/push/v1/notify`, process, hasProbe: false };
    },
  };
}

/** The benchmark's own configuration as Sygnal can read it: the upstreams by their real names, through a proxy. */
async function configFor(
  { apns, fcm, config: file }: UpstreamAddresses,
  port: number,
  home: string,
  tunnels: Listening[],
): Promise<string> {
  const base = parse(readFileSync(file, "utf8"), { version: "1.1" });
  const apps = Object.entries<Record<string, unknown>>(base.apps)
    .filter(([, { type }]) => type === "apns" || type === "gcm")
    .map(
      ([key, { endpoint: _endpoint, sandbox_endpoint: _sandbox, ca_file: _ca, ...app }]) =>
        [key, app] as const,
    );
  const account = apps.map(([, app]) => app["service_account_file"]).find((path) => typeof path === "string");
  const tokenUri = new URL(JSON.parse(readFileSync(String(account), "utf8")).token_uri as string);
  const tunnel = await startTunnel({
    "api.push.apple.com:443": Number(new URL(apns).port),
    "fcm.googleapis.com:443": Number(new URL(fcm).port),
    [tokenUri.host]: Number(tokenUri.port),
  });
  tunnels.push(tunnel);
  const config = {
    http: { port, bind_addresses: ["127.0.0.1"] },
    log: LOG,
    proxy: `http://127.0.0.1:${tunnel.port}`,
    apps: Object.fromEntries(apps),
    // Sygnal warns of these and goes on.
    admin: { enabled: false },
    store: { url: `sqlite:${join(home, "signalbox.db")}` },
  };
  const path = join(home, "sygnal.yaml");
  await writeFile(path, stringify(config, { lineWidth: 0, version: "1.1" }), { mode: 0o600 });
  return path;
}
