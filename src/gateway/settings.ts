import { readFile } from "node:fs/promises";
import type { Config } from "../config/schema.ts";
import type { App } from "../core/app.ts";
import type { EngineSettings } from "../core/engine.ts";
import type { TlsIdentity } from "../http/server.ts";
import type { KnownApp } from "../store/store.ts";

/** What the core takes from a configuration, at the start and at each reload. */
export function engineSettings(
  config: Config,
  apps: ReadonlyMap<string, App>,
  known: readonly KnownApp[],
): EngineSettings {
  const { app_share: share, max_bytes: maxBytes, max_rows: maxRows } = config.outbox;
  return {
    apps,
    known,
    keepRejectionsMs: config.rejections.keep,
    dedupeForMs: config.delivery.dedupe_for,
    caps: {
      maxRows,
      maxBytes,
      maxAppRows: Math.max(1, Math.floor(maxRows * share)),
      maxAppBytes: Math.floor(maxBytes * share),
    },
    rates: { perApp: config.limits.per_app, perDevice: config.limits.per_device },
    ...(config.registry === undefined ? {} : { maxDevices: config.registry.max_devices }),
  };
}

/** The public listener's certificate; undefined where it serves plain http. */
export async function readTls({ http }: Config): Promise<TlsIdentity | undefined> {
  if (http.tls === undefined) return undefined;
  const [cert, key] = await Promise.all([
    readFile(http.tls.cert_file, "utf8"),
    readFile(http.tls.key_file, "utf8"),
  ]);
  return { cert, key };
}
