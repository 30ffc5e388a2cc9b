import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { stringify } from "yaml";
import { systemClock } from "../clock.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { Gateway } from "../gateway.ts";
import type { JsonObject } from "../json.ts";
import { createLog } from "../log/create-log.ts";
import { pushkinTypes } from "../pushkins/index.ts";
import { startSimulators, type Simulators } from "../simulator/index.ts";
import { writeWorkspace } from "../simulator/workspace.ts";
import { createHttpClient } from "../upstream/http-client.ts";
import { DEAD_PUSHKEY, demoRequests, type DemoRequest } from "./demo/requests.ts";
import { recordedBodies } from "./demo/recorded.ts";
import { BACK_END_APP, CALLS_APP, otherDoorRequests, otherDoors, SOFTPHONE_APP } from "./demo/other-doors.ts";
import { phoneScreen } from "./demo/phone-screen.ts";

/** The apps of the examples, and which upstream each uses. */
const IOS_APPS = ["org.harbour.chat.ios.prod", "io.example.elementish.ios.*"];
const ANDROID_APPS = [
  "org.harbour.chat.android",
  "im.vector.app.android",
  "chat.fluffy.fluffychat.*",
  "com.example.sealed",
];
const WEB_APP = "org.harbour.web";
const UNIFIEDPUSH_APP = "org.harbour.unifiedpush";

/** `signalbox demo`: simulated phones, a gateway, and a homeserver's notifications, in one process. */
export function demoCommand(): Command {
  return new Command("demo")
    .description("push example notifications through a gateway to simulated phones; needs no accounts")
    .option("--keep", "keep gateway and simulators running afterwards, until Ctrl-C")
    .action((flags: { keep?: true }) => demo(flags.keep === true));
}

const print = (line = ""): void => void process.stdout.write(`${line}\n`);

async function demo(keep: boolean): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "signalbox-demo-"));
  const simulators = await startSimulators({ tokenPrefixes: true });
  const log = createLog({ level: "error" });
  let gateway: Gateway | undefined;
  try {
    simulators.script.add({
      upstream: "apns",
      token: Buffer.from(DEAD_PUSHKEY, "base64").toString("hex"),
      answer: { kind: "error", reason: "Unregistered" },
    });
    const config = await demoConfig(simulators, directory);
    gateway = await Gateway.create({
      config,
      clock: systemClock,
      log,
      onFatal: (what) => {
        throw new Error(what);
      },
    });
    const { http } = await gateway.start();
    const url = `http://127.0.0.1:${http[0]?.port ?? 0}/_matrix/push/v1/notify`;
    print(
      "Signalbox demo: simulated push services, a gateway, and what homeserver, PBX and back end would send.",
    );
    print();
    const phones = {
      browser: { appId: WEB_APP, ...simulators.webPush.subscribe() },
      distributor: { appId: UNIFIEDPUSH_APP, ...simulators.unifiedPush.register() },
    };
    const requests = await demoRequests((appId) => isServed(appId), phones);
    let failed = await replay([...requests, ...otherDoorRequests()], url, simulators);
    report(simulators, failed);
    failed += await replayRecorded(await recordedBodies(isServed, phones), url, simulators);
    if (keep) {
      print(`The gateway goes on at ${url}`);
      print("Ctrl-C ends it.");
      await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
    }
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    await gateway?.stop({ drainMs: 0 });
    await simulators.stop();
    await log.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function isServed(appId: string): boolean {
  return [...IOS_APPS, ...ANDROID_APPS, WEB_APP, UNIFIEDPUSH_APP].some((key) =>
    key.endsWith("*") ? appId.startsWith(key.slice(0, -1)) : appId === key,
  );
}

/** A sygnal.yaml as an operator would write it, read by the real loader. */
async function demoConfig(simulators: Simulators, directory: string) {
  const files = await writeWorkspace(simulators, directory);
  const { apnsKey, projectId } = simulators.credentials;
  const ios = {
    type: "apns",
    keyfile: files.apnsKey,
    key_id: apnsKey.keyId,
    team_id: apnsKey.teamId,
    topic: "org.harbour.chat",
    endpoint: simulators.apns.url,
    ca_file: files.ca,
  };
  const android = {
    type: "gcm",
    api_version: "v1",
    project_id: projectId,
    service_account_file: files.serviceAccount,
    endpoint: simulators.fcm.url,
    ca_file: files.ca,
  };
  const web = {
    type: "webpush",
    vapid_private_key: files.vapidKey,
    vapid_contact_email: "operator@example.com",
    ca_file: files.ca,
  };
  const path = join(directory, "demo.yaml");
  const yaml = {
    http: { port: 0 },
    admin: { enabled: false },
    store: { url: `sqlite:${join(directory, "demo.db")}` },
    apps: {
      ...Object.fromEntries(IOS_APPS.map((id) => [id, ios])),
      ...Object.fromEntries(ANDROID_APPS.map((id) => [id, android])),
      [SOFTPHONE_APP]: { ...ios, topic: SOFTPHONE_APP },
      [CALLS_APP]: { ...ios, topic: `${SOFTPHONE_APP}.voip`, push_type: "voip" },
      [BACK_END_APP]: android,
      [WEB_APP]: web,
      [UNIFIEDPUSH_APP]: { type: "unifiedpush", ca_file: files.ca },
    },
    // The simulated push services are on this machine, where no stranger's endpoint may lead otherwise.
    outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] },
    matrix: { unifiedpush_gateway: true },
    ...otherDoors,
  };
  await writeFile(path, stringify(yaml, { lineWidth: 0, version: "1.1" }), { mode: 0o600 });
  const loaded = await loadConfig({ path, env: {}, pushkinTypes });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded.config;
}

