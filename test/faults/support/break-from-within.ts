// Loaded into a gateway before its own code: on SIGUSR2 it does, from within, what the variable BREAK says. For faults
// that no outsider can cause: a bug that throws, a thread that dies.
import { subscribe } from "node:diagnostics_channel";
import { EventEmitter } from "node:events";
import type { Worker } from "node:worker_threads";

const canary = "canary-in-an-exception";
const workers: Worker[] = [];
subscribe("worker_threads", (message) => workers.push((message as { worker: Worker }).worker));

process.on("SIGUSR2", () => {
  switch (process.env["BREAK"]) {
    case "timer":
      setTimeout(() => {
        throw new Error(canary);
      }, 1);
      return;
    case "rejection":
      void Promise.reject(new Error(canary));
      return;
    case "emitter":
      new EventEmitter().emit("error", new Error(canary));
      return;
    case "handler":
      // In the midst of the next request, where Express catches nothing.
      setImmediate(() => process.nextTick(() => (undefined as unknown as () => void)()));
      return;
    case "store-thread":
      for (const worker of workers) void worker.terminate();
      return;
    case undefined:
    default:
      throw new Error("BREAK is not set");
  }
});
