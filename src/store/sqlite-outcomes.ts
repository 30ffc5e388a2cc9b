import { checkDigests } from "./digest.ts";
import type { Client } from "./sqlite-client.ts";
import type { Outcomes } from "./store.ts";

/** What became of pushes lately, in the store's file. */
export function sqliteOutcomes(client: Client): Outcomes {
  return {
    shared: false,
    async put(outcomes, bounds) {
      for (const { device, event } of outcomes) checkDigests(device, ...(event === undefined ? [] : [event]));
      await client.ask("putOutcomes", { outcomes, ...bounds });
    },
    async find(by, limit) {
      checkDigests(...("devices" in by ? by.devices : "event" in by ? [by.event] : []));
      return client.ask("findOutcomes", { by, limit });
    },
  };
}
