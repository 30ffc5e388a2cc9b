/** The callers of a benchmark, in a process of their own: lays on what it is told and sends back the figures. */
import { readFileSync } from "node:fs";
import type { JsonValue } from "../src/json.ts";
import { Replay, type LoadApp } from "../src/load/replay.ts";
import { runLoad } from "../src/load/run.ts";

/** One stretch of load. */
export interface LoadOrder {
  readonly url: string;
  readonly apps: readonly LoadApp[];
  readonly callers: number;
  readonly durationMs: number;
  /** Absent: closed loop. */
  readonly perSecond?: number;
}

/** Recorded notifications that reach an upstream whichever app they are for, one device each. */
const bodies = (
  JSON.parse(readFileSync(new URL("fixtures/matrix-examples.json", import.meta.url), "utf8")) as {
    id: string;
    body: JsonValue;
  }[]
)
  .filter(({ id }) => ["9.1", "9.2", "9.3", "9.5", "9.7", "9.12"].includes(id))
  .map(({ body }) => body);

const replays = new Map<string, Replay>();

process.on("message", ({ url, apps, callers, durationMs, perSecond }: LoadOrder) => {
  const key = JSON.stringify(apps);
  const replay = replays.get(key) ?? new Replay(bodies, apps);
  replays.set(key, replay);
  void runLoad({
    target: { url: new URL(url), timeoutMs: 30_000 },
    next: () => replay.next(),
    callers,
    durationMs,
    ...(perSecond === undefined ? {} : { perSecond }),
  }).then((figures) => process.send?.(figures));
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
