import type { Clock } from "../clock.ts";
import type { DeviceReport, Devices, RegisteredDevice } from "../store/store.ts";
import { registryFullAlarm } from "./alarms.ts";
import type { Digests } from "./digest.ts";
import type { Observer } from "./observer.ts";
import type { RejectionMemory } from "./rejections.ts";
import type { ServedApps } from "./served-apps.ts";

/** More than anybody has; beyond it those that were reported the longest ago leave. */
const MAX_PER_OWNER = 100;
/** How long the number of devices in the store is taken for what it was. */
const COUNT_FOR_MS = 60_000;

export type { RegisteredDevice };

/** One token as a door has understood it. */
export type Reported = Omit<DeviceReport, "device">;

/** What a door registers. */
export interface Report {
  /** The account's id. */
  readonly owner: string;
  /** For `messages` and `calls`. */
  readonly selector?: string;
  readonly userAgent?: string;
  /** Each for an app that is configured. */
  readonly devices: readonly Reported[];
  /** The owner's name was not checked, so a selector goes with whoever reports it last. */
  readonly isUnchecked?: true;
}

/** What became of a report: another account has the selector; the registry has no room. */
export type ReportResult = "stored" | "foreign-selector" | "full";

/** What the registrations are made of. */
export interface RegistrationsDeps {
  readonly devices: Devices;
  readonly rejections: RejectionMemory;
  readonly apps: ServedApps;
  readonly digests: Digests;
  readonly observer: Pick<Observer, "alarm">;
  readonly clock: Clock;
  /** Devices in all; absent = a million. */
  readonly maxDevices?: number;
}

/** Accounts' devices: reported, listed, removed. All methods reject with `StoreError`, or for a bug of ours. */
export class Registrations {
  /** Devices in all. A reload changes it. */
  maxDevices: number;
  readonly #deps: RegistrationsDeps;
  #counted: { readonly devices: Promise<number>; readonly untilMs: number } | undefined;

  constructor(deps: RegistrationsDeps) {
    this.#deps = deps;
    this.maxDevices = deps.maxDevices ?? 1_000_000;
  }

  /** Stores all of a report or nothing; durable when it resolves. */
  async report({ owner, selector, userAgent, devices, isUnchecked }: Report): Promise<ReportResult> {
    const { clock, observer, rejections } = this.#deps;
    // A phone that is known may always bring its new token: it takes no more room.
    if ((await this.count()) >= this.maxDevices && !(await this.#isKnown(owner, selector, devices))) {
      observer.alarm(registryFullAlarm);
      return "full";
    }
    const named = devices.map((each) => ({ ...each, ...this.#nameOf(each) }));
    const result = await this.#deps.devices.report({
      owner,
      ...(selector === undefined ? {} : { selector }),
      ...(userAgent === undefined ? {} : { userAgent }),
      nowMs: clock.now(),
      devices: named.map(({ app: _, ...each }) => each),
      mayTakeSelector: isUnchecked === true,
      maxPerOwner: MAX_PER_OWNER,
    });
    if (result === "stored") {
      // Its app has it from the upstream just now: also who sends to the token without knowing of the report may try.
      await Promise.all(named.map(({ app, device }) => rejections.forget(app, device)));
    }
    return result;
  }

  /** The oldest first; also of apps that nobody serves any more. */
  list(owner: string): Promise<readonly RegisteredDevice[]> {
    return this.#deps.devices.ofOwner(owner);
  }

  /** Removes what of the owner's has this selector, is one of these devices, or both. Resolves with how many. */
  remove(
    owner: string,
    which: { readonly selector?: string; readonly devices?: readonly RegisteredDevice[] },
  ): Promise<number> {
    const { selector, devices } = which;
    return this.#deps.devices.remove(owner, {
      ...(selector === undefined ? {} : { selector }),
      ...(devices === undefined ? {} : { devices: devices.map(({ device }) => device) }),
    });
  }

  #nameOf({ appId, pushkey }: Reported): { readonly app: string; readonly device: string } {
    const app = this.#deps.apps.find(appId);
    if (app === undefined) throw new Error("a token of an app that is not configured was reported");
    return { app: app.name, device: this.#deps.digests.device(app.name, pushkey) };
  }

  /** Each of these stands already where it would be put. */
  async #isKnown(
    owner: string,
    selector: string | undefined,
    reported: readonly Reported[],
  ): Promise<boolean> {
    const registered = await this.#deps.devices.ofOwner(owner);
    return reported.every((each) => {
      const { device } = this.#nameOf(each);
      return registered.some(
        (known) =>
          known.kind === each.kind &&
          known.selector === selector &&
          (selector !== undefined || known.device === device),
      );
    });
  }

  /** Devices in all, as they were within the last minute. */
  async count(): Promise<number> {
    const nowMs = this.#deps.clock.monotonic();
    if (this.#counted === undefined || nowMs >= this.#counted.untilMs) {
      this.#counted = { devices: this.#deps.devices.count(), untilMs: nowMs + COUNT_FOR_MS };
    }
    try {
      return await this.#counted.devices;
    } catch (error) {
      this.#counted = undefined;
      throw error;
    }
  }
}
