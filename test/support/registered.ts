import { systemClock } from "../../src/clock.ts";
import { Digests } from "../../src/core/digest.ts";
import { silentLog } from "../../src/log.ts";
import { openStore } from "../../src/store/open.ts";
import type { DeviceReport } from "../../src/store/store.ts";

/** A device that an owner has registered before a gateway starts with this database. */
export interface Registered extends Omit<DeviceReport, "device"> {
  readonly owner: string;
  readonly selector?: string;
}

/** Writes them as the registry's doors do. */
export async function register(storeFile: string, devices: readonly Registered[]): Promise<void> {
  const store = await openStore(`sqlite:${storeFile}`, {
    clock: systemClock,
    log: silentLog,
    onFailure() {},
  });
  const digests = new Digests(store.installationKey);
  for (const { owner, selector, ...device } of devices) {
    await store.devices.report({
      owner,
      ...(selector === undefined ? {} : { selector }),
      nowMs: systemClock.now() - 60_000,
      devices: [{ ...device, device: digests.device(device.appId, device.pushkey) }],
      mayTakeSelector: false,
      maxPerOwner: 100,
    });
  }
  await store.close();
}
