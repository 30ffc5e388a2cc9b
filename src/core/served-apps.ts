import type { Clock } from "../clock.ts";
import type { KnownApp } from "../store/store.ts";
import { AppRouter } from "./app-router.ts";
import type { App } from "./app.ts";
import { RetiredApps } from "./retired-apps.ts";

/** The apps that are served and those that were until lately: what a reload replaces, all of it at once. */
export class ServedApps {
  readonly #clock: Clock;
  readonly #byName = new Map<string, App>();
  #router = new AppRouter<App>([]);
  #retired: RetiredApps;

  constructor(apps: ReadonlyMap<string, App>, known: readonly KnownApp[], clock: Clock) {
    this.#clock = clock;
    this.#retired = new RetiredApps([], new Set(), clock);
    this.replace(apps, known);
  }

  /** By key of the configuration. The same map for good: it always holds the apps of the moment. */
  get byName(): ReadonlyMap<string, App> {
    return this.#byName;
  }

  /** The app that serves this app_id, or undefined when none is configured. */
  find(appId: string): App | undefined {
    return this.#router.find(appId);
  }

  /** What serves in an app's place since a reload, if it can send what the former has rendered; else the app itself. */
  latest(app: App): App {
    const now = this.#byName.get(app.name);
    return now?.pushkin.type === app.pushkin.type ? now : app;
  }

  /** The key under which this app_id was served lately, though not now; its pushers are left alone (D8). */
  findRetired(appId: string): string | undefined {
    return this.#retired.find(appId);
  }

  /**
   * From now on these are served.
   *
   * @param known what the store remembers, the apps that go among it
   */
  replace(apps: ReadonlyMap<string, App>, known: readonly KnownApp[]): void {
    this.#byName.clear();
    for (const [name, app] of apps) this.#byName.set(name, app);
    this.#router = new AppRouter(apps);
    this.#retired = new RetiredApps(known, new Set(apps.keys()), this.#clock);
  }
}
