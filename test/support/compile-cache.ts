import { fileURLToPath } from "node:url";

/**
 * The environment in which Node keeps what it has compiled, so that the next process of a test starts in half the time.
 * Beside the packages, not in a folder that others may write to.
 */
export const compiledBefore: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../node_modules/.cache/compiled", import.meta.url)),
};

/** For processes whose start is measured: it must be the one that users see. */
export const compiledAnew: Readonly<Record<string, string>> = { NODE_DISABLE_COMPILE_CACHE: "1" };