/** Sends each request and prints its answer and what it made happen; says how many were not answered with 200. */
async function replay(
  requests: readonly DemoRequest[],
  url: string,
  simulators: Simulators,
): Promise<number> {
  const http = createHttpClient({});
  let failed = 0;
  for (const [index, { title, body, headers, path }] of requests.entries()) {
    const before = simulators.recorder.requests.length;
    const result = await http({
      method: "POST",
      url: path === undefined ? url : new URL(path, url).href,
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const answer = result.kind === "response" ? `${result.status} ${result.body}` : result.failure.class;
    if (result.kind !== "response" || result.status !== 200) failed += 1;
    print(`${String(index + 1).padStart(2)}  ${title}`);
    const sent = simulators.recorder.requests.slice(before).filter(({ upstream }) => upstream !== "oauth");
    for (const request of sent) {
      const seen = request.accepted ? phoneScreen(request) : "refused: this phone has no such app any more";
      print(`      ${phoneName(request.upstream, request.token)}  ${seen}`);
    }
    if (sent.length === 0) print("      (no phone was asked)");
    print(`      answer ${answer}`);
  }
  print();
  return failed;
}

/** Sends what a real homeserver sent, and says in one line what came of it; returns how many were not answered with 200. */
async function replayRecorded(
  bodies: readonly JsonObject[],
  url: string,
  { recorder }: Simulators,
): Promise<number> {
  const http = createHttpClient({});
  const before = recorder.counts.accepted;
  let answered = 0;
  for (const body of bodies) {
    const result = await http({ method: "POST", url, body: JSON.stringify(body) });
    if (result.kind === "response" && result.status === 200) answered += 1;
  }
  const taken = recorder.counts.accepted - before;
  print(
    `Recorded of a real homeserver: ${bodies.length} requests, ${answered} answered with 200, ${taken} pushes on phones.`,
  );
  print();
  return bodies.length - answered;
}

function report(simulators: Simulators, failed: number): void {
  const phones = new Map<string, string[]>();
  for (const request of simulators.recorder.requests) {
    if (request.upstream === "oauth") continue;
    const name = phoneName(request.upstream, request.token);
    const seen = phones.get(name) ?? [];
    if (request.accepted) seen.push(phoneScreen(request));
    phones.set(name, seen);
  }
  print("Phone              pushes  last on its screen");
  for (const [name, seen] of phones) {
    print(
      `${name}  ${String(seen.length).padStart(6)}  ${seen.at(-1) ?? "nothing: its token is dead, and remembered as such"}`,
    );
  }
  print();
  if (failed > 0) print(`${failed} requests were not answered with 200.`);
}

const DEVICES: Readonly<Record<string, string>> = {
  apns: "iPhone ",
  fcm: "Android",
  webpush: "Browser",
  unifiedpush: "UniPush",
};

function phoneName(upstream: string, token: string | undefined): string {
  return `${DEVICES[upstream] ?? upstream} ${(token ?? "").slice(0, 8).padEnd(8)}…`;
}
