import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Agent, request } from "node:http";
import type { Worker } from "node:worker_threads";
import type { RunningGateway } from "./with-gateway.ts";

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A connection that one thread of a gateway has accepted. */
export interface Caller {
  notify(notification: unknown): Promise<Answer>;
  close(): void;
}

/** Every thread that is started from now on, by its name, the latest last; until `stop`. */
export function watchThreads(): { readonly named: (name: string) => readonly Worker[]; stop(): void } {
  const workers: [name: string, worker: Worker][] = [];
  const hear = (message: unknown): void => {
    const { worker } = message as { readonly worker: Worker };
    // Not before it runs has it a name.
    worker.once("online", () => workers.push([String(worker.threadName), worker]));
  };
  subscribe("worker_threads", hear);
  return {
    named: (name) => workers.filter(([each]) => each === name).map(([, worker]) => worker),
    stop: () => unsubscribe("worker_threads", hear),
  };
}

/**
 * Connections to a gateway with two threads, one to each: the kernel chooses, so as many are made as it takes. Which
 * thread has one is told by whether the first thread counts what comes on it.
 */
export async function callersOf(running: RunningGateway): Promise<readonly [first: Caller, other: Caller]> {
  const callers: (Caller | undefined)[] = [undefined, undefined];
  for (let tries = 0; tries < 200; tries += 1) {
    const caller = connect(running.url);
    const before = await countedByFirst(running);
    await caller.notify("no notification");
    const index = (await countedByFirst(running)) > before ? 0 : 1;
    if (callers[index] === undefined) callers[index] = caller;
    else caller.close();
    const [first, other] = callers;
    if (first !== undefined && other !== undefined) return [first, other];
  }
  throw new Error("200 connections, and all went to one thread");
}

async function countedByFirst({ gateway }: RunningGateway): Promise<number> {
  const { registry } = gateway.inside;
  const metric = await registry.getSingleMetric("signalbox_door_answers_total")?.get();
  return metric?.values.reduce((sum, { value }) => sum + Number(value), 0) ?? 0;
}

function connect(url: string): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    notify: (notification) =>
      new Promise((resolve, reject) => {
        const body = JSON.stringify({ notification });
        const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
        const req = request(url, { agent, method: "POST", headers }, (res) => {
          let text = "";
          res.on("data", (chunk) => (text += String(chunk)));
          res.on("end", () => resolve({ status: res.statusCode ?? 0, body: JSON.parse(text) }));
          res.on("error", reject);
        });
        req.on("error", reject);
        req.end(body);
      }),
    close: () => agent.destroy(),
  };
}
