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
  /** APNs: the device's own, where it was registered for a bundle id. */
  readonly apnsTopic?: string;
}

/** What Apple appends to a bundle id to make a topic of it (apns.md 2). */
const TOPIC_SUFFIXES: ReadonlySet<string> = new Set([
  "",
  ".voip",
  ".voip-ptt",
  ".complication",
  ".location-query",
  ".pushkit.fileprovider",
  ".push-type.controls",
  ".push-type.liveactivity",
  ".push-type.widgets",
]);
/** The team id and its dot. */
const TEAM_LENGTH = 11;

/** Account or selector -> its devices, from the store. All methods reject with `StoreError` only. */
export class Audience {
  readonly #devices: Devices;
  readonly #servedAs: (appId: string) => string | undefined;

  /** @param servedAs what is configured for this app_id, by its key: what nobody serves cannot be sent to */
  constructor(devices: Devices, servedAs: (appId: string) => string | undefined) {
    this.#devices = devices;
    this.#servedAs = servedAs;
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
    const served = registered.filter(({ appId }) => this.#servedAs(appId) !== undefined);
    const withMessages = new Set(served.filter(({ kind }) => kind === "messages").map(phoneOf));
    const chosen = new Map<string, RegisteredDevice>();
    for (const device of served) {
      if (device.kind === "calls" && withMessages.has(phoneOf(device))) continue;
      const earlier = chosen.get(device.device);
      // One phone with two selectors, or registered at both doors: the latest report knows it best.
      if (earlier === undefined || device.lastSeenMs > earlier.lastSeenMs) chosen.set(device.device, device);
    }
    return [...chosen.values()].map((device) => addressed(device, this.#servedAs(device.appId)));
  }
}

function phoneOf({ owner, selector }: RegisteredDevice): string {
  return JSON.stringify([owner, selector]);
}

function addressed(device: RegisteredDevice, servedAs: string | undefined): AudienceDevice {
  const { appId, lastSeenMs, owner, pushkey, sandbox, selector } = device;
  const apnsTopic = appId === servedAs ? topicOf(device) : undefined;
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

/**
 * The topic of a registered application id (registry.md), for an app that is configured by its name; of a glob's, the
 * app's own. A topic that cannot be this bundle's is not used: Apple would refuse our credentials for it, and that
 * would open the circuit for everybody else's devices.
 */
function topicOf({ apnsTopic, applicationId }: RegisteredDevice): string | undefined {
  if (applicationId === undefined) return undefined;
  const bundleId = applicationId.slice(TEAM_LENGTH);
  const isOfBundle =
    apnsTopic?.startsWith(bundleId) === true && TOPIC_SUFFIXES.has(apnsTopic.slice(bundleId.length));
  return isOfBundle ? apnsTopic : bundleId;
}
