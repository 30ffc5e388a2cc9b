import type { Digest, Outbox, SupersededEntry } from "../store/store.ts";
import { RecentMap } from "./recent-map.ts";

/** Devices whose latest badge is remembered; the oldest are forgotten. */
const MAX = 65_536;

/** The newest of the times given under each name, as far as there is room for them. */
export interface LatestTimes {
  get(name: string): number | undefined;
  set(name: string, timeMs: number): void;
}

/** Told of a device's waiting pushes that a newer one has ended. */
export type TellSuperseded = (app: string, device: Digest, ended: readonly SupersededEntry[]) => void;

/** In this thread alone. */
class OwnTimes implements LatestTimes {
  readonly #times = new RecentMap<number>();

  get(name: string): number | undefined {
    return this.#times.get(name);
  }

  set(name: string, timeMs: number): void {
    this.#times.set(name, timeMs);
    if (this.#times.size > MAX) this.#times.delete(this.#times.oldest()?.key ?? "");
  }
}

/**
 * When the newest push of each device and slot was handed over: an older one must not come after it (P8). What is
 * promised already is told at once, so that neither a restart nor another replica sends it; what this process promises
 * later is looked at by whoever promises.
 */
export class LatestBySlot {
  readonly #latest: LatestTimes;
  readonly #outbox: Pick<Outbox, "supersede"> | undefined;
  readonly #tell: TellSuperseded;

  /**
   * @param outbox absent where nothing can be promised
   * @param times absent = this thread's own
   */
  constructor(
    outbox?: Pick<Outbox, "supersede">,
    times: LatestTimes = new OwnTimes(),
    tell: TellSuperseded = () => {},
  ) {
    this.#outbox = outbox;
    this.#tell = tell;
    this.#latest = times;
  }

  /**
   * Without a wait where no older one can be promised; else the older ones are out of the outbox when it resolves.
   * Rejects with `StoreError` only; it is remembered here all the same.
   *
   * @param receivedAtMs when the push had come that was handed over
   */
  note(app: string, device: Digest, slot: string, receivedAtMs: number): undefined | Promise<void> {
    const key = `${device} ${slot} ${app}`;
    const known = this.#latest.get(key);
    if (known !== undefined && known > receivedAtMs) return undefined;
    this.#latest.set(key, receivedAtMs);
    return this.#outbox
      ?.supersede({ app, device, slot, receivedAtMs })
      ?.then((ended) => this.#tell(app, device, ended));
  }

  /** A newer one has been handed over already. */
  isOlder(app: string, device: Digest, slot: string, receivedAtMs: number): boolean {
    const known = this.#latest.get(`${device} ${slot} ${app}`);
    return known !== undefined && known > receivedAtMs;
  }
}
