// Which Node runs the gateway. This file, like all in bin/, must load on old versions of Node: no new syntax here.
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The first major version of Node that the gateway runs on. */
export const requiredMajor = 24;

/** @param {string} version such as "24.21.0" */
export function isNewEnough(version) {
  const major = Number(version.split(".")[0]);
  return Number.isInteger(major) && major >= requiredMajor;
}

/**
 * The Node that npm installed beside the gateway as an optional dependency, or undefined where there is none.
 * @param {string} from URL of the file whose node_modules folders are searched
 */
export function findPinnedNode(from) {
  if (process.platform !== "linux") return undefined;
  try {
    const manifest = createRequire(from).resolve("node-linux-" + process.arch + "/package.json");
    const path = join(dirname(manifest), "bin", "node");
    const version = JSON.parse(readFileSync(manifest, "utf8")).version;
    return isNewEnough(String(version)) && existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** The one line for whoever has no Node that is new enough. */
export function tooOldMessage(program) {
  return (
    program +
    " needs Node " +
    requiredMajor +
    " or newer, and this is Node " +
    process.versions.node +
    ": install it from https://nodejs.org\n"
  );
}
