import type { Digest, Outbox } from "../store/store.ts";
import { RecentMap } from "./recent-map.ts";

/** Devices whose latest badge is remembered; the oldest are forgotten. */
const MAX = 65_536;

/**
 * When the newest push of each device and slot was handed over: an older one must not come after it (P8). What is
 * promised already is told at once, so that neither a restart nor another replica sends it; what this process promises
 * later is looked at by whoever promises.
 */
export class LatestBySlot {
  readonly #latest = new RecentMap<number>();
  readonly #outbox: Pick<Outbox, "supersede"> | undefined;

  /** @param outbox absent where nothing can be promised */
  constructor(outbox?: Pick<Outbox, "supersede">) {
    this.#outbox = outbox;
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
    if (this.#latest.size > MAX) this.#latest.delete(this.#latest.oldest()?.key ?? "");
    return this.#outbox?.supersede({ app, device, slot, receivedAtMs });
  }

  /** A newer one has been handed over already. */
  isOlder(app: string, device: Digest, slot: string, receivedAtMs: number): boolean {
    const known = this.#latest.get(`${device} ${slot} ${app}`);
    return known !== undefined && known > receivedAtMs;
  }
}
