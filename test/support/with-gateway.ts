import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { stringify } from "yaml";
import { systemClock, type Clock } from "../../src/clock.ts";
import { loadConfig, type Loaded } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { Gateway } from "../../src/gateway.ts";
import { createLog } from "../../src/log/create-log.ts";
import { pushkinTypes } from "../../src/pushkins/index.ts";
import { startSimulators, type Simulators, type SimulatorsOptions } from "../../src/simulator/index.ts";
import { writeWorkspace, type WorkspaceFiles } from "../../src/simulator/workspace.ts";
import { createHttpClient, type HttpResult } from "../../src/upstream/http-client.ts";
import { upstreamOfTests } from "./http2-client.ts";

/** The apps of every gateway started here. */
export const IOS = "com.example.ios";
export const ANDROID = "com.example.android";

/** What to start. */
export interface GatewaySetUp {
  readonly simulators?: SimulatorsOptions;
  /** Sections of the configuration, merged over the defaults for tests. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Options of the two apps, merged over those that reach the simulators. */
  readonly ios?: Readonly<Record<string, unknown>>;
  readonly android?: Readonly<Record<string, unknown>>;
  /** More apps; `base` has the options that reach the simulators. */
  readonly apps?: (base: { ios: object; android: object }, files: WorkspaceFiles) => Record<string, unknown>;
  readonly clock?: Clock;
  /** A database to go on with. */
  readonly storeFile?: string;
}

/** The configuration's file as an object. */
export type TestConfig = Readonly<Record<string, unknown>> & {
  readonly apps: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};

/** A whole gateway in this process, with simulated upstreams. */
export interface RunningGateway {
  readonly url: string;
  readonly metricsUrl: string;
  /** The admin listener; off unless the set-up's `config.admin` wants it. */
  readonly adminUrl: string;
  readonly simulators: Simulators;
  readonly gateway: Gateway;
  /** Every line that was logged. */
  readonly logLines: readonly string[];
  readonly storeFile: string;
  /** The directory with the configuration and the simulators' credentials. */
  readonly directory: string;
  /** Writes the configuration's file anew, changed; for a reload. A string is written as it is. */
  rewrite(change: (config: TestConfig) => object | string): Promise<void>;
  /** Sends `{"notification": …}` and gives the status and the parsed body. */
  notify(notification: unknown): Promise<{ status: number; body: unknown; headers: Record<string, unknown> }>;
  metrics(): Promise<string>;
  /** The value of one series, 0 when it is not there. */
  metric(series: string): Promise<number>;
  /** Requests to APNs and FCM so far, OAuth left out. */
  asked(): number;
  stop(): Promise<void>;
}

/** A canary run reads the spans of every gateway. */
function tracingOfCanaries(): object {
  const endpoint = process.env["SIGNALBOX_CANARIES_TRACES"];
  return endpoint === undefined ? {} : { tracing: { endpoint } };
}

/** Starts simulators and a gateway that uses them; everything on loopback, any free port. */
export async function startGateway(setUp: GatewaySetUp = {}): Promise<RunningGateway> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-test-"));
  const simulators = await startSimulators(setUp.simulators ?? {});
  const files = await writeWorkspace(simulators, directory);
  const { apnsKey, projectId } = simulators.credentials;
  const storeFile = setUp.storeFile ?? join(directory, "signalbox.db");
  const ios = {
    type: "apns",
    keyfile: files.apnsKey,
    key_id: apnsKey.keyId,
    team_id: apnsKey.teamId,
    topic: "com.example.app",
    endpoint: simulators.apns.url,
    ca_file: files.ca,
    ...setUp.ios,
  };
  const android = {
    type: "gcm",
    api_version: "v1",
    project_id: projectId,
    service_account_file: files.serviceAccount,
    endpoint: simulators.fcm.url,
    ca_file: files.ca,
    ...setUp.android,
  };
  const path = join(directory, "test.yaml");
  const yaml = {
    http: { port: 0 },
    admin: { enabled: false },
    metrics: { prometheus: { enabled: true, port: 0 } },
    store: { url: `sqlite:${storeFile}` },
    ...upstreamOfTests(),
    ...tracingOfCanaries(),
    ...setUp.config,
    apps: { [IOS]: ios, [ANDROID]: android, ...setUp.apps?.({ ios, android }, files) },
  };
  const write = (content: object | string): Promise<void> =>
    writeFile(
      path,
      typeof content === "string" ? content : stringify(content, { lineWidth: 0, version: "1.1" }),
      {
        mode: 0o600,
      },
    );
  await write(yaml);
  const load = (): Promise<Loaded> => loadConfig({ path, env: {}, pushkinTypes });
  const loaded = await load();
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  const logLines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      logLines.push(
        ...String(chunk)
          .split("\n")
          .filter((line) => line !== ""),
      );
      done();
    },
  });
  const log = createLog({ level: "debug", destinations: [{ to: { stream } }] });
  const free = async (): Promise<void> => {
    await simulators.stop();
    await log.close();
    await rm(directory, { recursive: true, force: true });
  };
  const gateway = await Gateway.create({
    config: loaded.config,
    clock: setUp.clock ?? systemClock,
    log,
    load,
    onFatal: (what) => logLines.push(`FATAL ${what}`),
  });
  const {
    http: bound,
    metricsPort,
    adminPort,
  } = await gateway.start().catch(async (error: unknown) => {
    await free();
    throw error;
  });
  const url = `http://127.0.0.1:${bound[0]?.port ?? 0}/_matrix/push/v1/notify`;
  const metricsUrl = `http://127.0.0.1:${metricsPort ?? 0}/metrics`;
  const http = createHttpClient({});
  const answered = (result: HttpResult) => {
    if (result.kind === "failed") throw new Error(`no answer: ${JSON.stringify(result.failure)}`);
    return result;
  };
  const metrics = async (): Promise<string> => (await fetch(metricsUrl)).text();
  return {
    url,
    metricsUrl,
    adminUrl: `http://127.0.0.1:${adminPort ?? 0}`,
    simulators,
    gateway,
    logLines,
    storeFile,
    directory,
    rewrite: (change) => write(change(yaml)),
    async notify(notification) {
      const result = answered(await http({ method: "POST", url, body: JSON.stringify({ notification }) }));
      return { status: result.status, body: JSON.parse(result.body), headers: result.headers };
    },
    metrics,
    async metric(series) {
      const line = (await metrics()).split("\n").find((each) => each.startsWith(`${series} `));
      return line === undefined ? 0 : Number(line.slice(series.length + 1));
    },
    asked: () => simulators.recorder.requests.filter(({ upstream }) => upstream !== "oauth").length,
    async stop() {
      await gateway.stop({ drainMs: 0 });
      await free();
    },
  };
}

/** A device token's pushkey in base64: 32 bytes that begin with the given hex digits. */
export function iosPushkey(hexPrefix: string, fill = "11"): string {
  return Buffer.from(hexPrefix.padEnd(64, fill), "hex").toString("base64");
}

/** A message for these devices, a new event each time unless told otherwise. */
export function message(
  devices: readonly object[],
  overrides: Readonly<Record<string, unknown>> = {},
): object {
  return {
    event_id: `$${crypto.randomUUID()}`,
    room_id: "!room:example.org",
    type: "m.room.message",
    sender: "@major:example.org",
    sender_display_name: "Major Tom",
    room_name: "Mission Control",
    prio: "high",
    content: { msgtype: "m.text", body: "hello" },
    counts: { unread: 2 },
    devices,
    ...overrides,
  };
}
