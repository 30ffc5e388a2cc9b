import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { skip } from "../fault.ts";

/** A system call fault that is in force until `end`. */
export interface Injection {
  end(): Promise<void>;
}

/** Ends the row as skipped where strace is missing or may not trace. */
export function needStrace(): void {
  const probe = spawnSync("strace", ["-e", "trace=none", "true"], { stdio: "ignore" });
  if (probe.error !== undefined) skip("strace is not installed (Debian: apt-get install strace)");
  if (probe.status !== 0) skip("strace may not trace here");
}

/** Ends the row as skipped where file systems may not be mounted. */
export function needMounts(): void {
  if (process.getuid?.() !== 0 || spawnSync("unshare", ["-m", "true"]).status !== 0) {
    skip("needs root, to mount a small file system");
  }
}

/**
 * Puts faults into a running process's system calls, all its threads, such as `fsync:error=EIO`. Resolves once it is
 * in force.
 *
 * @param log a file for what was traced
 */
export async function inject(pid: number, faults: readonly string[], log = "/dev/null"): Promise<Injection> {
  const calls = [...new Set(faults.map((fault) => fault.split(":")[0] ?? ""))].join(",");
  const child = spawn(
    "strace",
    [
      "-f",
      "-p",
      String(pid),
      "-o",
      log,
      "-e",
      `trace=${calls}`,
      ...faults.flatMap((fault) => ["-e", `inject=${fault}`]),
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const exited = once(child, "exit");
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`strace did not attach: ${said}`)), 5_000);
    child.stderr.on("data", (chunk) => {
      said += String(chunk);
      if (!said.includes("attached")) return;
      clearTimeout(timer);
      resolve();
    });
    child.once("exit", () => reject(new Error(`strace ended: ${said}`)));
    child.once("error", reject);
  });
  return {
    async end() {
      child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** The command that starts a program under strace with these faults. */
export function underStrace(faults: readonly string[], log: string, calls?: string): readonly string[] {
  const traced = calls ?? [...new Set(faults.map((fault) => fault.split(":")[0] ?? ""))].join(",");
  return [
    "strace",
    "-f",
    "-o",
    log,
    "-e",
    `trace=${traced}`,
    ...faults.flatMap((fault) => ["-e", `inject=${fault}`]),
  ];
}

/** The process that a wrapper such as strace has started: the one whose program is Node. */
export function childOf(pid: number): number {
  const found = spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" }).stdout.trim();
  return Number(found.split("\n")[0]);
}
