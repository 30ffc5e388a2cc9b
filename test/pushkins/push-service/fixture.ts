import { createECDH } from "node:crypto";
import type { Clock } from "../../../src/clock.ts";
import { loadConfig } from "../../../src/config/load.ts";
import type { Outcome } from "../../../src/core/outcome.ts";
import {
  Shared,
  type Attempt,
  type Message,
  type Outbound,
  type Pushkin,
  type PushkinDeps,
} from "../../../src/core/pushkin.ts";
import type { MatrixContent, Push } from "../../../src/core/push.ts";
import type { JsonObject } from "../../../src/json.ts";
import { silentLog } from "../../../src/log.ts";
import { unifiedpush } from "../../../src/pushkins/unifiedpush/index.ts";
import { webpush } from "../../../src/pushkins/webpush/index.ts";
import { createCredentials, type Credentials } from "../../../src/simulator/credentials.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import {
  UnifiedPushSimulator,
  type SimulatedEndpoint,
  type UnifiedPushSimulatorOptions,
} from "../../../src/simulator/unifiedpush.ts";
import {
  WebPushSimulator,
  type SimulatedSubscription,
  type WebPushSimulatorOptions,
} from "../../../src/simulator/webpush.ts";
import { createCredentials as createFiles } from "../../support/credentials.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";
import { matrixContent, push } from "../../support/builders.ts";

/** Never aborts. */
export const patient = new AbortController().signal;

/** The simulators listen there, which is not public. */
export const LOOPBACK = "127.0.0.0/8";

const DAY_MS = 24 * 60 * 60 * 1_000;
let made: Credentials | undefined;

/** Keys and certificates, made once a test file. */
export function simulatorCredentials(): Credentials {
  made ??= createCredentials();
  return made;
}

/** A VAPID key pair: base64url of 32 and of 65 bytes. */
export function vapidKeyPair(): { readonly privateKey: string; readonly publicKey: string } {
  const ecdh = createECDH("prime256v1");
  const publicKey = ecdh.generateKeys().toString("base64url");
  // One private key in 256 is a byte shorter.
  const scalar = ecdh.getPrivateKey();
  const privateKey = Buffer.concat([Buffer.alloc(32 - scalar.length), scalar]).toString("base64url");
  return { privateKey, publicKey };
}

/** What of the usual set-up is different. */
export interface RigOptions<S> {
  readonly config?: Record<string, unknown>;
  readonly simulator?: Partial<S>;
  readonly outbound?: Partial<Outbound>;
  readonly proxy?: URL;
  /** HTTP/2 towards the service, by that client. */
  readonly http2?: "node" | "lean";
  /** The gateway's clock, where it must not be the simulator's. */
  readonly clock?: Clock;
}

/** A pushkin as the gateway makes it, before a running simulator. */
export interface Rig<Simulator> {
  readonly pushkin: Pushkin;
  readonly simulator: Simulator;
  readonly clock: FakeClock;
  readonly vapid: { readonly privateKey: string; readonly publicKey: string };
  /** The service's answer to every push from now on; undefined = the usual one. */
  readonly answerWith: (answer: Answer | undefined) => void;
  /** Pushes that arrived. */
  readonly requests: () => number;
  readonly message: (push: Push) => Message;
  readonly send: (push: Push, signal?: AbortSignal) => Promise<Attempt>;
  readonly outcome: (push: Push) => Promise<Outcome>;
  readonly stop: () => Promise<void>;
}

interface AnySimulator {
  readonly url: string;
  readonly script: WebPushSimulator["script"];
  readonly recorder: WebPushSimulator["recorder"];
  stop(): Promise<void>;
}

