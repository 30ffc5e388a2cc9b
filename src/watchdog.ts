import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

const LOOK_EVERY_MS = 500;
/** A loop that was away for longer has made callers and upstreams wait; nothing here should do that (G14). */
const TOO_LONG_MS = 1_000;

/** Tells in the log when something has kept the event loop busy, or the machine asleep, for more than a second. */
export function startWatchdog(clock: Clock, log: Log): () => void {
  let cancel = (): void => {};
  const look = (): void => {
    const expectedMs = clock.monotonic() + LOOK_EVERY_MS;
    cancel = clock.schedule(LOOK_EVERY_MS, () => {
      const lateMs = clock.monotonic() - expectedMs;
      if (lateMs > TOO_LONG_MS) log.warn("the event loop was kept busy", { duration_ms: Math.round(lateMs) });
      look();
    });
  };
  look();
  return () => cancel();
}
