import type { Clock } from "../clock.ts";
import type { Loaded } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Config } from "../config/schema.ts";
import { reloadAlarm } from "../core/alarms.ts";
import type { Engine } from "../core/engine.ts";
import type { Observer } from "../core/observer.ts";
import type { TlsIdentity } from "../http/server.ts";
import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";
import { changesBetween, createApps, type AppChanges, type AppDeps, type AppSet } from "./apps.ts";
import { Drains } from "./drain.ts";
import { needsRestart, type ReloadResult } from "./reload.ts";
import { engineSettings, readTls } from "./settings.ts";
import { reasonOf } from "./start-error.ts";
import { noteConfigured } from "./upkeep.ts";

/** What a reload works with. */
export interface LiveParts {
  readonly config: Config;
  readonly apps: AppSet;
  /** What apps are made with. */
  readonly appDeps: AppDeps;
  /** The other threads of the process; absent where there are none, or this is one of them. */
  readonly others?: PreparesElsewhere | undefined;
  /** Reads the file anew. Absent: this gateway cannot be reloaded. */
  readonly load: (() => Promise<Loaded>) | undefined;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: Observer;
  readonly engine: Engine;
  /** Everything outside the core that follows a configuration: listeners, metrics, the log's level. Does not wait. */
  readonly apply: (config: Config, apps: AppSet, tls: TlsIdentity | undefined) => void;
}

/** Other threads that follow the same configuration. */
export interface PreparesElsewhere {
  /** Every thread that lives makes what a change needs. Rejects, having freed it all, when one cannot. */
  prepare(config: Config): Promise<{
    /** Resolves when none of them goes on with the former one. */
    commit(): Promise<void>;
    discard(): void;
  }>;
}

/** A configuration of which everything has been made that a change to it needs. */
export interface Prepared {
  /** Changes to it within this turn of the event loop. Throws when the gateway is stopping, or what `apply` refuses. */
  commit(): AppChanges;
  /** Frees what was made for nothing. Never rejects. */
  discard(): Promise<void>;
}

/**
 * What the gateway runs with at the moment. A reload makes everything of the new configuration first; if any of it
 * cannot be, nothing has changed. Then all of it changes within one turn of the event loop.
 */
export class Live {
  readonly #parts: LiveParts;
  readonly #drains: Drains;
  #config: Config;
  #apps: AppSet;
  #last: Promise<ReloadResult> | undefined;
  #next: Promise<ReloadResult> | undefined;
  #stopped = false;

  constructor(parts: LiveParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#apps = parts.apps;
    this.#drains = new Drains(parts.clock);
  }

  get config(): Config {
    return this.#config;
  }

  get apps(): AppSet {
    return this.#apps;
  }

  /** Pushkins of before that have not ended yet. */
  get draining(): number {
    return this.#drains.count;
  }

  /** One at a time: whoever asks while one is under way gets the next one's result, all who ask by then the same. */
  reload(): Promise<ReloadResult> {
    if (this.#last === undefined) return this.#begin();
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      return this.#begin();
    });
    return this.#next;
  }

  /** No reload changes anything from now on; frees every pushkin, of before and of now. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopped = true;
    await this.#last;
    const now = [...this.#apps.apps.values()].map(({ pushkin }) => pushkin.close(signal));
    await Promise.allSettled([...now, this.#drains.stop(signal)]);
  }

  #begin(): Promise<ReloadResult> {
    const run = this.#reload().finally(() => {
      if (this.#last === run) this.#last = undefined;
    });
    this.#last = run;
    return run;
  }

  async #reload(): Promise<ReloadResult> {
    const { log, observer } = this.#parts;
    const result = await this.#load().catch((error: unknown) => refused([reasonOf(error)]));
    if (result.ok) {
      const { added, changed, removed } = result.apps;
      log.info("the configuration is reloaded", { count: added.length + changed.length + removed.length });
      for (const path of result.needsRestart) {
        log.warn("a changed setting takes effect at the next start only", { key: path });
      }
    } else {
      observer.alarm(reloadAlarm);
      for (const problem of result.problems) log.error("the reload was refused", { reason: problem });
    }
    return result;
  }

  async #load(): Promise<ReloadResult> {
    const loaded = await this.#parts.load?.();
    if (loaded === undefined) return refused(["this gateway was started without a file"]);
    const warnings = loaded.warnings.map(formatProblem);
    if (!loaded.ok) return refused(loaded.problems.map(formatProblem), warnings);
    return this.#change(loaded.config, warnings);
  }

  async #change(config: Config, warnings: readonly string[]): Promise<ReloadResult> {
    const before = this.#config;
    let prepared: Prepared | undefined;
    let elsewhere: Awaited<ReturnType<PreparesElsewhere["prepare"]>> | undefined;
    let apps: AppChanges;
    try {
      prepared = await this.prepare(config);
      elsewhere = await this.#parts.others?.prepare(config);
      apps = prepared.commit();
    } catch (error) {
      elsewhere?.discard();
      await prepared?.discard();
      return refused([reasonOf(error)], warnings);
    }
    await elsewhere?.commit();
    return { ok: true, apps, needsRestart: needsRestart(before, config), warnings };
  }

  /**
   * Makes everything of a configuration and changes nothing yet. Rejects with what cannot be. One at a time, and each
   * is to be committed or discarded.
   */
  async prepare(config: Config): Promise<Prepared> {
    const { appDeps, apply, clock, engine, store } = this.#parts;
    const former = this.#apps;
    // An app that goes was configured until now (D8).
    await noteConfigured(store, [...former.apps.keys(), ...config.apps.keys()], clock);
    const known = await store.knownApps.all();
    const tls = await readTls(config);
    const next = await createApps(config, known, appDeps, former);
    return {
      discard: () => this.#discard(next),
      commit: () => {
        if (this.#stopped) throw new Error("the gateway is stopping");
        apply(config, next, tls);
        engine.reconfigure(engineSettings(config, next.apps, known));
        this.#config = config;
        this.#apps = next;
        const changes = changesBetween(former, next);
        for (const name of [...changes.removed, ...changes.changed]) {
          const app = former.apps.get(name);
          if (app !== undefined) this.#drains.begin(app);
        }
        return changes;
      },
    };
  }

  /** Frees what was made for nothing. */
  async #discard(made: AppSet): Promise<void> {
    const inUse = new Set([...this.#apps.apps.values()].map(({ pushkin }) => pushkin));
    const closes = [...made.apps.values()]
      .filter(({ pushkin }) => !inUse.has(pushkin))
      .map(({ pushkin }) => pushkin.close(AbortSignal.abort()));
    await Promise.allSettled(closes);
  }
}

function refused(problems: readonly string[], warnings: readonly string[] = []): ReloadResult {
  return { ok: false, problems, warnings };
}
