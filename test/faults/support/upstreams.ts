import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Rule } from "../../../src/simulator/script.ts";
import type { WorkspaceFiles } from "../../../src/simulator/workspace.ts";
import { compiledBefore } from "../../support/compile-cache.ts";

/** The simulators in their own process, steered over their control server. */
export interface Upstreams {
  readonly apns: string;
  readonly fcm: string;
  readonly keyId: string;
  readonly teamId: string;
  readonly projectId: string;
  readonly files: WorkspaceFiles;
  /** Adds rules; the numbers are for `removeRule`. */
  addRules(...rules: readonly Rule[]): Promise<readonly number[]>;
  removeRule(id: number): Promise<void>;
  clearRules(): Promise<void>;
  /** Milliseconds before each answer. */
  latency(upstream: "apns" | "fcm", delayMs: number): Promise<void>;
  /** Cuts every connection of one upstream. */
  closeConnections(upstream: "apns" | "fcm"): Promise<void>;
  stop(): Promise<void>;
}

type Described = Pick<Upstreams, "apns" | "fcm" | "keyId" | "teamId" | "projectId" | "files"> & {
  readonly control: string;
};

/** Starts the simulators; every push they see is appended to the ledger. */
export async function startUpstreams(
  directory: string,
  ledgerFile: string,
  latencyMs: number,
): Promise<Upstreams> {
  const program = fileURLToPath(new URL("./upstreams-child.ts", import.meta.url));
  const child = spawn(process.execPath, [program, directory, ledgerFile, String(latencyMs)], {
    env: { ...process.env, ...compiledBefore },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    exited.then(() => Promise.reject(new Error("the simulators did not start"))),
  ]);
  const { control, ...described } = JSON.parse(String(line[0])) as Described;
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${control}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    ...described,
    async addRules(...rules) {
      return ((await call("POST", "/rules", rules)) as { ids: number[] }).ids;
    },
    async removeRule(id) {
      await call("DELETE", `/rules/${id}`);
    },
    async clearRules() {
      await call("DELETE", "/rules");
    },
    async latency(upstream, delay) {
      await call("POST", "/latency", { upstream, delay });
    },
    async closeConnections(upstream) {
      await call("POST", "/connections", { upstream, close: true });
    },
    async stop() {
      child.stdin.end();
      await exited;
    },
  };
}
