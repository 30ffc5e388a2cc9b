import { monitorEventLoopDelay } from "node:perf_hooks";
import { collectDefaultMetrics, Registry } from "prom-client";
import type { Clock } from "../clock.ts";
import { holdAlarm, retiredAppAlarm } from "../core/alarms.ts";
import type { Observer } from "../core/observer.ts";
import type { Settled } from "../core/outcome.ts";
import type { OutboxCounts } from "../store/store.ts";
import { combineHttpObservers, silentHttpObserver, type HttpObserver } from "../http/observer.ts";
import { counterFor, gaugeFor, histogramFor } from "./instruments.ts";
import { metricNames, statusClasses } from "./names.ts";

/** An app as metrics know it. */
export interface MeasuredApp {
  /** The app's key in the configuration. */
  readonly name: string;
}

/** What metrics are made from. */
export interface MetricsOptions {
  readonly apps: readonly MeasuredApp[];
  readonly clock: Clock;
  /** The gateway's own version. */
  readonly version: string;
  /** Asked at each scrape. A failure, or no answer within 2 s, leaves the series out. */
  readonly rememberedRejections?: () => Promise<ReadonlyMap<string, number>>;
  /** The outbox's states, asked at each scrape in the same way. */
  readonly outboxCounts?: () => Promise<ReadonlyMap<string, OutboxCounts>>;
  /** Requests to FCM that wait for a connection or a stream, asked at each scrape; absent = the series is absent. */
  readonly pendingGcmRequests?: () => number;
  /** Log lines dropped since the start, asked at each scrape. */
  readonly logLinesDropped?: () => number;
}

/** The gateway's metrics: two observers feed them, the registry prints them. */
export interface Metrics {
  readonly registry: Registry;
  readonly observer: Observer;
  readonly httpObserver: HttpObserver;
  /** Makes the series of these apps appear, at 0 where nothing was counted. For a reload that adds apps. */
  configured(apps: readonly MeasuredApp[]): void;
  /** When an app's APNs client certificate expires, milliseconds since 1970. */
  certificateExpires(app: string, atMs: number): void;
  /** Stops measuring. The registry still prints. */
  close(): void;
}

/** The door whose requests Sygnal's series count. */
const notifyDoor = "matrix";
/** Sygnal's one value of the label `resource`. */
const notifyResource = "V1NotifyHandler";

/** How long a scrape waits for the store. */
const storeWaitMs = 2000;

/** The alarms that tell of a rejection held back (D8, C05): each is raised once a rejection. */
const holdAlarms: ReadonlySet<string> = new Set([
  holdAlarm("never-succeeded", undefined).alarm,
  holdAlarm("mass-rejection", undefined).alarm,
  retiredAppAlarm.alarm,
]);

