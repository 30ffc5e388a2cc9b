import type { Clock } from "../clock.ts";
import { RETIRED_APP_HOLD_MS } from "../core/retired-apps.ts";
import { errorFields, type Log } from "../log.ts";
import type { Store } from "../store/store.ts";

const HOUR_MS = 60 * 60 * 1_000;
/** A wall clock that moved this far from the monotonic one is not believed before the next look (PR09). */
const CLOCK_JUMP_MS = 60_000;

/** What the upkeep looks after. */
export interface UpkeepOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** The apps of the moment, by their keys in the configuration. */
  readonly appNames: () => Iterable<string>;
}

/** Hourly: what has expired leaves the store, and it is noted which apps are still configured (D8). Returns its end. */
export function startUpkeep(options: UpkeepOptions): () => void {
  const { clock, log } = options;
  let cancel = (): void => {};
  let drift = clock.now() - clock.monotonic();
  const next = (): void => {
    cancel = clock.schedule(HOUR_MS, () => {
      const driftNow = clock.now() - clock.monotonic();
      const jumped = Math.abs(driftNow - drift) > CLOCK_JUMP_MS;
      drift = driftNow;
      if (jumped) {
        log.warn(
          "the clock has jumped: nothing is deleted from the store before it has been looked at again",
        );
      }
      const work = jumped ? Promise.resolve() : prune(options);
      work.catch((error: unknown) => log.warn("the store's upkeep failed", errorFields(error))).finally(next);
    });
  };
  next();
  return () => cancel();
}

/** Takes note that these apps are configured now. Rejects with `StoreError`. */
export async function noteConfigured(store: Store, apps: Iterable<string>, clock: Clock): Promise<void> {
  const lastConfiguredAtMs = clock.now();
  await Promise.all([...apps].map((app) => store.knownApps.update(app, { lastConfiguredAtMs })));
}

async function prune({ appNames, clock, store }: UpkeepOptions): Promise<void> {
  const nowMs = clock.now();
  await noteConfigured(store, appNames(), clock);
  await store.knownApps.forget(nowMs - 4 * RETIRED_APP_HOLD_MS);
  await store.prune(nowMs);
}
