import { loadConfig } from "../../../src/config/load.ts";
import { Shared, type Attempt, type Message, type Pushkin } from "../../../src/core/pushkin.ts";
import type { Outcome } from "../../../src/core/outcome.ts";
import type { Push } from "../../../src/core/push.ts";
import { parseNotify, type MatrixPush } from "../../../src/doors/matrix/parse.ts";
import type { Clock } from "../../../src/clock.ts";
import { HttpError } from "../../../src/http/errors.ts";
import type { JsonObject } from "../../../src/json.ts";
import { silentLog } from "../../../src/log.ts";
import { fcm } from "../../../src/pushkins/fcm/index.ts";
import { createCredentials, type Credentials } from "../../../src/simulator/credentials.ts";
import { FcmSimulator, type FcmSimulatorOptions } from "../../../src/simulator/fcm.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import { createCredentials as createFiles } from "../../support/credentials.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";
import { push } from "../../support/builders.ts";
import { http2ClientOfTests } from "../../support/http2-client.ts";

/** Never aborts. */
export const patient = new AbortController().signal;

const DAY_MS = 24 * 60 * 60 * 1000;
let made: Credentials | undefined;

/** What the simulators and the gateway share; made once a test file, RSA keys take their time. */
export function simulatorCredentials(): Credentials {
  made ??= createCredentials({ projectId: "demo-project" });
  return made;
}

/** An FCM pushkin as the gateway makes it, before a running simulator. */
export interface FcmRig {
  readonly pushkin: Pushkin;
  readonly simulator: FcmSimulator;
  readonly clock: FakeClock;
  /** The upstream's answer to every push from now on; undefined = the usual one. */
  answerWith(answer: Answer | undefined): void;
  /** Pushes that arrived. */
  requests(): number;
  message(push: Push): Message;
  /** Renders and tries once. */
  send(push?: Push, signal?: AbortSignal): Promise<Attempt>;
  outcome(push?: Push): Promise<Outcome>;
  /** The last message that the simulator took. */
  lastMessage(): JsonObject;
  /** Another app of the same gateway. */
  another(config?: Record<string, unknown>): Promise<Pushkin>;
  stop(): Promise<void>;
}

/** What of the usual set-up is different. */
export interface FcmRigOptions {
  readonly config?: Record<string, unknown>;
  readonly simulator?: Partial<FcmSimulatorOptions>;
  /** For the credentials file. */
  readonly account?: Record<string, unknown>;
  readonly proxy?: URL;
  /** The gateway's clock, where it must not be the simulator's. */
  readonly clock?: Clock;
  /** Milliseconds that the fake clock is off the machine's. */
  readonly clockOffMs?: number;
}

/** Starts the simulator and makes the pushkin, through the real configuration. */
export async function startFcm(options: FcmRigOptions = {}): Promise<FcmRig> {
  const credentials = simulatorCredentials();
  // Assertions carry the machine's time, so the simulator's must be near it.
  const clock = createFakeClock(Date.now() + (options.clockOffMs ?? 0));
  const simulator = await FcmSimulator.start({ credentials, clock, ...options.simulator });
  const files = createFiles();
  const shared = new Shared();
  const deps = {
    clock: options.clock ?? clock,
    log: silentLog,
    shared,
    ...http2ClientOfTests(),
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
  };
  const pushkins: Pushkin[] = [];
  const account = { ...credentials.serviceAccount(simulator.tokenUri), ...options.account };
  const accountFile = files.write("account.json", JSON.stringify(account));
  const create = async (config: Record<string, unknown> = {}): Promise<Pushkin> => {
    const app = {
      type: "gcm",
      api_version: "v1",
      project_id: "demo-project",
      service_account_file: accountFile,
      endpoint: simulator.url,
      ca_file: files.write("ca.pem", credentials.caPem),
      ...options.config,
      ...config,
    };
    const path = files.write("sygnal.yaml", `apps: {"com.example.app": ${JSON.stringify(app)}}`);
    const loaded = await loadConfig({ path, env: {}, pushkinTypes: [fcm] });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const settings = loaded.config.apps.get("com.example.app")?.options;
    const pushkin = await fcm.create("com.example.app", settings as never, deps);
    pushkins.push(pushkin);
    return pushkin;
  };
  const pushkin = await create();
  let answerRule: number | undefined;
  const message = (each: Push): Message => {
    const rendered = pushkin.render(each);
    if (!("body" in rendered)) throw new Error(`not rendered: ${JSON.stringify(rendered)}`);
    return rendered;
  };
  const freshPush = (): Push => push({ receivedAtMs: clock.now(), expiresAtMs: deps.clock.now() + DAY_MS });
  const send = (each = freshPush(), signal = patient): Promise<Attempt> =>
    pushkin.attempt(message(each), { push: each, signal });
  return {
    pushkin,
    simulator,
    clock,
    answerWith(answer) {
      if (answerRule !== undefined) simulator.script.remove(answerRule);
      answerRule = answer === undefined ? undefined : simulator.script.add({ upstream: "fcm", answer })[0];
    },
    requests: () => simulator.recorder.requests.filter(({ upstream }) => upstream === "fcm").length,
    message,
    send,
    outcome: async (each) => (await send(each)).outcome,
    lastMessage() {
      const payload = simulator.recorder.accepted.at(-1)?.payload as { message: JsonObject } | undefined;
      if (payload === undefined) throw new Error("nothing was taken");
      return payload.message;
    },
    another: create,
    async stop() {
      await Promise.all(pushkins.map((each) => each.close(AbortSignal.abort())));
      await simulator.stop();
      files.remove();
    },
  };
}

/** The push that the Matrix door makes of a notification for one device. */
export function pushOf(
  notification: JsonObject,
  device: JsonObject = {},
  receivedAtMs: number = Date.now(),
): Push {
  const [first] = pushesOf({ ...notification, devices: [{ ...DEVICE, ...device }] }, receivedAtMs);
  if (first === undefined) throw new Error("no push");
  return first;
}

/** The pushes that the Matrix door makes of a notification with its devices. */
export function pushesOf(notification: JsonObject, receivedAtMs: number = Date.now()): readonly MatrixPush[] {
  const parsed = parseNotify(
    { notification },
    {
      limits: { maxBodyBytes: 1 << 20, maxDepth: 50, maxDevices: 100 },
      lifetimesMs: { message: DAY_MS, call: 30_000, badge: 3_600_000 },
      receivedAtMs,
      needsCleaning: JSON.stringify(notification).includes("\\u"),
    },
  );
  if (parsed instanceof HttpError) throw parsed;
  return parsed.pushes;
}

const DEVICE = { app_id: "com.example.app", pushkey: "spqr" } as const;

/** Sygnal-compat 20's base notification. */
export const N: JsonObject = {
  room_id: "!r:e",
  event_id: "$e",
  type: "m.room.message",
  sender: "@s:e",
  sender_display_name: "Major Tom",
  room_name: "Mission Control",
  room_alias: "#a:e",
  prio: "high",
  content: { msgtype: "m.text", body: "hello", other: 1 },
  counts: { unread: 2, missed_calls: 1 },
};
/** … its minimal form … */
export const E: JsonObject = { room_id: "!r:e", event_id: "$e", counts: { unread: 2 } };
/** … and its badge update. */
export const B: JsonObject = { id: "", type: null, sender: "", counts: { unread: 2 } };
