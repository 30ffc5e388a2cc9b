import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { MeasuredProcess } from "./measured-process.ts";
import type { UpstreamAddresses } from "./upstreams.ts";

/** A relay that is measured. */
export interface Subject {
  readonly name: string;
  start(upstreams: UpstreamAddresses, directory: string): Promise<RunningSubject>;
}

/** A relay that runs. */
export interface RunningSubject {
  readonly name: string;
  /** Where to send notifications. */
  readonly url: string;
  readonly process: MeasuredProcess;
  /** It has `probe.ts` in it. */
  readonly hasProbe: boolean;
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const referenceRelay: Subject = {
  name: "reference relay",
  async start({ apns, ca, fcm }, directory) {
    const process = new MeasuredProcess(here("reference-relay.ts"), [apns, fcm, ca], {
      logFile: `${directory}/reference-relay.log`,
      probe: true,
    });
    const { url } = await process.message<{ url: string }>();
    return { name: this.name, url, process, hasProbe: true };
  },
};

/** What a configuration of the benchmark has at least. */
export interface BaseConfig {
  readonly apps: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Keys on top of a configuration, or what makes them of it. */
export type Extra = object | ((base: BaseConfig) => object);

/** A gateway's configuration: an app for each upstream, SQLite on disk, metrics on; `extra` on top. */
export function gatewayConfig(
  upstreams: UpstreamAddresses,
  directory: string,
  slug: string,
  extra: Extra = {},
): object {
  const base = parse(readFileSync(upstreams.config, "utf8"), { version: "1.1" }) as BaseConfig;
  return {
    ...base,
    http: { port: 0 },
    admin: { enabled: false },
    metrics: { prometheus: { enabled: true, address: "127.0.0.1", port: 0 } },
    store: { url: `sqlite:${directory}/${slug}.db` },
    ...(typeof extra === "function" ? extra(base) : extra),
  };
}

/**
 * The gateway as an operator runs it: `dist/`, SQLite on disk, access log and metrics on.
 * @param extra keys on top of the configuration
 */
export function gatewaySubject(
  options: {
    readonly name?: string;
    readonly main?: string;
    readonly extra?: Extra;
    /** Without it the process is as an operator's; nothing can be asked of it then. */
    readonly probe?: false;
    /** Fills the store's file before the start. */
    readonly prepare?: (storeFile: string) => Promise<void>;
    readonly nodeArgs?: readonly string[];
  } = {},
): Subject {
  const name = options.name ?? "signalbox";
  return {
    name,
    async start(upstreams, directory) {
      const slug = name.replaceAll(/\W+/g, "-");
      const config = gatewayConfig(upstreams, directory, slug, options.extra);
      await options.prepare?.(`${directory}/${slug}.db`);
      const hasProbe = options.probe !== false;
      const file = `${directory}/${slug}.yaml`;
      writeFileSync(file, stringify(config, { version: "1.1" }));
      const process = new MeasuredProcess(
        options.main ?? here("../dist/main.js"),
        ["serve", "--config", file],
        {
          logFile: `${directory}/${slug}.log`,
          cwd: directory,
          ...(hasProbe ? { probe: true as const } : {}),
          ...(options.nodeArgs === undefined ? {} : { nodeArgs: options.nodeArgs }),
        },
      );
      const port = Number((await process.logged(/"listening"[^\n]*?"port":(\d+)/))[1]);
      return { name, url: `http://127.0.0.1:${port}/_matrix/push/v1/notify`, process, hasProbe };
    },
  };
}

/** The gateway with its own HTTP/2 client towards the upstreams. */
export const leanGateway: Subject = gatewaySubject({
  name: "signalbox, lean",
  extra: { upstream: { http2: "lean" } },
});
