import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What `probe.ts` says about a stretch of a process's life. */
export interface ProbeAnswer {
  readonly allocatedBytes: number;
  readonly heapUsedBytes: number;
  readonly loopDelayP999Ms: number;
  readonly loopDelayMaxMs: number;
}

/** What a process has used since it began, of all its threads, as Linux counts it. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** Linux's clock ticks a second, which is 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** Reads /proc: the same measure for every process, whatever it is written in. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in brackets may hold anything, so fields are counted from its end: state is the third field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  const rssKiB = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { cpuSeconds, rssBytes: Number(rssKiB ?? 0) * 1024 };
}

/** Open descriptors and threads of a process. */
export function handlesOf(pid: number): { readonly threads: number } {
  return {
    threads: Number(/^Threads:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0),
  };
}

/** A program of this benchmark, or one that it measures, in a process of its own. */
export class MeasuredProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly logFile: string;

  /**
   * @param options `nodeArgs` before the script; output goes to `logFile`, as a service manager would take it;
   * `program` runs instead of Node, and `env` is added to what it inherits
   */
  constructor(
    script: string,
    args: readonly string[],
    options: {
      readonly logFile: string;
      readonly nodeArgs?: readonly string[];
      readonly cwd?: string;
      readonly probe?: true;
      readonly program?: string;
      readonly env?: Readonly<Record<string, string>>;
    },
  ) {
    const log = openSync(options.logFile, "w");
    const probe =
      options.probe === true
        ? ["--expose-gc", "--import", fileURLToPath(new URL("probe.ts", import.meta.url))]
        : [];
    this.child = spawn(
      options.program ?? process.execPath,
      [...probe, ...(options.nodeArgs ?? []), script, ...args],
      {
        stdio: ["ignore", log, log, "ipc"],
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
    );
    closeSync(log);
    if (this.child.pid === undefined) throw new Error(`${script} did not start`);
    this.pid = this.child.pid;
    this.logFile = options.logFile;
  }

  /** The next message from the process; rejects when it ends or says nothing for a minute. */
  message<T>(withinMs = 60_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (work: () => void): void => {
        clearTimeout(timer);
        this.child.off("message", onMessage);
        this.child.off("exit", onExit);
        work();
      };
      const onMessage = (message: unknown): void => done(() => resolve(message as T));
      const onExit = (): void => done(() => reject(this.#failure("ended")));
      const timer = setTimeout(() => done(() => reject(this.#failure("said nothing"))), withinMs);
      this.child.on("message", onMessage);
      this.child.on("exit", onExit);
    });
  }

  ask<T>(message: object | string, withinMs?: number): Promise<T> {
    const answer = this.message<T>(withinMs);
    this.child.send(message);
    return answer;
  }

  /** Resolves with the log's first match; rejects when the process ends or 15 s pass first. */
  async logged(pattern: RegExp): Promise<RegExpExecArray> {
    const deadlineMs = performance.now() + 15_000;
    while (performance.now() < deadlineMs && this.child.exitCode === null) {
      const match = pattern.exec(readFileSync(this.logFile, "utf8"));
      if (match !== null) return match;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw this.#failure("did not start");
  }

  usage(): Usage {
    return usageOf(this.pid);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 30_000);
    await exited;
    clearTimeout(timer);
  }

  #failure(what: string): Error {
    const tail = readFileSync(this.logFile, "utf8").slice(-2000);
    return new Error(`a process of the benchmark ${what}: ${this.child.spawnargs.join(" ")}\n${tail}`);
  }
}
