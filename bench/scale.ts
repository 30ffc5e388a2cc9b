/**
 * `npm run bench -- --scale`: what a push costs where there is more of something, and what the rest holds meanwhile. Each
 * row is one gateway against another, or against itself, in turn, by processor time.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { systemClock } from "../src/clock.ts";
import type { LoadApp } from "../src/load/replay.ts";
import { silentLog } from "../src/log.ts";
import { openStore } from "../src/store/open.ts";
import type { Store } from "../src/store/store.ts";
import type { MeasuredProcess, ProbeAnswer } from "./measured-process.ts";
import { measure, median, medianOf, type Measurement } from "./measure.ts";
import { markdownTable, thousands } from "./report.ts";
import type { Scenario } from "./scenarios.ts";
import { gatewaySubject, type RunningSubject, type Subject } from "./subjects.ts";
import type { BenchUpstreams } from "./upstreams.ts";

/** What the measurements of this kind are made with. */
export interface ScaleBench {
  readonly directory: string;
  readonly upstreams: BenchUpstreams;
  readonly load: MeasuredProcess;
  readonly rounds: number;
  readonly seconds: number;
  /** Processes that are to be stopped at the end. */
  readonly processes: MeasuredProcess[];
  readonly print: (line: string) => void;
}

const iosApp = "com.example.app.ios";
const scenario: Scenario = { upstream: "APNs", callers: 20, latencyMs: 0 };
const ios = (devices: number, appId = iosApp): LoadApp => ({ appId, kind: "apns", devices });
const million = 1_000_000;
/** The compilers need some ten thousand pushes; whoever had fewer than the other would look slower. */
const warmupMs = 8000;

/** All of it; prints as it goes, and returns the table. */
export async function measureScale(bench: ScaleBench): Promise<string> {
  await bench.upstreams.setLatency(0);
  const rows: string[][] = [];
  const add = (...row: string[]): void => {
    rows.push(row);
    bench.print(row.join("  |  "));
  };
  const plain = await start(bench, gatewaySubject({ name: "one app, empty store" }));

  const pushkeys = await compare(bench, [
    { name: "1 pushkey", on: plain, app: ios(1) },
    { name: "100 pushkeys", on: plain, app: ios(100) },
    { name: "10,000 pushkeys", on: plain, app: ios(10_000) },
  ]);
  for (const { name, figures, ratio } of pushkeys)
    add(name, perCpuSecond(figures), `${ratio.toFixed(2)} of the first`);
  const full = pushkeys.at(-1)?.figures.loopDelayP999Ms ?? Number.NaN;
  add("event loop delayed at full load, p99.9", `${full.toFixed(1)} ms`, "at most 50 ms");
  add("… by requests of 512 KiB, at most", `${(await largestDelay(plain)).toFixed(1)} ms`, "at most 50 ms");

  const many = await start(bench, gatewaySubject({ name: "200 apps", extra: manyApps }));
  await pair(bench, add, plain, many, "200 apps, by a glob", ios(10_000, "com.example.glob57.ios"));
  await stop(bench, many);

  const rejecting = await start(
    bench,
    gatewaySubject({ name: "a million rejections", prepare: (file) => fill(file, rejections) }),
  );
  await pair(bench, add, plain, rejecting, "a million rejections in the store");
  await stop(bench, rejecting);

  const down = await start(bench, gatewaySubject({ name: "FCM down", extra: fcmDown }));
  const kept = await keepWaiting(down, 2000);
  await pair(bench, add, plain, down, `${thousands(kept)} pushes waiting for an upstream that is down`);
  await stop(bench, down);

  add("memory of a push under way, 10,000 of them", ...(await inFlightMemory(bench)));

  const idle = await idleRss(bench, gatewaySubject({ name: "idle", probe: false }));
  const waiting = await idleRss(
    bench,
    gatewaySubject({
      name: "a million waiting",
      probe: false,
      prepare: (file) => fill(file, waitingPushes),
      extra: { outbox: { max_rows: 2 * million, max_bytes: 4 * 1024 ** 3, app_share: 1 } },
    }),
  );
  add(
    "a million pushes waiting, idle RSS",
    `${waiting.toFixed(0)} MiB`,
    `${(waiting - idle).toFixed(0)} MiB more than without`,
  );
  return markdownTable(["what there is", "pushes / CPU-s, or as named", "beside"], rows);
}