/** Metrics for one gateway. Every label's value comes from the configuration or from a closed list. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const sygnal = sygnalSeries(registry, options);
  const ours = ownSeries(registry, options);

  const configured = (apps: readonly MeasuredApp[]): void => {
    for (const { name } of apps) {
      sygnal.configured(name);
      ours.configured(name);
    }
  };
  configured(options.apps);

  const observer: Observer = {
    deviceReceived: () => sygnal.devicesReceived.inc(),
    handed: (app) => sygnal.perPushkin.inc({ pushkin: app }),
    attemptStarted: (_app, pushkin) => sygnal.active(pushkin)?.inc(),
    attemptEnded(event) {
      sygnal.active(event.pushkin)?.dec();
      sygnal.attemptEnded(
        event.app,
        event.pushkin,
        event.durationMs,
        event.queueMs,
        event.outcome.answer?.status,
      );
      ours.attempts.inc({ app: event.app, status: statusClass(event.outcome.answer?.status) });
      ours.attemptDuration.observe({ app: event.app }, event.durationMs / 1000);
    },
    settled({ app = "", settled }) {
      const reason = reasonOf(settled);
      ours.outcomes.inc({ app, kind: settled.kind, reason });
      if (reason === "duplicate") ours.duplicatesSuppressed.inc({ app });
      if (reason === "known-dead") ours.knownDead.inc({ app });
    },
    concluded: ({ app, outcome }) =>
      ours.concluded.inc({ app, kind: outcome.kind, reason: reasonOf(outcome) }),
    overloaded: (app) => sygnal.inflightLimitDrop.inc({ pushkin: app }),
    alarm({ app = "", alarm }) {
      ours.alarms.inc({ app, alarm });
      if (holdAlarms.has(alarm)) ours.heldRejections.inc({ app });
    },
  };
  return {
    registry,
    observer,
    httpObserver: combineHttpObservers(sygnal.httpObserver, ours.httpObserver),
    configured,
    certificateExpires: (app, atMs) => sygnal.clientCertExpiry.set({ pushkin: app }, Math.floor(atMs / 1000)),
    close: () => ours.close(),
  };
}

function reasonOf(settled: Settled): string {
  return "reason" in settled ? settled.reason : "";
}

function statusClass(status: number | undefined): string {
  const known: readonly string[] = statusClasses;
  const digit = status === undefined ? "" : `${Math.floor(status / 100)}xx`;
  return known.includes(digit) ? digit : "none";
}

/** Sygnal's series (sygnal-compat 13). */
function sygnalSeries(registry: Registry, { pendingGcmRequests }: MetricsOptions) {
  const notificationsReceived = counterFor(registry, metricNames.notificationsReceived);
  const statusCodes = counterFor(registry, metricNames.notifyStatusCodes);
  const notifyTime = histogramFor(registry, metricNames.notifyTime);
  const inFlight = gaugeFor(registry, metricNames.requestsInFlight);
  const perPushkin = counterFor(registry, metricNames.perPushkin);
  const inflightLimitDrop = counterFor(registry, metricNames.inflightLimitDrop);
  const gcmQueueTime = histogramFor(registry, metricNames.gcmQueueTime);
  const gcmRequestTime = histogramFor(registry, metricNames.gcmRequestTime);
  const gcmActive = gaugeFor(registry, metricNames.gcmActive);
  const gcmStatusCodes = counterFor(registry, metricNames.gcmStatusCodes);
  const apnsRequestTime = histogramFor(registry, metricNames.apnsRequestTime);
  const apnsActive = gaugeFor(registry, metricNames.apnsActive);
  const apnsStatusCodes = counterFor(registry, metricNames.apnsStatusCodes);
  if (pendingGcmRequests !== undefined) {
    gaugeFor(registry, metricNames.gcmPending, (gauge) => gauge.set(pendingGcmRequests()));
  }
  inFlight.set({ resource: notifyResource }, 0);

  const httpObserver: HttpObserver = {
    ...silentHttpObserver,
    notificationReceived(door) {
      if (door === notifyDoor) notificationsReceived.inc();
    },
    inFlight(door, change) {
      if (door === notifyDoor) inFlight.inc({ resource: notifyResource }, change);
    },
    answered({ door, status, dispatched, durationMs }) {
      if (door !== notifyDoor) return;
      statusCodes.inc({ code: String(status) });
      if (dispatched) notifyTime.observe({ code: String(status) }, durationMs / 1000);
    },
  };
  return {
    httpObserver,
    devicesReceived: counterFor(registry, metricNames.devicesReceived),
    perPushkin,
    inflightLimitDrop,
    clientCertExpiry: gaugeFor(registry, metricNames.clientCertExpiry),
    /** The gauge of requests under way at Sygnal's two measured upstreams. */
    active(pushkin: string) {
      if (pushkin === "apns") return apnsActive;
      return pushkin === "gcm" ? gcmActive : undefined;
    },
    attemptEnded(
      app: string,
      pushkin: string,
      durationMs: number,
      queueMs: number | undefined,
      status: number | undefined,
    ) {
      if (pushkin === "apns") {
        apnsRequestTime.observe(durationMs / 1000);
        if (status !== undefined) apnsStatusCodes.inc({ pushkin: app, code: String(status) });
      } else if (pushkin === "gcm") {
        gcmRequestTime.observe(Math.max(0, durationMs - (queueMs ?? 0)) / 1000);
        if (queueMs !== undefined) gcmQueueTime.observe(queueMs / 1000);
        if (status !== undefined) gcmStatusCodes.inc({ pushkin: app, code: String(status) });
      }
    },
    configured(app: string) {
      perPushkin.inc({ pushkin: app }, 0);
      inflightLimitDrop.inc({ pushkin: app }, 0);
    },
  };
}

/** What Sygnal does not tell. */
function ownSeries(registry: Registry, options: MetricsOptions) {
  const { rememberedRejections, logLinesDropped } = options;
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
  if (options.outboxCounts !== undefined) outboxSeries(registry, options.outboxCounts, options.clock);
  if (logLinesDropped !== undefined) {
    counterFor(registry, metricNames.logLinesDropped, (counter) => {
      counter.reset();
      counter.inc(logLinesDropped());
    });
  }
  const attempts = counterFor(registry, metricNames.attempts);
  const heldRejections = counterFor(registry, metricNames.heldRejections);
  const duplicatesSuppressed = counterFor(registry, metricNames.duplicatesSuppressed);
  const knownDead = counterFor(registry, metricNames.knownDead);
  const attemptDuration = histogramFor(registry, metricNames.attemptDuration);
  const doorAnswers = counterFor(registry, metricNames.doorAnswers);
  const unreadable = counterFor(registry, metricNames.unreadableRequests);
  const httpObserver: HttpObserver = {
    ...silentHttpObserver,
    answered: ({ door, status }) => doorAnswers.inc({ door, code: String(status) }),
    unreadable: (status) => unreadable.inc({ code: String(status) }),
  };
  return {
    httpObserver,
    outcomes: counterFor(registry, metricNames.outcomes),
    concluded: counterFor(registry, metricNames.concluded),
    alarms: counterFor(registry, metricNames.alarms),
    attempts,
    attemptDuration,
    heldRejections,
    duplicatesSuppressed,
    knownDead,
    configured(app: string) {
      for (const status of statusClasses) attempts.inc({ app, status }, 0);
      for (const counter of [heldRejections, duplicatesSuppressed, knownDead]) counter.inc({ app }, 0);
      attemptDuration.zero({ app });
    },
    close: () => void loopDelay.disable(),
  };
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
