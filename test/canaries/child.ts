/* Loaded before anything else in every process that a test of a canary run starts. */
import { registerHooks } from "node:module";
import { changed, type Mode } from "./changes.ts";
import { tap } from "./tap.ts";

Object.assign(globalThis, { [Symbol.for("signalbox.canaries")]: tap });
const mode = process.env["SIGNALBOX_CANARIES_MODE"] as Mode;
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith("file:") || !url.endsWith(".ts")) return loaded;
    if (loaded.source === undefined || loaded.source === null) return loaded;
    const source =
      typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
    return { ...loaded, source: changed(new URL(url).pathname, source, mode) };
  },
});