interface Contender {
  readonly name: string;
  readonly on: RunningSubject;
  readonly app: LoadApp;
}

/** In turn, the median of each, and how it stands to the first. */
async function compare(
  bench: ScaleBench,
  contenders: readonly Contender[],
): Promise<readonly { readonly name: string; readonly figures: Measurement; readonly ratio: number }[]> {
  const all = contenders.map((): Measurement[] => []);
  for (let round = -1; round < bench.rounds; round += 1) {
    for (const [i, { app, on }] of contenders.entries()) {
      const one = await turn(bench, on, app, bench.seconds * 1000);
      // The first round only brings each to its own app's state.
      if (round >= 0) all[i]?.push(one);
    }
  }
  const speed = (each: readonly Measurement[]): readonly number[] =>
    each.map(({ pushesPerCpuSecond }) => pushesPerCpuSecond);
  const first = speed(all[0] ?? []);
  return contenders.map(({ name }, i) => {
    const each = all[i] ?? [];
    // Round by round, since the machine is another one from round to round.
    const ratio = median(speed(each).map((value, round) => value / (first[round] ?? Number.NaN)));
    return { name, figures: medianOf(each), ratio };
  });
}

async function pair(
  bench: ScaleBench,
  add: (...row: string[]) => void,
  plain: RunningSubject,
  other: RunningSubject,
  name: string,
  app: LoadApp = ios(10_000),
): Promise<void> {
  const [, second] = await compare(bench, [
    { name: "without", on: plain, app: ios(10_000) },
    { name, on: other, app },
  ]);
  if (second !== undefined) add(name, perCpuSecond(second.figures), `${second.ratio.toFixed(2)} of without`);
}

function perCpuSecond({ pushesPerCpuSecond }: Measurement): string {
  return thousands(pushesPerCpuSecond);
}

async function start(bench: ScaleBench, subject: Subject): Promise<RunningSubject> {
  const running = await subject.start(bench.upstreams.addresses, bench.directory);
  bench.processes.push(running.process);
  if (running.hasProbe) await turn(bench, running, ios(10_000), warmupMs);
  return running;
}

function turn(
  bench: ScaleBench,
  subject: RunningSubject,
  app: LoadApp,
  durationMs: number,
): Promise<Measurement> {
  const { load, upstreams } = bench;
  return measure({ subject, scenario, upstreams, load, durationMs, apps: [app] });
}

async function stop(bench: ScaleBench, { process }: RunningSubject): Promise<void> {
  bench.processes.splice(bench.processes.indexOf(process), 1);
  await process.stop();
}

type Apps = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function manyApps({ apps }: { readonly apps: Apps }): object {
  const more: Record<string, unknown> = {};
  for (let i = 0; i < 100; i += 1) {
    more[`com.example.app${i}.ios`] = apps[iosApp];
    more[`com.example.glob${i}.*`] = apps[iosApp];
  }
  return { apps: { ...apps, ...more } };
}

function fcmDown({ apps }: { readonly apps: Apps }): object {
  const android = "com.example.app.android";
  return { apps: { ...apps, [android]: { ...apps[android], endpoint: "https://127.0.0.1:9" } } };
}

/** One request with so many devices of an app. */
function bodyFor(appId: string, devices: number): string {
  const devicesOfApp = Array.from({ length: devices }, () => ({
    app_id: appId,
    pushkey: randomBytes(32).toString("base64"),
  }));
  const notification = { event_id: `$${randomUUID()}`, room_id: "!room:example.org", devices: devicesOfApp };
  return JSON.stringify({ notification });
}

async function post(url: string, body: string): Promise<number> {
  const response = await fetch(url, { method: "POST", body });
  await response.arrayBuffer();
  return response.status;
}

