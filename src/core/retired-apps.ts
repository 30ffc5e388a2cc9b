import type { Clock } from "../clock.ts";
import type { KnownApp } from "../store/store.ts";
import { AppRouter } from "./app-router.ts";

/** How long the pushers of an app that is no longer configured are left alone (D8). */
export const RETIRED_APP_HOLD_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Apps that this gateway has served and that the configuration no longer names: a typo in a key, or an app taken out
 * by mistake, must not unregister its users, so they are held for a week after the app was last configured (C05).
 */
export class RetiredApps {
  readonly #router: AppRouter<KnownApp>;
  readonly #clock: Clock;

  constructor(known: readonly KnownApp[], configured: ReadonlySet<string>, clock: Clock) {
    const retired = known.filter((entry) => entry.served && !configured.has(entry.app));
    this.#router = new AppRouter(retired.map((entry) => [entry.app, entry] as const));
    this.#clock = clock;
  }

  /** The key under which this app_id was served lately, or undefined when it never was or too long ago. */
  find(appId: string): string | undefined {
    const entry = this.#router.find(appId);
    if (entry === undefined) return undefined;
    return this.#clock.now() - entry.lastConfiguredAtMs < RETIRED_APP_HOLD_MS ? entry.app : undefined;
  }
}
