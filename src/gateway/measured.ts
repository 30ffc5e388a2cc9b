import { X509Certificate } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { TlsIdentity } from "../http/server.ts";
import type { AppState } from "../metrics/app-state.ts";
import { createMetrics, type MeasuredCertificate, type Metrics } from "../metrics/metrics.ts";
import type { Store } from "../store/store.ts";
import { version } from "../version.ts";
import type { AppSet } from "./apps.ts";

/** What a gateway's metrics are made from. */
export interface MeasuredGateway {
  readonly config: Config;
  readonly clock: Clock;
  readonly store: Store;
  /** Another thread measures the process and the store for this one too. */
  readonly withoutProcess: boolean;
  readonly appStates: () => readonly AppState[];
  readonly registeredDevices: () => Promise<number>;
  readonly droppedLines: () => number;
  readonly threads: () => { readonly serving: number; readonly wanted: number };
}

/** The metrics of a gateway. */
export function measuredGateway(gateway: MeasuredGateway): Metrics {
  const { appStates, clock, config, store, withoutProcess } = gateway;
  const ofThread = {
    apps: [...config.apps.keys()].map((name) => ({ name })),
    clock,
    version,
    appStates,
  };
  if (withoutProcess) return createMetrics({ ...ofThread, withoutProcess });
  return createMetrics({
    ...ofThread,
    rememberedRejections: () => store.rejections.count(clock.now()),
    ...(store.durable
      ? {
          outboxCounts: () => store.outbox.counts(),
          oldestReceivedAtMs: () => store.outbox.oldestReceivedAtMs(),
        }
      : {}),
    registeredDevices: gateway.registeredDevices,
    logLinesDropped: gateway.droppedLines,
    threads: gateway.threads,
  });
}

/** The apps' series appear, and when the certificates end that are in use. */
export function measureApps(metrics: Metrics, { apps }: AppSet, tls: TlsIdentity | undefined): void {
  metrics.configured([...apps.keys()].map((name) => ({ name })));
  const certificates: MeasuredCertificate[] = [...apps.values()].flatMap(
    ({ name, pushkin: { certificateExpiresAtMs: expiresAtMs } }) =>
      expiresAtMs === undefined ? [] : [{ app: name, expiresAtMs }],
  );
  if (tls !== undefined)
    certificates.push({ expiresAtMs: new X509Certificate(tls.cert).validToDate.getTime() });
  metrics.certificatesInUse(certificates);
}
