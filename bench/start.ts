/** How long a gateway takes from nothing to its first answer, and what it holds when nothing is asked of it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { MeasuredProcess } from "./measured-process.ts";
import { median } from "./measure.ts";
import { markdownTable } from "./report.ts";
import { gatewayConfig } from "./subjects.ts";
import { startUpstreams, type UpstreamAddresses } from "./upstreams.ts";

/** One start. */
export interface StartFigures {
  /** From the process's start to its first answer, `GET /health`. */
  readonly answerMs: number;
  /** Processor time until then, all threads. */
  readonly cpuMs: number;
  /** Two seconds later. */
  readonly idleRssMiB: number;
}

const idleMs = 2000;

/** Starts `dist/` so many times, one after another; the first, which reads everything from disk, counts like the others. */
export async function measureStarts(times: number): Promise<readonly StartFigures[]> {
  const directory = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
  try {
    const upstreams = await startUpstreams(directory, "lean");
    try {
      const figures: StartFigures[] = [];
      for (let i = 0; i < times; i += 1) figures.push(await startOnce(upstreams.addresses, directory));
      return figures;
    } finally {
      await upstreams.process.stop();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The medians as a table. */
export function startTable(figures: readonly StartFigures[]): string {
  const of = (read: (one: StartFigures) => number): string => median(figures.map(read)).toFixed(0);
  return markdownTable(
    ["of " + String(figures.length) + " starts", "median"],
    [
      ["to the first answer, ms", of(({ answerMs }) => answerMs)],
      ["processor time until then, ms", of(({ cpuMs }) => cpuMs)],
      ["idle RSS, MiB", of(({ idleRssMiB }) => idleRssMiB)],
    ],
  );
}

async function startOnce(upstreams: UpstreamAddresses, directory: string): Promise<StartFigures> {
  const port = await freePort();
  const file = `${directory}/start.yaml`;
  const config = gatewayConfig(upstreams, directory, "start", { http: { port } });
  writeFileSync(file, stringify(config, { version: "1.1" }));
  const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const startedMs = performance.now();
  const process = new MeasuredProcess(main, ["serve", "--config", file], {
    logFile: `${directory}/start.log`,
    cwd: directory,
  });
  try {
    while (!(await isHealthy(port))) {
      if (process.child.exitCode !== null || performance.now() - startedMs > 30_000)
        throw new Error("the gateway did not start");
      await sleep(2);
    }
    const answerMs = performance.now() - startedMs;
    const cpuMs = process.usage().cpuSeconds * 1000;
    await sleep(idleMs);
    return { answerMs, cpuMs, idleRssMiB: process.usage().rssBytes / 2 ** 20 };
  } finally {
    await process.stop("SIGKILL");
  }
}

function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: "127.0.0.1", path: "/health", agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
  });
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