async function startRig<S extends AnySimulator, O>(
  type: "webpush" | "unifiedpush",
  start: (options: { credentials: Credentials; clock: Clock }) => Promise<S>,
  options: RigOptions<O>,
): Promise<Rig<S>> {
  const credentials = simulatorCredentials();
  // The signing library looks at the machine's time, so the fake one must be near it.
  const clock = createFakeClock(Date.now());
  const simulator = await start({ credentials, clock, ...options.simulator });
  const files = createFiles();
  const vapid = vapidKeyPair();
  const app = {
    type,
    ...(type === "webpush"
      ? {
          vapid_private_key: files.write("vapid.key", `${vapid.privateKey}\n`),
          vapid_contact_email: "ops@example.com",
        }
      : {}),
    ca_file: files.write("ca.pem", credentials.caPem),
    ...options.config,
  };
  const path = files.write("sygnal.yaml", `apps: {"com.example.app": ${JSON.stringify(app)}}`);
  const loaded = await loadConfig({ path, env: {}, pushkinTypes: [webpush, unifiedpush] });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const settings = loaded.config.apps.get("com.example.app");
  const deps: PushkinDeps = {
    clock: options.clock ?? clock,
    log: silentLog,
    shared: new Shared(),
    outbound: { allow_addresses: [LOOPBACK], allow_ports: [443], allow_http: false, ...options.outbound },
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    ...(options.http2 === undefined ? {} : { http2ToPushServices: true, http2Client: options.http2 }),
  };
  const pushkin = await (type === "webpush" ? webpush : unifiedpush).create(
    "com.example.app",
    settings?.options as never,
    deps,
  );
  let rule: number | undefined;
  const message = (each: Push): Message => {
    const rendered = pushkin.render(each);
    if (!("body" in rendered)) throw new Error(`not rendered: ${JSON.stringify(rendered)}`);
    return rendered;
  };
  const send = (each: Push, signal = patient): Promise<Attempt> =>
    pushkin.attempt(message(each), { push: each, signal });
  return {
    pushkin,
    simulator,
    clock,
    vapid,
    answerWith(answer) {
      if (rule !== undefined) simulator.script.remove(rule);
      rule = answer === undefined ? undefined : simulator.script.add({ answer })[0];
    },
    requests: () => simulator.recorder.counts.requests,
    message,
    send,
    outcome: async (each) => (await send(each)).outcome,
    async stop() {
      await pushkin.close(AbortSignal.abort());
      await simulator.stop();
      files.remove();
    },
  };
}

export const startWebPush = (
  options: RigOptions<WebPushSimulatorOptions> = {},
): Promise<Rig<WebPushSimulator>> => startRig("webpush", (shared) => WebPushSimulator.start(shared), options);

export const startUnifiedPush = (
  options: RigOptions<UnifiedPushSimulatorOptions> = {},
): Promise<Rig<UnifiedPushSimulator>> =>
  startRig("unifiedpush", (shared) => UnifiedPushSimulator.start(shared), options);

/** A push for a subscription, in Sygnal's style: the pushkey is the key, the rest is in `data`. */
export function pushTo(
  { endpoint, keys }: Pick<SimulatedSubscription, "endpoint" | "keys">,
  overrides: Partial<Push> & { readonly content?: MatrixContent } = {},
  data: JsonObject = {},
): Push {
  const content = overrides.content ?? matrixContent();
  const nowMs = Date.now();
  return push({
    receivedAtMs: nowMs,
    expiresAtMs: nowMs + DAY_MS,
    pushkey: keys.p256dh,
    ...overrides,
    content: { ...content, data: { ...content.data, endpoint, auth: keys.auth, ...data } },
  });
}

/** A push for a UnifiedPush endpoint. */
export function pushToEndpoint(
  { endpoint, keys }: Pick<SimulatedEndpoint, "endpoint" | "keys">,
  overrides: Partial<Push> & { readonly content?: MatrixContent } = {},
): Push {
  const content = overrides.content ?? matrixContent();
  const nowMs = Date.now();
  return push({
    receivedAtMs: nowMs,
    expiresAtMs: nowMs + DAY_MS,
    pushkey: endpoint,
    ...overrides,
    content: { ...content, data: { ...content.data, ...keys } },
  });
}
