import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "../../../src/json.ts";
import type { RecordedRequest } from "../../../src/simulator/recorder.ts";
import { freePort } from "../../support/free-port.ts";
import { comparedHeaders, type Case, type Observed, type Sent } from "./case.ts";
import { rawRequest } from "./raw-request.ts";
import type { Scene } from "./scene.ts";

/** A gateway that runs with the scene's configuration. */
export interface RunningSide {
  readonly port: number;
  readonly pid: number;
  ask(request: Case): Promise<Observed>;
  stop(): Promise<void>;
}

/** What to run: a program that reads `SYGNAL_CONF` and takes no arguments, as Sygnal does and Signalbox can. */
export interface SideProgram {
  readonly program: string;
  readonly args: readonly string[];
}

const bin = fileURLToPath(new URL("../../../bin/signalbox.js", import.meta.url));

/** Ours. */
export const signalbox: SideProgram = { program: process.execPath, args: [bin, "serve"] };

/** Sygnal's documented way to be started, in a Python that has it. */
export const sygnal = (python: string): SideProgram => ({ program: python, args: ["-m", "sygnal.sygnal"] });

/** Starts a gateway in a folder of its own and waits until it answers. */
export async function startSide(
  { program, args }: SideProgram,
  scene: Scene,
  directory: string,
): Promise<RunningSide> {
  const port = await freePort();
  const config = await scene.configFor(port, directory);
  const log = openSync(join(dirname(config), "log"), "a");
  const child = spawn(program, args, {
    cwd: directory,
    // Each runtime's own way to trust the simulators' authority.
    env: {
      PATH: process.env["PATH"],
      SYGNAL_CONF: config,
      SSL_CERT_FILE: scene.caFile,
      REQUESTS_CA_BUNDLE: scene.caFile,
      NODE_EXTRA_CA_CERTS: scene.caFile,
    },
    stdio: ["ignore", log, log],
  });
  await answering(port, child);
  return {
    port,
    pid: child.pid ?? 0,
    ask: (request) => observe(scene, port, request),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Waits until a gateway answers; rejects when it has ended, or after a minute. */
export async function answering(port: number, child: Pick<ChildProcess, "exitCode">): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (answer?.status === 200) return;
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`);
    if (performance.now() - startedMs > 60_000) throw new Error("the gateway did not start");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function observe({ simulators }: Scene, port: number, { wire, rules = [] }: Case): Promise<Observed> {
  const { recorder, script } = simulators;
  // They stay: what a gateway tries again later is answered the same.
  script.add(...rules);
  const seen: RecordedRequest[] = [];
  const stop = recorder.listen((request) => void (request.upstream !== "oauth" && seen.push(request)));
  const answer = await rawRequest(port, wire);
  // Whoever hung up does not learn when the gateway is done.
  if (wire.sender === "hangs-up") await settle(() => seen.length > 0);
  stop();
  return { answer, sent: seen.filter(({ accepted }) => accepted).flatMap(sentOf) };
}

async function settle(isDone: () => boolean): Promise<void> {
  for (let n = 0; n < 100 && !isDone(); n += 1) await new Promise((resolve) => setTimeout(resolve, 20));
}

function sentOf({ upstream, token, headers, payload }: RecordedRequest): readonly Sent[] {
  if (upstream !== "apns" && upstream !== "fcm" && upstream !== "webpush") return [];
  const kept = comparedHeaders[upstream].flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return [
    {
      upstream,
      token: token ?? "",
      headers: Object.fromEntries(kept),
      payload: payload ?? (null as JsonValue),
    },
  ];
}
