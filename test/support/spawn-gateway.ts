import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { compiledBefore } from "./compile-cache.ts";

const bin = fileURLToPath(new URL("../../bin/signalbox.js", import.meta.url));

/** A command of ours in a process of its own. */
export interface Spawned {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when the text has been printed on either stream; rejects when the process ends or 15 s pass first. */
  printed(text: string): Promise<void>;
  /** The exit code, or the signal that ended it. */
  ended(): Promise<number | string>;
}

/** Runs `signalbox …` in `cwd` with nothing of the environment but what is given. */
export function spawnSignalbox(
  args: readonly string[],
  options: {
    readonly cwd: string;
    readonly env?: Readonly<Record<string, string>>;
    /** Standard input; empty when absent. */
    readonly input?: string;
  },
): Spawned {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env["PATH"], ...compiledBefore, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end(options.input);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  // Not "exit": what was printed last may be read after that.
  const exit = once(child, "close") as Promise<[number | null, string | null]>;
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    async ended() {
      const [code, signal] = await exit;
      return code ?? signal ?? "unknown";
    },
    printed(text) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (!(stdout + stderr).includes(text)) return;
          clearTimeout(timer);
          child.stdout.off("data", look);
          child.stderr.off("data", look);
          resolve();
        };
        const fail = (): void => reject(new Error(`not printed: ${text}\n${stdout}\n${stderr}`));
        const timer = setTimeout(fail, 15_000);
        child.stdout.on("data", look);
        child.stderr.on("data", look);
        child.once("close", () => {
          look();
          fail();
        });
        look();
      });
    },
  };
}
