import { checkDigests } from "./digest.ts";
import type { Client } from "./sqlite-client.ts";
import type { Devices } from "./store.ts";

/** Registered devices in the store's file. */
export function sqliteDevices(client: Client): Devices {
  return {
    async report(reports) {
      checkDigests(...reports.devices.map(({ device }) => device));
      return client.ask("deviceReport", reports);
    },
    async remove(owner, which) {
      checkDigests(...(which.devices ?? []));
      return client.ask("deviceRemove", { owner, ...which });
    },
    ofOwner: (owner) => client.ask("devicesOfOwner", { owner }),
    ofSelector: (selector) => client.ask("devicesOfSelector", { selector }),
    async removeRejected(device, sinceMs) {
      checkDigests(device);
      await client.ask("deviceRejected", { device, sinceMs });
    },
    count: () => client.ask("deviceCount", {}),
  };
}
