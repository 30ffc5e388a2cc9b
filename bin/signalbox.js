#!/usr/bin/env node
// Starts the gateway: in this process when its Node is new enough, else in the Node that npm installed beside it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { findPinnedNode, isNewEnough, tooOldMessage } from "./runtime.js";

const source = new URL("../src/main.ts", import.meta.url);
const built = new URL("../dist/main.js", import.meta.url);

if (isNewEnough(process.versions.node)) {
  // A checkout runs from source, so that an edit shows at once; the package and the image hold dist/ alone.
  const main = existsSync(built) && !existsSync(source) ? built : source;
  await import(main.href);
} else {
  const node = findPinnedNode(import.meta.url);
  if (node === undefined) {
    process.stderr.write(tooOldMessage("signalbox"));
    process.exitCode = 1;
  } else {
    runIn(node);
  }
}

/** Runs this very program in another Node and passes on everything: arguments, streams, signals, its end. */
function runIn(node) {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2", "SIGQUIT"];
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // Ctrl-C in a terminal reaches the child by itself: passed on as well, it would count as the second one.
  const isInTerminal = Boolean(process.stdin.isTTY);
  const forward = (signal) => {
    if (signal === "SIGINT" && isInTerminal) return;
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  child.on("error", (error) => {
    process.stderr.write("signalbox: cannot start " + node + ": " + (error.code || error.name) + "\n");
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    for (const each of signals) process.removeListener(each, forward);
    if (signal === null) {
      process.exitCode = code === null ? 1 : code;
      return;
    }
    // Ends as the child did, so that a supervisor sees the signal; a shell's number for it where that is not possible.
    process.exitCode = 128 + (constants.signals[signal] || 0);
    process.kill(process.pid, signal);
  });
}
