import type { Clock } from "../../clock.ts";
import { loadConfig } from "../../config/load.ts";
import type { AppConfig, Config } from "../../config/schema.ts";
import type { Environment } from "../../config/secrets.ts";
import { failed, skipped, type Diagnosis } from "../../core/diagnosis.ts";
import { Shared, type PushkinDeps, type PushkinType } from "../../core/pushkin.ts";
import { errorFields, silentLog } from "../../log.ts";
import { configurationLines } from "./configuration.ts";
import { listenerLines } from "./listeners.ts";
import { proxyLine } from "./proxy.ts";
import { about, type ReportLine } from "./report.ts";
import { storeLines } from "./store.ts";

/** What an examination needs. */
export interface Examination {
  /** The configuration's path. */
  readonly file: string;
  readonly env: Environment;
  readonly clock: Clock;
  readonly pushkinTypes: readonly PushkinType[];
  /** These apps alone; absent = all. */
  readonly only?: readonly string[];
  /** This machine's addresses; absent = its interfaces'. */
  readonly ownAddresses?: () => readonly string[];
}

/** Apps are looked at side by side, but not hundreds at once. */
const AT_ONCE = 8;

/** Looks at everything, live, and changes nothing. A configuration that the gateway would refuse ends it early. */
export async function examine(examination: Examination): Promise<readonly ReportLine[]> {
  const { file, env, clock, pushkinTypes, only, ownAddresses } = examination;
  const loaded = await loadConfig({ path: file, env, pushkinTypes });
  const lines = configurationLines(file, loaded);
  if (!loaded.ok) return lines;
  const { config } = loaded;
  const unknown = (only ?? []).filter((name) => !config.apps.has(name));
  const proxy = config.proxy === undefined ? undefined : new URL(config.proxy);
  return [
    ...lines,
    ...about("store", await storeLines(config.store.url)),
    ...(await listenerLines(config, clock, ownAddresses)),
    ...(proxy === undefined ? [] : about("proxy", [await proxyLine(proxy, clock)])),
    ...unknown.flatMap((name) =>
      about(name, [failed("app", "is not configured", "write it as under `apps`, wildcards included")]),
    ),
    ...(await appLines(config, clock, proxy, only)),
  ];
}

async function appLines(
  config: Config,
  clock: Clock,
  proxy: URL | undefined,
  only: readonly string[] | undefined,
): Promise<readonly ReportLine[]> {
  const deps: PushkinDeps = {
    clock,
    log: silentLog,
    shared: new Shared(),
    outbound: config.outbound,
    http2Client: config.upstream.http2,
    http2ToPushServices: config.upstream.http2_to_push_services,
    ...(proxy === undefined ? {} : { proxy }),
  };
  const chosen = [...config.apps].filter(([name]) => only === undefined || only.includes(name));
  const found: (readonly ReportLine[])[] = [];
  for (let i = 0; i < chosen.length; i += AT_ONCE) {
    const some = chosen.slice(i, i + AT_ONCE);
    found.push(
      ...(await Promise.all(some.map(async ([name, app]) => about(name, await diagnose(name, app, deps))))),
    );
  }
  return found.flat();
}

async function diagnose(
  name: string,
  { type, options }: AppConfig,
  deps: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  if (type.diagnose === undefined) return [skipped("upstream", "nothing is known to look at for this type")];
  try {
    return await type.diagnose(name, options, deps);
  } catch (error) {
    const { error: kind = "unknown error" } = errorFields(error);
    return [
      failed("doctor", `could not look (${kind})`, "run signalbox check; report this if it finds nothing"),
    ];
  }
}
