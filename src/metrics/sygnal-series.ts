import type { Registry } from "prom-client";
import { silentHttpObserver, type HttpObserver } from "../http/observer.ts";
import type { AppState } from "./app-state.ts";
import { gaugeFor, histogramFor } from "./instruments.ts";
import { metricNames } from "./names.ts";
import { levelFor, tallyFor } from "./tally.ts";

/** The door whose requests Sygnal's series count. */
const notifyDoor = "matrix";
/** Sygnal's one value of the label `resource`. */
const notifyResource = "V1NotifyHandler";

/** Sygnal's series (sygnal-compat 13). */
export function sygnalSeries(registry: Registry, appStates?: () => Iterable<AppState>) {
  const notificationsReceived = tallyFor(registry, metricNames.notificationsReceived);
  const devicesReceived = tallyFor(registry, metricNames.devicesReceived);
  const statusCodes = tallyFor(registry, metricNames.notifyStatusCodes);
  const notifyTime = histogramFor(registry, metricNames.notifyTime);
  const inFlight = levelFor(registry, metricNames.requestsInFlight);
  const perPushkin = tallyFor(registry, metricNames.perPushkin);
  const inflightLimitDrop = tallyFor(registry, metricNames.inflightLimitDrop);
  const gcmQueueTime = histogramFor(registry, metricNames.gcmQueueTime);
  const gcmRequestTime = histogramFor(registry, metricNames.gcmRequestTime);
  const gcmActive = levelFor(registry, metricNames.gcmActive);
  const gcmStatusCodes = tallyFor(registry, metricNames.gcmStatusCodes);
  const apnsRequestTime = histogramFor(registry, metricNames.apnsRequestTime);
  const apnsActive = levelFor(registry, metricNames.apnsActive);
  const apnsStatusCodes = tallyFor(registry, metricNames.apnsStatusCodes);
  const webpushQueueTime = histogramFor(registry, metricNames.webpushQueueTime);
  const webpushRequestTime = histogramFor(registry, metricNames.webpushRequestTime);
  const webpushActive = levelFor(registry, metricNames.webpushActive);
  if (appStates !== undefined) {
    gaugeFor(registry, metricNames.gcmPending, (gauge) => gauge.set(waitingAt("gcm", appStates())));
    gaugeFor(registry, metricNames.webpushPending, (gauge) => gauge.set(waitingAt("webpush", appStates())));
  }
  inFlight.inc({ resource: notifyResource }, 0);
  for (const unlabelled of [notificationsReceived, devicesReceived, gcmActive, apnsActive, webpushActive])
    unlabelled.inc({}, 0);

  const httpObserver: HttpObserver = {
    ...silentHttpObserver,
    notificationReceived({ door }) {
      if (door === notifyDoor) notificationsReceived.inc({});
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
    devicesReceived,
    perPushkin,
    inflightLimitDrop,
    clientCertExpiry: gaugeFor(registry, metricNames.clientCertExpiry),
    /** The gauge of requests under way at an upstream that Sygnal knows. */
    active(pushkin: string) {
      if (pushkin === "apns") return apnsActive;
      if (pushkin === "webpush") return webpushActive;
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
      } else if (pushkin === "webpush") {
        webpushRequestTime.observe(Math.max(0, durationMs - (queueMs ?? 0)) / 1000);
        if (queueMs !== undefined) webpushQueueTime.observe(queueMs / 1000);
      }
    },
    configured(app: string) {
      perPushkin.inc({ pushkin: app }, 0);
      inflightLimitDrop.inc({ pushkin: app }, 0);
    },
  };
}

function waitingAt(pushkin: string, apps: Iterable<AppState>): number {
  let sum = 0;
  for (const app of apps) if (app.pushkin === pushkin) sum += app.waiting;
  return sum;
}
