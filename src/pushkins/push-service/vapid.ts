import { webPush } from "./web-push.ts";
import type { Clock } from "../../clock.ts";
import { RecentMap } from "../../core/recent-map.ts";
import type { VapidKey } from "./vapid-key.ts";

/** RFC 8292 allows 24 hours; half of it leaves room for clocks that differ (UW09). */
const LIFE_S = 12 * 60 * 60;
/** Origins come from strangers. */
const MAX_ORIGINS = 1_000;

/** Says to push services who is sending: a signed header, made once per origin and renewed at half its life. */
export class Vapid {
  readonly key: VapidKey;
  readonly #subject: string;
  readonly #clock: Clock;
  /** Oldest use first. */
  readonly #headers = new RecentMap<{ readonly header: string; readonly renewAtMs: number }>();

  /** @param subject `mailto:` or `https:` */
  constructor(key: VapidKey, subject: string, clock: Clock) {
    this.key = key;
    this.#subject = subject;
    this.#clock = clock;
  }

  /** The `Authorization` header for requests to an origin. Signing takes longer than all else, so it is kept. */
  header(origin: string): string {
    const nowMs = this.#clock.now();
    const known = this.#headers.use(origin);
    // A clock that was set back has made a token that ends too late.
    const isFresh =
      known !== undefined && nowMs < known.renewAtMs && known.renewAtMs - nowMs <= (LIFE_S / 2) * 1_000;
    if (isFresh) return known.header;
    const entry = this.#sign(origin, nowMs);
    this.#headers.set(origin, entry);
    if (this.#headers.size > MAX_ORIGINS) this.#headers.delete(this.#headers.oldest()?.key ?? "");
    return entry.header;
  }

  /** The push service refuses this header: the next one is new. Does nothing when a newer one is there. */
  invalidate(origin: string, header: string): void {
    if (this.#headers.get(origin)?.header === header) this.#headers.delete(origin);
  }

  #sign(origin: string, nowMs: number): { readonly header: string; readonly renewAtMs: number } {
    const { Authorization: header } = webPush().getVapidHeaders(
      origin,
      this.#subject,
      this.key.publicKey,
      this.key.privateKey,
      "aes128gcm",
      Math.floor(nowMs / 1_000) + LIFE_S,
    );
    return { header, renewAtMs: nowMs + (LIFE_S / 2) * 1_000 };
  }
}

/** A configured contact as a VAPID `sub`: an address gets `mailto:`, as in Sygnal. */
export function vapidSubject(contact: string): string {
  const trimmed = contact.trim();
  return /^(?:mailto|https):/i.test(trimmed) ? trimmed.replace(/^(mailto:)\s+/i, "$1") : `mailto:${trimmed}`;
}
