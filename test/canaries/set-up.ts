/* Before each test file of a canary run: the tap lives outside of Jest's sandbox, once a worker. */
import type { Tap } from "./tap.ts";

const { createRequire } = process.getBuiltinModule("node:module");
const { tap } = createRequire(import.meta.url)("./tap.ts") as { tap: Tap };
Object.assign(globalThis, { [Symbol.for("signalbox.canaries")]: tap });

afterAll(() => tap.flush());
