import type { Clock } from "../clock.ts";
import type { AppConfig, Config } from "../config/schema.ts";
import type { App } from "../core/app.ts";
import { Guard, type AppGuard, type GuardPolicy } from "../core/guard.ts";
import { InFlight } from "../core/in-flight.ts";
import { Shared, type Pushkin } from "../core/pushkin.ts";
import { errorFields, type Log } from "../log.ts";
import type { KnownApp, KnownApps } from "../store/store.ts";
import { identityOf } from "./app-identity.ts";
import { reasonOf, StartError } from "./start-error.ts";

/** What apps are made with. */
export interface AppDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: KnownApps;
  /** How many threads have such apps each, and together one; absent = 1. */
  readonly threads?: number;
  /** An app's guard where it is in another thread; absent = here. */
  readonly guardFor?: (app: string, fingerprint: string, policy: GuardPolicy | undefined) => AppGuard;
}

/** The apps of one configuration, made and ready. */
export interface AppSet {
  readonly apps: ReadonlyMap<string, App>;
  /** By app: what would have to change for a reload to make it anew. */
  readonly identities: ReadonlyMap<string, string>;
  readonly shared: Shared;
}

/** How a reload's apps differ from those before, by their keys in the configuration. */
export interface AppChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Still there, with another pushkin. */
  readonly changed: readonly string[];
}

/**
 * Makes a pushkin for every app of the configuration. With a former set, an app in which nothing has changed goes on
 * as it is, connections and all. Rejects with `StartError`, having freed what it had made.
 *
 * @param known what the store remembers of apps
 */
export async function createApps(
  config: Config,
  known: readonly KnownApp[],
  deps: AppDeps,
  former?: AppSet,
): Promise<AppSet> {
  const shared = new Shared(former?.shared);
  const apps = new Map<string, App>();
  const identities = new Map<string, string>();
  const made: Pushkin[] = [];
  try {
    for (const [name, app] of config.apps) {
      // Read before the pushkin reads its files: a file written in between makes the next reload take it anew.
      const identity = await identityOf(app, [config.proxy, config.outbound, config.upstream]);
      const pushkin = await createPushkin(name, app, config, shared, deps);
      made.push(pushkin);
      const before = former?.apps.get(name);
      const isSame =
        identity === former?.identities.get(name) && pushkin.fingerprint === before?.pushkin.fingerprint;
      if (before !== undefined && isSame) await pushkin.close(AbortSignal.abort());
      const guard = guardFor(name, pushkin, config, known, deps, before);
      apps.set(name, {
        name,
        pushkin: before !== undefined && isSame ? before.pushkin : pushkin,
        guard,
        inFlight:
          before !== undefined && isSame
            ? before.inFlight
            : new InFlight(inFlightLimit(app, deps.threads ?? 1)),
      });
      identities.set(name, identity);
    }
  } catch (error) {
    await Promise.allSettled(made.map((pushkin) => pushkin.close(AbortSignal.abort())));
    throw error;
  }
  shared.forgetFormer();
  return { apps, identities, shared };
}

/** What a reload changes among the apps. */
export function changesBetween(former: AppSet, next: AppSet): AppChanges {
  const names = [...next.apps.keys()];
  return {
    added: names.filter((name) => !former.apps.has(name)),
    removed: [...former.apps.keys()].filter((name) => !next.apps.has(name)),
    changed: names.filter((name) => {
      const before = former.apps.get(name);
      return before !== undefined && before.pushkin !== next.apps.get(name)?.pushkin;
    }),
  };
}

async function createPushkin(
  name: string,
  { type, options }: AppConfig,
  config: Config,
  shared: Shared,
  { clock, log, threads }: AppDeps,
): Promise<Pushkin> {
  try {
    return await type.create(name, options, {
      clock,
      log: log.child({ app: name }),
      shared,
      outbound: config.outbound,
      http2Client: config.upstream.http2,
      http2ToPushServices: config.upstream.http2_to_push_services,
      ...(threads === undefined ? {} : { threads }),
      ...(config.proxy === undefined ? {} : { proxy: new URL(config.proxy) }),
    });
  } catch (error) {
    throw new StartError(`apps[${JSON.stringify(name)}]: ${reasonOf(error)}`);
  }
}

/** The guard of before while credentials, topic and environment are what they were: it knows more than the store. */
function guardFor(
  name: string,
  { fingerprint }: Pushkin,
  { rejections }: Config,
  known: readonly KnownApp[],
  { clock, guardFor: guardElsewhere, log, store }: AppDeps,
  before: App | undefined,
): AppGuard {
  const { enabled, share, minimum, window } = rejections.guard;
  const policy = enabled ? { share, minimum, windowMs: window } : undefined;
  if (before?.pushkin.fingerprint === fingerprint && before.guard.hasPolicy(policy)) return before.guard;
  if (guardElsewhere !== undefined) return guardElsewhere(name, fingerprint, policy);
  return new Guard({
    app: name,
    fingerprint,
    policy,
    known: known.find((entry) => entry.app === name),
    clock,
    store,
    onStoreError: (error) => log.warn("the guard's state was not stored", errorFields(error)),
  });
}

/** Every type of app has the option; its schema gives the default. */
function inFlightLimit({ options }: AppConfig, threads: number): number {
  const limit = options["inflight_request_limit"];
  const inAll = typeof limit === "number" ? limit : 512;
  return inAll === 0 ? 0 : Math.max(1, Math.floor(inAll / threads));
}
