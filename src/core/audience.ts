import type { Devices, RegisteredDevice } from "../store/store.ts";

/** A registered device as a push is addressed to it: the fields are those of `Push`. */
export interface AudienceDevice {
  readonly owner: string;
  readonly selector?: string;
  readonly appId: string;
  readonly pushkey: string;
  /** When it was registered last, so that a report is stronger than a rejection before it. */
  readonly pushkeyTsMs: number;
  readonly environment?: "production" | "sandbox";
  /** APNs: the device's own, where it was registered with one. */
  readonly apnsTopic?: string;
}

/** Account or selector -> its devices, from the store. All methods reject with `StoreError` only. */
export class Audience {
  readonly #devices: Devices;
  readonly #isServed: (appId: string) => boolean;

  /** @param isServed whether something is configured for this app_id: what nobody serves cannot be sent to */
  constructor(devices: Devices, isServed: (appId: string) => boolean) {
    this.#devices = devices;
    this.#isServed = isServed;
  }

  /** Every device of an account, by its id, each once; the oldest first. */
  async ofOwner(owner: string): Promise<readonly AudienceDevice[]> {
    return this.#choose(await this.#devices.ofOwner(owner));
  }

  /**
   * The device that reported this selector.
   *
   * @param owner only when it is this account's
   */
  async ofSelector(selector: string, owner?: string): Promise<readonly AudienceDevice[]> {
    const found = await this.#devices.ofSelector(selector);
    return this.#choose(found.filter((device) => owner === undefined || device.owner === owner));
  }

  /** Of each selector the messages pair when there is one, else the calls pair (design, Settled points). */
  #choose(registered: readonly RegisteredDevice[]): readonly AudienceDevice[] {
    const served = registered.filter(({ appId }) => this.#isServed(appId));
    const withMessages = new Set(served.filter(({ kind }) => kind === "messages").map(phoneOf));
    const chosen = new Map<string, RegisteredDevice>();
    for (const device of served) {
      if (device.kind === "calls" && withMessages.has(phoneOf(device))) continue;
      const earlier = chosen.get(device.device);
      // One phone with two selectors, or registered at both doors: the latest report knows it best.
      if (earlier === undefined || device.lastSeenMs > earlier.lastSeenMs) chosen.set(device.device, device);
    }
    return [...chosen.values()].map(addressed);
  }
}

function phoneOf({ owner, selector }: RegisteredDevice): string {
  return JSON.stringify([owner, selector]);
}

function addressed(device: RegisteredDevice): AudienceDevice {
  const { apnsTopic, appId, lastSeenMs, owner, pushkey, sandbox, selector } = device;
  return {
    owner,
    ...(selector === undefined ? {} : { selector }),
    appId,
    pushkey,
    pushkeyTsMs: lastSeenMs,
    ...(sandbox === undefined ? {} : { environment: sandbox ? "sandbox" : "production" }),
    ...(apnsTopic === undefined ? {} : { apnsTopic }),
  };
}
