// Loaded by NODE_OPTIONS into every thread of a gateway before its own code: on SIGUSR2 the thread "gateway 1" does, from
// within, what the variable BREAK says.
import { BroadcastChannel, isMainThread, threadName } from "node:worker_threads";

const channel = new BroadcastChannel("break a thread");
channel.unref();

function breakIt(): void {
  switch (process.env["BREAK"]) {
    case "exception":
      setTimeout(() => {
        throw new Error("canary-in-an-exception");
      }, 1);
      return;
    case "rejection":
      void Promise.reject(new Error("canary-in-an-exception"));
      return;
    case "exit":
      process.exit(3);
      return;
    case "memory": {
      const held: unknown[] = [];
      for (;;) held.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
    }

    case "loop":
      for (;;);

    case undefined:
    default:
      throw new Error("BREAK is not set");
  }
}

if (isMainThread) process.on("SIGUSR2", () => channel.postMessage("now"));
else if (threadName === "gateway 1") channel.onmessage = breakIt;
