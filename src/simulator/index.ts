import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { ApnsSimulator } from "./apns.ts";
import type { ApnsSimulatorOptions } from "./apns.ts";
import { startControl } from "./control.ts";
import type { Control } from "./control.ts";
import { createCredentials } from "./credentials.ts";
import type { Credentials } from "./credentials.ts";
import { FcmSimulator } from "./fcm.ts";
import type { FcmSimulatorOptions } from "./fcm.ts";
import { Recorder } from "./recorder.ts";
import type { RecordMode } from "./recorder.ts";
import { Script } from "./script.ts";
import { UnifiedPushSimulator } from "./unifiedpush.ts";
import type { UnifiedPushSimulatorOptions } from "./unifiedpush.ts";
import { WebPushSimulator } from "./webpush.ts";
import type { WebPushSimulatorOptions } from "./webpush.ts";

type Own = "credentials" | "host" | "port" | "script" | "recorder" | "clock";

/** What to start; everything has a default. */
export interface SimulatorsOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0, as for the others: any free port. */
  readonly apnsPort?: number;
  readonly apnsSandboxPort?: number;
  readonly fcmPort?: number;
  readonly webPushPort?: number;
  readonly unifiedPushPort?: number;
  /** Absent: no control server. */
  readonly controlPort?: number;
  /** Default: new ones. */
  readonly credentials?: Credentials;
  /** Tokens with the documented beginnings get the documented answers. Default false. */
  readonly tokenPrefixes?: boolean;
  /** Default `all`. */
  readonly record?: RecordMode;
  /** Requests kept with `record: "all"`. Default 10,000. */
  readonly recordCapacity?: number;
  /** Chance, 0 to below 1, for ratios and spread delays. */
  readonly random?: () => number;
  readonly clock?: Clock;
  readonly apns?: Omit<ApnsSimulatorOptions, Own>;
  /** Starts a second APNs for Apple's sandbox environment. */
  readonly apnsSandbox?: Omit<ApnsSimulatorOptions, Own | "environment">;
  readonly fcm?: Omit<FcmSimulatorOptions, Own>;
  readonly webPush?: Omit<WebPushSimulatorOptions, Own>;
  readonly unifiedPush?: Omit<UnifiedPushSimulatorOptions, Own>;
}

/** Running simulators that share a script and a recorder. */
export interface Simulators {
  readonly apns: ApnsSimulator;
  readonly apnsSandbox: ApnsSimulator | undefined;
  readonly fcm: FcmSimulator;
  readonly webPush: WebPushSimulator;
  readonly unifiedPush: UnifiedPushSimulator;
  readonly control: Control | undefined;
  readonly credentials: Credentials;
  readonly script: Script;
  readonly recorder: Recorder;
  stop(): Promise<void>;
}

/** Starts the fake upstreams, on loopback unless told otherwise. */
export async function startSimulators(options: SimulatorsOptions = {}): Promise<Simulators> {
  const { host = "127.0.0.1", clock = systemClock } = options;
  const credentials = options.credentials ?? createCredentials({ hosts: [host] });
  const script = new Script({
    tokenPrefixes: options.tokenPrefixes ?? false,
    ...(options.random === undefined ? {} : { random: options.random }),
  });
  const recorder = new Recorder({
    mode: options.record ?? "all",
    capacity: options.recordCapacity ?? 10_000,
  });
  const shared = { credentials, host, script, recorder, clock };
  const started: { stop(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((one) => one.stop()));
  };
  const start = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const one = await starting;
    started.push(one);
    return one;
  };
  try {
    const apns = await start(
      ApnsSimulator.start({ ...options.apns, ...shared, port: options.apnsPort ?? 0 }),
    );
    const sandbox = {
      ...options.apnsSandbox,
      ...shared,
      environment: "sandbox",
      port: options.apnsSandboxPort ?? 0,
    } as const;
    const apnsSandbox =
      options.apnsSandbox === undefined ? undefined : await start(ApnsSimulator.start(sandbox));
    const fcm = await start(FcmSimulator.start({ ...options.fcm, ...shared, port: options.fcmPort ?? 0 }));
    const webPush = await start(
      WebPushSimulator.start({ ...options.webPush, ...shared, port: options.webPushPort ?? 0 }),
    );
    const unifiedPush = await start(
      UnifiedPushSimulator.start({ ...options.unifiedPush, ...shared, port: options.unifiedPushPort ?? 0 }),
    );
    const parts = { apns, apnsSandbox, fcm, webPush, unifiedPush, script, recorder };
    const control =
      options.controlPort === undefined
        ? undefined
        : await start(startControl({ ...parts, host, port: options.controlPort }));
    return { ...parts, control, credentials, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
