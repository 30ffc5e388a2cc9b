import type { Config } from "../config/schema.ts";
import type { AppChanges } from "./apps.ts";

/** How a reload went. */
export type ReloadResult =
  | {
      readonly ok: true;
      readonly apps: AppChanges;
      /** What has changed in the file and takes effect at the next start only, as paths. */
      readonly needsRestart: readonly string[];
      /** What `check` would warn of, a line each. */
      readonly warnings: readonly string[];
    }
  /** Nothing has changed: the gateway goes on with the configuration that it had. */
  | { readonly ok: false; readonly problems: readonly string[]; readonly warnings: readonly string[] };

/** What is opened or started once: these sections, or these keys of one. */
const onceOnly: readonly (readonly [section: keyof Config, ...keys: string[]])[] = [
  ["http", "port", "bind_addresses"],
  ["admin"],
  ["metrics"],
  ["tracing"],
  ["store"],
  ["workers"],
  ["explain", "enabled"],
];

/** Paths of what differs between two configurations and a reload cannot change. */
export function needsRestart(running: Config, next: Config): readonly string[] {
  const paths: string[] = [];
  for (const [section, ...keys] of onceOnly) {
    const [before, after] = [running[section], next[section]];
    if (keys.length === 0) {
      if (differ(before, after)) paths.push(section);
      continue;
    }
    for (const key of keys) {
      if (differ(valueAt(before, key), valueAt(after, key))) paths.push(`${section}.${key}`);
    }
  }
  // The certificate can be replaced; whether there is one cannot.
  if ((running.http.tls === undefined) !== (next.http.tls === undefined)) paths.push("http.tls");
  if (differ(withoutLevels(running.log.setup), withoutLevels(next.log.setup))) paths.push("log.setup");
  return paths;
}

/**
 * The configuration that a gateway runs with which was started with one and has taken over another: what only a restart
 * changes is the former's.
 */
export function inEffect(started: Config, now: Config): Config {
  const config: Record<string, unknown> = { ...now };
  for (const [section, ...keys] of onceOnly) {
    const former = started[section];
    config[section] =
      keys.length === 0
        ? former
        : {
            ...(now[section] as object),
            ...Object.fromEntries(keys.map((key) => [key, valueAt(former, key)])),
          };
  }
  const isSecured = started.http.tls !== undefined;
  if (isSecured !== (now.http.tls !== undefined)) {
    const { tls: _tls, ...http } = config["http"] as Config["http"];
    config["http"] = started.http.tls === undefined ? http : { ...http, tls: started.http.tls };
  }
  return config as unknown as Config;
}

function valueAt(section: unknown, key: string): unknown {
  return (section as Readonly<Record<string, unknown>>)[key];
}

/** Values of a configuration are JSON, in the order of its schema. */
function differ(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) !== JSON.stringify(right);
}

/** Destinations and formats; the level alone is changed by a reload. */
function withoutLevels(setup: unknown): unknown {
  return JSON.parse(
    JSON.stringify(setup ?? null, (key, value: unknown) => (key === "level" ? undefined : value)),
  ) as unknown;
}
