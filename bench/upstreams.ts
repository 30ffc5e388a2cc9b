import { fileURLToPath } from "node:url";
import { MeasuredProcess } from "./measured-process.ts";

/** Where the upstreams of a benchmark are, and the files that a gateway needs for them. */
export interface UpstreamAddresses {
  readonly apns: string;
  readonly fcm: string;
  /** The beginning of every Web Push endpoint. */
  readonly webPush: string;
  /** A `sygnal.yaml` with an app for each. */
  readonly config: string;
  readonly ca: string;
}

/** What the upstreams' process is asked; it always answers with its count of requests. */
export type UpstreamRequest = { readonly latencyMs: number } | { readonly count: true };

/** The upstreams of a benchmark, in a process of their own. */
export interface BenchUpstreams {
  readonly process: MeasuredProcess;
  readonly addresses: UpstreamAddresses;
  setLatency(latencyMs: number): Promise<void>;
  requests(): Promise<number>;
}

/** `lean` answers and checks nothing; `sim` is this project's simulators. */
export type UpstreamKind = "lean" | "sim";

export async function startUpstreams(directory: string, kind: UpstreamKind): Promise<BenchUpstreams> {
  const script = fileURLToPath(new URL("upstreams-child.ts", import.meta.url));
  const process = new MeasuredProcess(script, [directory, kind], { logFile: `${directory}/upstreams.log` });
  const { addresses } = await process.message<{ addresses: UpstreamAddresses }>();
  const ask = async (request: UpstreamRequest): Promise<number> =>
    (await process.ask<{ requests: number }>(request)).requests;
  return {
    process,
    addresses,
    async setLatency(latencyMs) {
      await ask({ latencyMs });
    },
    requests: () => ask({ count: true }),
  };
}
