import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { compiledBefore } from "../../support/compile-cache.ts";
import { upstreamOfTests } from "../../support/http2-client.ts";
import { threadsOfTests } from "../../support/threads-of-tests.ts";
import { freePort } from "../../support/free-port.ts";
import { ANDROID, IOS } from "../../support/with-gateway.ts";
import type { Upstreams } from "./upstreams.ts";

const bin = fileURLToPath(new URL("../../../bin/signalbox.js", import.meta.url));

/** On an idle machine a start takes less than a second; on one whose cores many share it has taken twenty. */
const START_LIMIT_MS = 60_000;

/** A gateway in a process of its own, which can be ended and started again on the same ports and store. */
export interface GatewayProcess {
  readonly url: string;
  readonly metricsUrl: string;
  readonly port: number;
  /** The process that runs now. */
  readonly child: ChildProcess;
  /** All that this process has printed. */
  output(): string;
  /** Starts it; resolves once it listens, with how long that took since exec. */
  start(): Promise<number>;
  /** Starts it and does not wait; resolves with the moment of exec. */
  exec(): number;
  /** `kill -9`, and its end. */
  kill(): Promise<void>;
  /** A signal, and how it ended: exit code or signal. */
  end(signal: NodeJS.Signals): Promise<number | string>;
  ended(): Promise<number | string>;
  scrape(): Promise<string>;
}

/** What a gateway process is started with. */
export interface GatewayProcessOptions {
  readonly directory: string;
  readonly upstreams: Pick<Upstreams, "apns" | "fcm" | "keyId" | "teamId" | "projectId" | "files">;
  /** Sections over those for tests. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly storeUrl?: string;
  readonly ios?: Readonly<Record<string, unknown>>;
  readonly android?: Readonly<Record<string, unknown>>;
  readonly apps?: (base: { ios: object; android: object }) => Record<string, unknown>;
  /** Before `node`, such as strace or prlimit with their options. */
  readonly wrapper?: readonly string[];
  readonly nodeOptions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: read by us. */
  readonly stdio?: "pipe" | "unread";
  readonly name?: string;
}

/** Writes the configuration; nothing runs yet. */
export async function createGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const { directory, upstreams, name = "gateway" } = options;
  const [port, metricsPort] = [await freePort(), await freePort()];
  const { files } = upstreams;
  const ios = {
    type: "apns",
    keyfile: files.apnsKey,
    key_id: upstreams.keyId,
    team_id: upstreams.teamId,
    topic: "com.example.app",
    endpoint: upstreams.apns,
    ca_file: files.ca,
    ...options.ios,
  };
  const android = {
    type: "gcm",
    api_version: "v1",
    project_id: upstreams.projectId,
    service_account_file: files.serviceAccount,
    endpoint: upstreams.fcm,
    ca_file: files.ca,
    ...options.android,
  };
  const path = join(directory, `${name}.yaml`);
  const yaml = {
    http: { port },
    admin: { enabled: false },
    metrics: { prometheus: { enabled: true, port: metricsPort } },
    store: { url: options.storeUrl ?? `sqlite:${join(directory, `${name}.db`)}` },
    ...upstreamOfTests(),
    ...threadsOfTests(),
    ...options.config,
    apps: { [IOS]: ios, [ANDROID]: android, ...options.apps?.({ ios, android }) },
  };
  await writeFile(path, stringify(yaml, { lineWidth: 0, version: "1.1" }), { mode: 0o600 });
  const [program = process.execPath, ...before] = options.wrapper ?? [];
  const node = options.wrapper === undefined ? [] : [process.execPath];
  const args = [...before, ...node, ...(options.nodeOptions ?? []), bin, "serve", "--config", path];
  let child: ChildProcess | undefined;
  let output = "";
  let exit: Promise<number | string> = Promise.resolve(0);
  const gateway: GatewayProcess = {
    port,
    url: `http://127.0.0.1:${port}/_matrix/push/v1/notify`,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    get child() {
      if (child === undefined) throw new Error("the gateway was never started");
      return child;
    },
    output: () => output,
    exec() {
      output = "";
      const started = spawn(program, args, {
        cwd: directory,
        env: { PATH: process.env["PATH"], ...compiledBefore, ...options.env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      child = started;
      started.on("error", () => {});
      if (options.stdio !== "unread") {
        for (const stream of [started.stdout, started.stderr]) {
          // Only the end is looked at, and a long run says much.
          stream.on("data", (chunk) => (output = (output + String(chunk)).slice(-200_000)));
        }
      }
      exit = once(started, "exit").then(
        ([code, signal]: unknown[]) => (code ?? signal ?? "unknown") as number | string,
      );
      return performance.now();
    },
    async start() {
      const startedMs = gateway.exec();
      let over: number | string | undefined;
      void exit.then((how) => (over = how));
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
        if (answer?.status === 200) return performance.now() - startedMs;
        if (over !== undefined) throw new Error(`the gateway ended with ${over}:\n${output}`);
        if (performance.now() - startedMs > START_LIMIT_MS)
          throw new Error(`the gateway did not start:\n${output}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async kill() {
      child?.kill("SIGKILL");
      await exit;
    },
    async end(signal) {
      child?.kill(signal);
      return exit;
    },
    ended: () => exit,
    async scrape() {
      return (await fetch(gateway.metricsUrl, { signal: AbortSignal.timeout(5_000) })).text();
    },
  };
  return gateway;
}

/** The value of one series of a scrape, 0 when it is not there. */
export function seriesOf(scrape: string, series: string): number {
  const line = scrape.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
