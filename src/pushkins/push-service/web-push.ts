import { createRequire } from "node:module";
import type * as WebPush from "web-push";

const require = createRequire(import.meta.url);
let loaded: typeof WebPush | undefined;

/** The library, loaded with the first message or signature: it brings forty modules that other apps have no use for. */
export function webPush(): typeof WebPush {
  loaded ??= require("web-push") as typeof WebPush;
  return loaded;
}
