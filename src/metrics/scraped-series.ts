import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Registry } from "prom-client";
import type { Clock } from "../clock.ts";
import type { OutboxCounts } from "../store/store.ts";
import type { AppState } from "./app-state.ts";
import { counterFor, gaugeFor } from "./instruments.ts";
import { metricNames } from "./names.ts";

/** What is asked at each scrape. What is absent has no series; a failure, or no answer in 2 s, leaves them out. */
export interface ScrapedSources {
  readonly clock: Clock;
  /** The gateway's own version. */
  readonly version: string;
  readonly rememberedRejections?: () => Promise<ReadonlyMap<string, number>>;
  /** Devices in the registry. */
  readonly registeredDevices?: () => Promise<number>;
  /** The outbox's states. */
  readonly outboxCounts?: () => Promise<ReadonlyMap<string, OutboxCounts>>;
  /** When the oldest promised push came, milliseconds since 1970; undefined when none waits. */
  readonly oldestReceivedAtMs?: () => Promise<number | undefined>;
  readonly appStates?: () => Iterable<AppState>;
  /** Threads that serve, of how many there should be. */
  readonly threads?: () => { readonly serving: number; readonly wanted: number };
  /** Log lines dropped since the start. */
  readonly logLinesDropped?: () => number;
}

/** How long a scrape waits for the store. */
const storeWaitMs = 2000;

/** The series that are looked at only when somebody asks. Returns how to stop measuring. */
export function scrapedSeries(registry: Registry, options: ScrapedSources): () => void {
  const { rememberedRejections, logLinesDropped, threads } = options;
  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  loopDelay.enable();
  gaugeFor(registry, metricNames.eventLoopDelay, (gauge) => {
    for (const quantile of [0.5, 0.99, 1]) {
      gauge.set({ quantile: String(quantile) }, loopDelay.percentile(quantile * 100) / 1e9);
    }
    loopDelay.reset();
  });
  gaugeFor(registry, metricNames.buildInfo).set({ version: options.version, node: process.versions.node }, 1);
  if (rememberedRejections !== undefined) {
    gaugeFor(registry, metricNames.rememberedRejections, async (gauge) => {
      gauge.reset();
      const counts = await within(storeWaitMs, options.clock, rememberedRejections());
      for (const [app, count] of counts ?? []) gauge.set({ app }, count);
    });
  }
  const { registeredDevices } = options;
  if (registeredDevices !== undefined) {
    gaugeFor(registry, metricNames.registeredDevices, async (gauge) => {
      gauge.remove();
      const devices = await within(storeWaitMs, options.clock, registeredDevices());
      if (devices !== undefined) gauge.set(devices);
    });
  }
  if (options.outboxCounts !== undefined) outboxSeries(registry, options.outboxCounts, options.clock);
  if (options.oldestReceivedAtMs !== undefined)
    ageSeries(registry, options.oldestReceivedAtMs, options.clock);
  if (options.appStates !== undefined) appSeries(registry, options.appStates);
  if (threads !== undefined) {
    gaugeFor(registry, metricNames.threads, (gauge) => {
      const { serving, wanted } = threads();
      gauge.set({ state: "serving" }, serving);
      gauge.set({ state: "missing" }, wanted - serving);
    });
  }
  if (logLinesDropped !== undefined) {
    counterFor(registry, metricNames.logLinesDropped, (counter) => {
      counter.reset();
      counter.inc(logLinesDropped());
    });
  }
  return () => void loopDelay.disable();
}

/** What each app is like just now. Apps that a reload has removed leave the series. */
function appSeries(registry: Registry, appStates: () => Iterable<AppState>): void {
  const perApp = (
    definition:
      | typeof metricNames.circuitsOpen
      | typeof metricNames.upstreamWaiting
      | typeof metricNames.upstreamConnections
      | typeof metricNames.upstreamStreams,
    valueOf: (state: AppState) => number | undefined,
  ): void => {
    gaugeFor(registry, definition, (gauge) => {
      gauge.reset();
      for (const state of appStates()) {
        const value = valueOf(state);
        if (value !== undefined) gauge.set({ app: state.app }, value);
      }
    });
  };
  perApp(metricNames.circuitsOpen, ({ openCircuits }) => openCircuits);
  perApp(metricNames.upstreamWaiting, ({ waiting }) => waiting);
  perApp(metricNames.upstreamConnections, ({ connections }) => connections?.open);
  perApp(metricNames.upstreamStreams, ({ connections }) => connections?.streams);
  gaugeFor(registry, metricNames.guardHolding, (gauge) => {
    gauge.reset();
    for (const { app, holding } of appStates()) {
      for (const reason of ["never-succeeded", "mass-rejection"]) {
        gauge.set({ app, reason }, holding === reason ? 1 : 0);
      }
    }
  });
}

function ageSeries(registry: Registry, oldest: () => Promise<number | undefined>, clock: Clock): void {
  gaugeFor(registry, metricNames.outboxOldest, async (gauge) => {
    gauge.reset();
    const answered = await within(
      storeWaitMs,
      clock,
      oldest().then((atMs) => ({ atMs })),
    );
    if (answered === undefined) return;
    gauge.set(answered.atMs === undefined ? 0 : Math.max(0, clock.now() - answered.atMs) / 1000);
  });
}

/** One look at the store for both series, so that the sum of the states holds at every scrape (reliability G24). */
function outboxSeries(
  registry: Registry,
  outboxCounts: () => Promise<ReadonlyMap<string, OutboxCounts>>,
  clock: Clock,
): void {
  let asked: Promise<ReadonlyMap<string, OutboxCounts> | undefined> | undefined;
  const ask = (): Promise<ReadonlyMap<string, OutboxCounts> | undefined> => {
    asked ??= within(storeWaitMs, clock, outboxCounts()).finally(() => (asked = undefined));
    return asked;
  };
  gaugeFor(registry, metricNames.outboxPushes, async (gauge) => {
    const counts = await ask();
    gauge.reset();
    for (const [app, { pendingBytes: _bytes, ...states }] of counts ?? []) {
      for (const [state, count] of Object.entries(states)) gauge.set({ app, state }, count);
    }
  });
  gaugeFor(registry, metricNames.outboxPendingBytes, async (gauge) => {
    const counts = await ask();
    gauge.reset();
    for (const [app, { pendingBytes }] of counts ?? []) gauge.set({ app }, pendingBytes);
  });
}

/** The result, or nothing when it takes longer. */
async function within<T>(ms: number, clock: Clock, result: Promise<T>): Promise<T | undefined> {
  let cancel = (): void => {};
  const end = new Promise<undefined>((resolve) => {
    cancel = clock.schedule(ms, () => resolve(undefined));
  });
  try {
    return await Promise.race([result, end]);
  } finally {
    cancel();
  }
}
