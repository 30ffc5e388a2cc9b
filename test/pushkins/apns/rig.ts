import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as realDelay } from "node:timers/promises";
import type { Outcome } from "../../../src/core/outcome.ts";
import { Shared, type Attempt, type Message, type Pushkin } from "../../../src/core/pushkin.ts";
import type { Push } from "../../../src/core/push.ts";
import { silentLog } from "../../../src/log.ts";
import { apns } from "../../../src/pushkins/apns/index.ts";
import { ApnsSimulator, type ApnsSimulatorOptions } from "../../../src/simulator/apns.ts";
import { createCredentials, type Credentials } from "../../../src/simulator/credentials.ts";
import type { RecordedRequest } from "../../../src/simulator/recorder.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import type { PushkinRig } from "../../contract/pushkin.contract.ts";
import { push as buildPush } from "../../support/builders.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";
import { http2ClientOfTests } from "../../support/http2-client.ts";

/** The device token of every push here that names no other, and its pushkey. */
export const TOKEN = "a1".repeat(32);
export const PUSHKEY = Buffer.from(TOKEN, "hex").toString("base64");
export const TOPIC = "com.example.app";

/** Made once a process: keys take their time. */
let made: Credentials | undefined;
/** The credentials that the simulators here know. */
export function credentials(): Credentials {
  made ??= createCredentials();
  return made;
}

/** What to open. */
export interface ApnsRigOptions {
  /** Options of the app, over those that reach the simulator. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly simulator?: Partial<ApnsSimulatorOptions>;
  /** Starts a second simulator and gives its address as `sandbox_endpoint`. */
  readonly sandbox?: boolean;
  /** Certificate instead of a key. */
  readonly certificate?: { readonly topics: readonly string[]; readonly expired?: boolean };
}

/** A pushkin and the simulated APNs that it talks to, both on one clock that stands still. */
export interface ApnsRig extends PushkinRig {
  readonly clock: FakeClock;
  readonly simulator: ApnsSimulator;
  readonly sandbox: ApnsSimulator | undefined;
  readonly shared: Shared;
  /** Another app of the same gateway. */
  another(options: Readonly<Record<string, unknown>>): Promise<Pushkin>;
  /** Renders and attempts a push. */
  send(overrides?: Partial<Push>): Promise<Attempt>;
  /** The outcome of a push that the upstream answers so, every time. */
  outcomeOf(answer: Answer, overrides?: Partial<Push>): Promise<Outcome>;
  /** What arrived at both simulators. */
  arrived(): readonly RecordedRequest[];
}

/** Opens one; `stop()` it afterwards. */
export async function openApns(setUp: ApnsRigOptions = {}): Promise<ApnsRig> {
  const clock = createFakeClock();
  const known = credentials();
  const directory = mkdtempSync(join(tmpdir(), "signalbox-test-"));
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const simulator = await ApnsSimulator.start({ credentials: known, clock, ...setUp.simulator });
  const sandbox =
    setUp.sandbox === true
      ? await ApnsSimulator.start({ credentials: known, clock, environment: "sandbox" })
      : undefined;
  const base = {
    type: "apns",
    platform: "production",
    convert_device_token_to_hex: true,
    token_encoding: "auto",
    send_badge_counts: true,
    collapse: "none",
    inflight_request_limit: 512,
    counts_pushes: true,
    endpoint: simulator.url,
    ...(sandbox === undefined ? {} : { sandbox_endpoint: sandbox.url }),
    ca_file: write("ca.pem", known.caPem),
  };
  const withKey = {
    keyfile: write("key.p8", known.apnsKey.keyPem),
    key_id: known.apnsKey.keyId,
    team_id: known.apnsKey.teamId,
    topic: TOPIC,
  };
  const issued =
    setUp.certificate === undefined
      ? undefined
      : known.issueApnsCertificate({ topics: setUp.certificate.topics, environments: ["production"] });
  const authentication =
    issued === undefined ? withKey : { certfile: write("certificate.pem", issued.certPem + issued.keyPem) };
  const shared = new Shared();
  const opened: Pushkin[] = [];
  const create = async (options: Readonly<Record<string, unknown>>): Promise<Pushkin> => {
    const config = { ...base, ...authentication, ...options };
    const created = await apns.create(TOPIC, config, {
      clock,
      log: silentLog,
      shared,
      ...http2ClientOfTests(),
    });
    opened.push(created);
    return created;
  };
  const pushkin = await create(setUp.options ?? {});
  const push = buildPush({ pushkey: PUSHKEY });
  const arrived = (): readonly RecordedRequest[] => [
    ...simulator.recorder.requests,
    ...(sandbox?.recorder.requests ?? []),
  ];
  const rig: ApnsRig = {
    pushkin,
    push,
    clock,
    simulator,
    sandbox,
    shared,
    another: create,
    arrived,
    passTime: (ms) => clock.advance(ms),
    answerWith(answer) {
      simulator.script.clear();
      if (answer !== undefined) simulator.script.add({ answer });
    },
    requests: () => arrived().length,
    stopUpstream: () => simulator.stop(),
    async stop() {
      await Promise.all(opened.map((each) => each.close(AbortSignal.abort())));
      await Promise.all([simulator.stop(), sandbox?.stop()]);
      rmSync(directory, { recursive: true, force: true });
    },
    send: (overrides = {}) => sendWith(pushkin, buildPush({ pushkey: PUSHKEY, ...overrides })),
    async outcomeOf(answer, overrides) {
      rig.answerWith(answer);
      return (await rig.send(overrides)).outcome;
    },
  };
  return rig;
}

/** Renders and attempts a push; throws when nothing is to be sent. */
export function sendWith(
  pushkin: Pushkin,
  push: Push,
  signal = new AbortController().signal,
): Promise<Attempt> {
  return pushkin.attempt(messageFor(pushkin, push), { push, signal });
}

/** The rendered message; throws when nothing is to be sent. */
export function messageFor(pushkin: Pushkin, push: Push): Message {
  const rendered = pushkin.render(push);
  if (!("body" in rendered)) throw new Error(`not rendered: ${JSON.stringify(rendered)}`);
  return rendered;
}

/** Waits for what real sockets bring. */
export async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not so within ${timeoutMs} ms`);
    await realDelay(2);
  }
}
