import { createCredentials, type Credentials } from "../../../src/simulator/credentials.ts";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type GatewaySetUp,
  type RunningGateway,
} from "../../support/with-gateway.ts";

let credentials: Credentials | undefined;
let running: Promise<RunningGateway> | undefined;
let made = 0;

/** One set of keys for all rows: making RSA keys takes its time. */
export function sharedCredentials(): Credentials {
  credentials ??= createCredentials();
  return credentials;
}

/** A gateway of its own for one row; both apps have sent something, so that the guard believes rejections. */
export async function withGateway<T>(
  setUp: GatewaySetUp & { readonly cold?: true },
  work: (gateway: RunningGateway) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway({
    ...setUp,
    simulators: { credentials: sharedCredentials(), ...setUp.simulators },
  });
  try {
    if (setUp.cold !== true) await warmUp(gateway);
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

async function warmUp(gateway: RunningGateway): Promise<void> {
  await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("aa00") }]));
  await gateway.notify(message([{ app_id: ANDROID, pushkey: "warm-up" }]));
}

/** A gateway that rows share which do it no lasting harm. */
export async function sharedGateway(): Promise<RunningGateway> {
  running ??= (async () => {
    const gateway = await startGateway({
      simulators: { credentials: sharedCredentials() },
      config: { delivery: { answer_within: "1s" } },
    });
    await warmUp(gateway);
    return gateway;
  })();
  const gateway = await running;
  gateway.simulators.script.clear();
  return gateway;
}

/** Ends the shared gateway. */
export async function closeShared(): Promise<void> {
  await (await running)?.stop();
}

/** A device token that nobody has used. */
export function freshIos(hexPrefix = "ab"): string {
  made += 1;
  return iosPushkey(`${hexPrefix}${made.toString(16).padStart(8, "0")}`);
}

/** A registration token that nobody has used. */
export function freshAndroid(prefix = "token-"): string {
  made += 1;
  return `${prefix}${made}`;
}

/** Waits for something to become so. */
export async function until(
  what: string,
  test: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<number> {
  const startedMs = performance.now();
  while (!(await test())) {
    if (performance.now() - startedMs > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(20);
  }
  return performance.now() - startedMs;
}

/** Real time. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a call resolves with, and how long it took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const startedMs = performance.now();
  const value = await work();
  return { value, ms: performance.now() - startedMs };
}

/** The value below which the given share of the numbers lies; 0 of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** How long the loop of this process stood still at most while `work` ran. */
export async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let longestMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs - 5);
    lastMs = nowMs;
  }, 5);
  await work();
  clearInterval(timer);
  return Math.max(longestMs, performance.now() - lastMs - 5);
}
