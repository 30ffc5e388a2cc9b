import { collectDefaultMetrics, Registry } from "prom-client";
import { holdAlarm, malformedAlarm, retiredAppAlarm } from "../core/alarms.ts";
import type { Observer } from "../core/observer.ts";
import type { Settled } from "../core/outcome.ts";
import { pushLimits } from "../core/push-limits.ts";
import {
  combineHttpObservers,
  requestLimits,
  silentHttpObserver,
  type HttpObserver,
} from "../http/observer.ts";
import { gaugeFor, histogramFor } from "./instruments.ts";
import { metricNames, statusClasses } from "./names.ts";
import { scrapedSeries, type ScrapedSources } from "./scraped-series.ts";
import { sygnalSeries } from "./sygnal-series.ts";
import { tallyFor } from "./tally.ts";
import { upstreamLabel } from "./upstream-label.ts";

/** An app as metrics know it. */
export interface MeasuredApp {
  /** The app's key in the configuration. */
  readonly name: string;
}

/** A certificate's end as metrics tell it. */
export interface MeasuredCertificate {
  /** The app whose client certificate it is; absent for the public listener's. */
  readonly app?: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** What metrics are made from. */
export interface MetricsOptions extends ScrapedSources {
  readonly apps: readonly MeasuredApp[];
  /** Another thread measures the process. */
  readonly withoutProcess?: boolean;
}

/** The gateway's metrics: two observers feed them, the registry prints them. */
export interface Metrics {
  readonly registry: Registry;
  readonly observer: Observer;
  readonly httpObserver: HttpObserver;
  /** Makes the series of these apps appear, at 0 where nothing was counted. For a reload that adds apps. */
  configured(apps: readonly MeasuredApp[]): void;
  /** When the certificates end that are in use; what was said of others is forgotten. For a reload that changes them. */
  certificatesInUse(certificates: readonly MeasuredCertificate[]): void;
  /** The store has promised pushes on disk, after so many seconds. */
  storeCommitted(seconds: number): void;
  /** Stops measuring. The registry still prints. */
  close(): void;
}

/** The alarms that tell of a rejection held back (D8, C05): each is raised once a rejection. */
const holdAlarms: ReadonlySet<string> = new Set([
  holdAlarm("never-succeeded", undefined).alarm,
  holdAlarm("mass-rejection", undefined).alarm,
  malformedAlarm.alarm,
  retiredAppAlarm.alarm,
]);

/** Metrics for one gateway. Every label's value comes from the configuration or from a closed list. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  if (options.withoutProcess !== true) collectDefaultMetrics({ register: registry });
  const sygnal = sygnalSeries(registry, options.appStates);
  const ours = ownSeries(registry);
  const stopScraping = scrapedSeries(registry, options);

  const configured = (apps: readonly MeasuredApp[]): void => {
    for (const { name } of apps) {
      sygnal.configured(name);
      ours.configured(name);
    }
  };
  configured(options.apps);

  const observer: Observer = {
    deviceReceived: () => sygnal.devicesReceived.inc({}),
    handed: (app) => sygnal.perPushkin.inc({ pushkin: app }),
    attemptStarted: (_app, pushkin) => sygnal.active(pushkin)?.inc({}, 1),
    attemptEnded(event) {
      sygnal.active(event.pushkin)?.inc({}, -1);
      sygnal.attemptEnded(
        event.app,
        event.pushkin,
        event.durationMs,
        event.queueMs,
        event.outcome.answer?.status,
      );
      ours.attempts.inc({ app: event.app, status: statusClass(event.outcome.answer?.status) });
      const upstream = upstreamLabel(event.upstream, event.isUsersChoice);
      ours.attemptDuration.observe({ app: event.app, upstream }, event.durationMs / 1000);
    },
    settled({ app = "", settled }) {
      const reason = reasonOf(settled);
      ours.outcomes.inc({ app, kind: settled.kind, reason });
      if (reason === "duplicate") ours.duplicatesSuppressed.inc({ app });
      if (reason === "known-dead") ours.knownDead.inc({ app });
    },
    postponed() {},
    concluded: ({ app, outcome }) =>
      ours.concluded.inc({ app, kind: outcome.kind, reason: reasonOf(outcome) }),
    superseded: ({ app }) => ours.concluded.inc({ app, kind: "dropped", reason: "superseded" }),
    overloaded: (app) => sygnal.inflightLimitDrop.inc({ pushkin: app }),
    throttled: (app, limit) => ours.limited.inc({ app, limit }),
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
    certificatesInUse(certificates) {
      // An app that is gone, or that has a key by now, would warn of its old certificate for ever.
      sygnal.clientCertExpiry.reset();
      ours.credentialExpiry.reset();
      for (const { app, expiresAtMs } of certificates) {
        const seconds = Math.floor(expiresAtMs / 1000);
        if (app !== undefined) sygnal.clientCertExpiry.set({ pushkin: app }, seconds);
        const credential = app === undefined ? "listener-certificate" : "client-certificate";
        ours.credentialExpiry.set({ app: app ?? "", credential }, seconds);
      }
    },
    storeCommitted: (seconds) => ours.storeCommit.observe(seconds),
    close: stopScraping,
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

/** What Sygnal does not tell. */
function ownSeries(registry: Registry) {
  const attempts = tallyFor(registry, metricNames.attempts);
  const heldRejections = tallyFor(registry, metricNames.heldRejections);
  const duplicatesSuppressed = tallyFor(registry, metricNames.duplicatesSuppressed);
  const knownDead = tallyFor(registry, metricNames.knownDead);
  const attemptDuration = histogramFor(registry, metricNames.attemptDuration);
  const doorAnswers = tallyFor(registry, metricNames.doorAnswers);
  const unreadable = tallyFor(registry, metricNames.unreadableRequests);
  const limited = tallyFor(registry, metricNames.limited);
  for (const limit of requestLimits) limited.inc({ app: "", limit }, 0);
  const httpObserver: HttpObserver = {
    ...silentHttpObserver,
    answered: ({ door, status }) => doorAnswers.inc({ door, code: String(status) }),
    limited: (limit) => limited.inc({ app: "", limit }),
    unreadable: (status) => unreadable.inc({ code: String(status) }),
  };
  return {
    httpObserver,
    outcomes: tallyFor(registry, metricNames.outcomes),
    concluded: tallyFor(registry, metricNames.concluded),
    alarms: tallyFor(registry, metricNames.alarms),
    attempts,
    attemptDuration,
    heldRejections,
    duplicatesSuppressed,
    knownDead,
    limited,
    configured(app: string) {
      for (const status of statusClasses) attempts.inc({ app, status }, 0);
      for (const counter of [heldRejections, duplicatesSuppressed, knownDead]) counter.inc({ app }, 0);
      for (const limit of pushLimits) limited.inc({ app, limit }, 0);
    },
    storeCommit: histogramFor(registry, metricNames.storeCommit),
    credentialExpiry: gaugeFor(registry, metricNames.credentialExpiry),
  };
}
