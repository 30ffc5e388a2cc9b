import type { Clock } from "../clock.ts";
import type { Outbox } from "../store/store.ts";

/** The outbox, with a stopwatch on each commit of pushes that are promised. Seconds. */
export function measuredOutbox(outbox: Outbox, clock: Clock, observe: (seconds: number) => void): Outbox {
  return {
    ...outbox,
    async put(entries, caps, lease) {
      const startedMs = clock.monotonic();
      const results = await outbox.put(entries, caps, lease);
      observe((clock.monotonic() - startedMs) / 1000);
      return results;
    },
  };
}
