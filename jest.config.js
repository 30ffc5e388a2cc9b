import { enableCompileCache } from "node:module";
import { compiledBefore } from "./test/support/compile-cache.ts";

// Node keeps what it has compiled for every process and thread that tests start: a third of their time was that.
for (const [name, value] of Object.entries(compiledBefore)) process.env[name] ??= value;
enableCompileCache(process.env.NODE_COMPILE_CACHE);

/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  moduleFileExtensions: ["ts", "js", "cjs", "mjs", "json"],
  transform: { "\\.ts$": "<rootDir>/test/support/strip-types.cjs" },
  // Long: it is there for what hangs, and machines are slow where many tests run.
  testTimeout: 60_000,
  // Much of the time is spent waiting for sockets: as many workers as cores, not one fewer.
  maxWorkers: "100%",
};
