import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Set in CI: without a Chromium the tests then fail instead of being skipped. */
export const REQUIRED = "SIGNALBOX_REQUIRE_BROWSER";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** A Chromium of the system's, or where `CHROMIUM_PATH` says; undefined when there is none. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const given = env["CHROMIUM_PATH"];
  if (given !== undefined && given !== "") return given;
  const folders = (env["PATH"] ?? "").split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
