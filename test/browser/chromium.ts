import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser } from "playwright-core";

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

const executablePath = findChromium();
const isRequired = process.env[REQUIRED] === "1";
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

if (executablePath === undefined && !isRequired) {
  console.warn(
    `No Chromium is found: the browser's tests are skipped. With ${REQUIRED}=1 they fail instead.`,
  );
}

/** Tests that are skipped where there is no browser. */
export const inBrowser = executablePath === undefined && !isRequired ? describe.skip : describe;

/** Starts it; may take most of a minute on a machine that has just started. */
export function launchChromium(): Promise<Browser> {
  if (executablePath === undefined) throw new Error(`${REQUIRED} is set, and no Chromium is found`);
  return chromium.launch({ executablePath, args: FLAGS, timeout: 60_000 });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
