import type { Digest } from "../store/store.ts";
import { RecentMap } from "./recent-map.ts";

/** Devices whose latest badge is remembered; the oldest are forgotten. */
const MAX = 65_536;

/** When the newest push of each device and slot was handed over: an older one must not come after it (P8). */
export class LatestBySlot {
  readonly #latest = new RecentMap<number>();

  /** @param receivedAtMs when the push had come that was handed over */
  note(app: string, device: Digest, slot: string, receivedAtMs: number): void {
    const key = `${device} ${slot} ${app}`;
    const known = this.#latest.get(key);
    if (known !== undefined && known > receivedAtMs) return;
    this.#latest.set(key, receivedAtMs);
    if (this.#latest.size > MAX) this.#latest.delete(this.#latest.oldest()?.key ?? "");
  }

  /** A newer one has been handed over already. */
  isOlder(app: string, device: Digest, slot: string, receivedAtMs: number): boolean {
    const known = this.#latest.get(`${device} ${slot} ${app}`);
    return known !== undefined && known > receivedAtMs;
  }
}