/** Pushes that their upstream does not take. Returns how many were promised. */
async function keepWaiting({ url }: RunningSubject, pushes: number): Promise<number> {
  let kept = 0;
  for (let sent = 0; sent < pushes; sent += 20) {
    if ((await post(url, bodyFor("com.example.app.android", 20))) === 200) kept += 20;
  }
  return kept;
}

/** The worst delay of the event loop while requests of the largest size come, one after another. */
async function largestDelay({ process, url }: RunningSubject): Promise<number> {
  await process.ask("begin");
  for (let i = 0; i < 10; i += 1) {
    const body = bodyFor(iosApp, 1);
    const text = "x".repeat(512 * 1024 - body.length - 64);
    await post(url, body.replace('"room_id"', `"content":{"body":"${text}"},"room_id"`));
    const keys = Array.from({ length: 15_000 }, (_, key) => `"key ${key} of many":${key}`).join();
    await post(url, body.replace('"room_id"', `"content":{${keys}},"room_id"`));
  }
  return (await process.ask<ProbeAnswer>("end")).loopDelayMaxMs;
}

/** Heap and RSS for each of 10,000 pushes that wait for their upstream's answer. */
async function inFlightMemory(bench: ScaleBench): Promise<readonly [string, string]> {
  const [requests, devices] = [200, 50];
  const subject = gatewaySubject({
    name: "in flight",
    extra: ({ apps }) => ({
      apps: { ...apps, [iosApp]: { ...apps[iosApp], inflight_request_limit: 20_000 } },
    }),
  });
  const running = await start(bench, subject);
  const used = async (): Promise<{ heap: number; rss: number }> => {
    const { heapUsedBytes } = await running.process.ask<{ heapUsedBytes: number }>("collect");
    return { heap: heapUsedBytes, rss: running.process.usage().rssBytes };
  };
  const before = await used();
  await bench.upstreams.setLatency(4000);
  const answers = Array.from({ length: requests }, () => post(running.url, bodyFor(iosApp, devices)));
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const during = await used();
  await Promise.all(answers);
  await bench.upstreams.setLatency(0);
  await stop(bench, running);
  const each = (bytes: number): string => `${(bytes / (requests * devices) / 1024).toFixed(1)} KiB`;
  return [
    `${each(during.heap - before.heap)} of heap`,
    `${each(during.rss - before.rss)} of RSS; at most 16 KiB`,
  ];
}

async function idleRss(bench: ScaleBench, subject: Subject): Promise<number> {
  const running = await start(bench, subject);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const { rssBytes } = running.process.usage();
  await stop(bench, running);
  return rssBytes / 2 ** 20;
}

/** Fills a store of its own before the gateway opens it. */
async function fill(file: string, work: (store: Store) => Promise<unknown>): Promise<void> {
  const store = await openStore(`sqlite:${file}`, { clock: systemClock, log: silentLog });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const digest = (): string => randomBytes(32).toString("hex");

async function rejections({ rejections: store }: Store): Promise<void> {
  const sinceMs = Date.now();
  const keepUntilMs = sinceMs + 30 * 86_400_000;
  const batch = 2000;
  for (let done = 0; done < million; done += batch) {
    await Promise.all(
      Array.from({ length: batch }, () => store.put(iosApp, digest(), { sinceMs, keepUntilMs })),
    );
  }
}

async function waitingPushes({ outbox }: Store): Promise<void> {
  const batch = 1000;
  const caps = {
    maxRows: 2 * million,
    maxBytes: 4 * 1024 ** 3,
    maxAppRows: 2 * million,
    maxAppBytes: 4 * 1024 ** 3,
  };
  const nowMs = Date.now();
  for (let done = 0; done < million; done += batch) {
    const entries = Array.from({ length: batch }, () => ({
      id: randomUUID(),
      app: "com.example.app.android",
      device: digest(),
      key: digest(),
      payload: `{"pushkin":"gcm","facts":{},"message":{"body":"${"x".repeat(300)}","to":"t"}}`,
      attempts: 1,
      dueInMs: 3_600_000,
      expiresInMs: 86_400_000,
      receivedAtMs: nowMs,
    }));
    await outbox.put(entries, caps);
  }
}
