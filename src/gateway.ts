import type { AddressInfo } from "node:net";
import { Board } from "./admin/board.ts";
import type { AdminRoute } from "./admin/route.ts";
import type { Clock } from "./clock.ts";
import type { Loaded } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { createEngine, type Engine } from "./core/engine.ts";
import { combineObservers, type Observer } from "./core/observer.ts";
import type { History } from "./explain/history.ts";
import { Refusals } from "./explain/refusals.ts";
import { appStates } from "./gateway/app-states.ts";
import { startAdminListener, type AdminListener } from "./gateway/admin.ts";
import { createApps, type AppDeps, type AppSet } from "./gateway/apps.ts";
import { requestHandlers } from "./gateway/handlers.ts";
import { openHistory } from "./gateway/history.ts";
import { Live } from "./gateway/live.ts";
import { measureApps, measuredGateway } from "./gateway/measured.ts";
import { operatorRoutes } from "./gateway/operator-routes.ts";
import { inEffect, type ReloadResult } from "./gateway/reload.ts";
import { engineSettings, readTls } from "./gateway/settings.ts";
import { asStartError, StartError } from "./gateway/start-error.ts";
import { openGatewayStore, threadsOf } from "./gateway/store.ts";
import { openTracing } from "./gateway/tracing.ts";
import { noteConfigured, startUpkeep } from "./gateway/upkeep.ts";
import { combineHttpObservers } from "./http/observer.ts";
import { createHttpServer, type HttpServer, type ListenAddress, type TlsIdentity } from "./http/server.ts";
import { createAccessLogObserver, createLogObserver } from "./log-observer.ts";
import type { ClosableLog } from "./log/create-log.ts";
import { logOptionsFrom } from "./log/setup.ts";
import { measuredOutbox } from "./metrics/measured-outbox.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { startMetricsServer, type MetricsServer } from "./metrics/server.ts";
import { createSteadyClock } from "./store/steady-clock.ts";
import type { OpenedStore } from "./store/open.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { version } from "./version.ts";
import { startWatchdog } from "./watchdog.ts";
import type { Others, ThreadInside, ThreadPart } from "./workers/part.ts";

/** What a gateway is made from. */
export interface GatewayOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: ClosableLog;
  /** Reads the configuration anew, for a reload. Absent: it cannot be reloaded. */
  readonly load?: () => Promise<Loaded>;
  /** Something broke that only a new process mends; the gateway should be stopped and the process end with 1. */
  readonly onFatal: (what: string) => void;
  /** This is one of several threads, and not the first. */
  readonly part?: ThreadPart;
}

/** Where a running gateway listens. */
export interface Addresses {
  readonly http: readonly AddressInfo[];
  /** Port of the metrics listener; absent when it is off. */
  readonly metricsPort?: number;
  /** Port of the admin listener; absent when it is off. */
  readonly adminPort?: number;
}

export { StartError };

/** Of the 25 s of a stop: after the drain delay of 5 s, and before the store's last writes, whatever upstreams and callers do (P13). */
const STOP_LIMIT_MS = 14_000;

/**
 * The composition root: opens the store, builds a pushkin for each app, the dispatcher, the doors and the listeners,
 * and takes them down in reverse. The only place that knows everyone.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #store: OpenedStore;
  readonly #part: ThreadPart | undefined;
  readonly #others: Others | undefined;
  readonly #metrics: Metrics;
  readonly #engine: Engine;
  readonly #live: Live;
  readonly #server: HttpServer;
  readonly #tracing: Tracing | undefined;
  readonly #board: Board;
  readonly #observer: Observer;
  readonly #history: History | undefined;
  readonly #refusals: Refusals;
  #adminListener: AdminListener | undefined;
  #metricsServer: MetricsServer | undefined;
  readonly #storeTrouble: () => string | undefined;
  #stopping = false;
  #cancelUpkeep = (): void => {};
  #stopWatchdog = (): void => {};

  private constructor(parts: {
    readonly options: GatewayOptions;
    readonly store: OpenedStore;
    readonly part: ThreadPart | undefined;
    readonly others: Others | undefined;
    readonly metrics: Metrics;
    readonly board: Board;
    readonly history: History | undefined;
    readonly storeTrouble: () => string | undefined;
    readonly observer: Observer;
    readonly tracing: Tracing | undefined;
    readonly apps: AppSet;
    readonly appDeps: AppDeps;
    readonly engine: Engine;
    readonly tls: TlsIdentity | undefined;
    readonly steady: Clock;
  }) {
    const { clock, config, load, log } = parts.options;
    this.#options = parts.options;
    this.#store = parts.store;
    this.#part = parts.part;
    this.#others = parts.others;
    this.#metrics = parts.metrics;
    this.#engine = parts.engine;
    this.#tracing = parts.tracing;
    this.#board = parts.board;
    this.#observer = parts.observer;
    this.#history = parts.history;
    this.#refusals = new Refusals(clock);
    this.#storeTrouble = parts.storeTrouble;
    const httpObserver = combineHttpObservers(
      parts.metrics.httpObserver,
      createAccessLogObserver(log),
      ...(this.#history === undefined ? [] : [this.#refusals.observer]),
      ...(parts.tracing === undefined ? [] : [parts.tracing.httpObserver]),
    );
    const handler = requestHandlers({
      clock: parts.steady,
      log,
      observer: httpObserver,
      engine: parts.engine,
      dedupeForMs: config.delivery.dedupe_for,
      isStopping: () => this.#stopping,
    });
    this.#server = createHttpServer({
      handler: handler(config),
      clock,
      observer: httpObserver,
      ...(parts.part === undefined ? {} : { reusePort: true }),
      ...(parts.tls === undefined ? {} : { tls: parts.tls }),
    });
    this.#live = new Live({
      ...parts,
      config,
      load,
      clock,
      log,
      apply: (next, apps, tls) => {
        const nextHandler = handler(next);
        // First what may be refused.
        if (tls !== undefined && config.http.tls !== undefined) this.#server.setTls(tls);
        this.#server.setHandler(nextHandler);
        measureApps(parts.metrics, apps, tls);
        const { level = "info", levels } = logOptionsFrom(next.log.setup).options;
        log.setLevel(level, levels);
      },
    });
  }

  /** Builds everything and listens nowhere yet. Rejects with `StartError`. */
  static async create(options: GatewayOptions): Promise<Gateway> {
    const { config, clock, log } = options;
    let storeTrouble: string | undefined;
    const threads = threadsOf(config);
    const others =
      options.part === undefined && threads > 1
        ? new (await import("./workers/crew.ts")).Crew({ threads, clock, log, onFatal: options.onFatal })
        : undefined;
    const part = options.part ?? others?.part;
    const store = await openGatewayStore(options, part, (code) => (storeTrouble = code));
    let set: AppSet | undefined;
    let gateway: Gateway | undefined;
    let tracing: Tracing | undefined;
    // What expires, is remembered or is compared with a sender's time must not jump with the wall clock (PR09).
    const steadyClock = createSteadyClock(clock);
    const steady: Clock = { ...clock, now: () => steadyClock.now() };
    try {
      const known = await store.knownApps.all();
      const metrics = measuredGateway({
        config,
        clock,
        store,
        withoutProcess: part?.first !== undefined,
        registeredDevices: async () => (gateway === undefined ? 0 : gateway.#engine.registrations.count()),
        appStates: () =>
          gateway === undefined ? [] : appStates(gateway.apps.apps.values(), gateway.#engine.circuits()),
        threads: () => ({ serving: 1 + (others?.serving ?? 0), wanted: threads }),
        droppedLines: () => log.droppedLines() + (others?.droppedLines() ?? 0),
      });
      const board = new Board(clock);
      tracing = await openTracing(config, clock, store.installationKey);
      const history = openHistory({
        clock,
        store,
        part,
        others,
        config: () => gateway?.config ?? config,
      });
      const observer = combineObservers(
        metrics.observer,
        createLogObserver(log, clock),
        part?.first?.observer ?? board.observer,
        ...(tracing === undefined ? [] : [tracing.observer]),
        ...(history === undefined ? [] : [history.observer]),
      );
      const appDeps = { clock, log, store: store.knownApps, ...part?.forApps };
      set = await createApps(config, known, appDeps);
      const engine = createEngine({
        ...engineSettings(config, set.apps, known),
        store: {
          ...store,
          outbox: measuredOutbox(store.outbox, clock, (seconds) => metrics.storeCommitted(seconds)),
        },
        observer,
        clock: steady,
        log,
        random: Math.random,
        ...(part === undefined ? {} : { share: part.share }),
      });
      const tls = await readTls(config);
      measureApps(metrics, set, tls);
      gateway = new Gateway({
        options,
        store,
        part,
        others,
        storeTrouble: () => storeTrouble,
        metrics,
        board,
        history,
        observer,
        tracing,
        apps: set,
        appDeps,
        engine,
        tls,
        steady,
      });
      if (part?.first === undefined) await noteConfigured(store, set.apps.keys(), clock);
      return gateway;
    } catch (error) {
      await Promise.allSettled(
        [...(set?.apps.values() ?? [])].map(({ pushkin }) => pushkin.close(AbortSignal.abort())),
      );
      await tracing?.close();
      await store.close();
      throw asStartError(error);
    }
  }

  /** Listens on everything that is configured. Rejects with `StartError`; then nothing listens. */
  async start(): Promise<Addresses> {
    const { config, log } = this.#options;
    const { http, metrics } = config;
    const others = this.#others;
    try {
      if (this.#part?.first !== undefined) return await this.#startBesideFirst(this.#part.first.listen);
      if (metrics.prometheus.enabled) {
        const { address, port } = metrics.prometheus;
        const { registry } = this.#metrics;
        const scraped = others?.withOwn(registry) ?? registry;
        this.#metricsServer = await startMetricsServer({ registry: scraped, address, port });
        log.info("listening for scrapes of metrics", { address, port: this.#metricsServer.port });
      }
      this.#adminListener = await startAdminListener(config.admin, this.#routes(), this.#options);
      const addresses = http.bind_addresses.map((address) => ({ address, port: http.port }));
      await others?.checkFree(addresses);
      const bound = await this.#server.listen(addresses);
      for (const { address, port } of bound) log.info("listening", { address, port, version });
      await this.#engine.start();
      this.#cancelUpkeep = startUpkeep({
        store: this.#store,
        clock: this.#options.clock,
        log,
        appNames: () => this.#live.apps.apps.keys(),
      });
      this.#stopWatchdog = startWatchdog(this.#options.clock, log);
      await others?.start(this.inside, bound, this.#store.seat);
      const metricsPort = this.#metricsServer?.port;
      const adminPort = this.#adminListener?.port;
      return {
        http: bound,
        ...(metricsPort === undefined ? {} : { metricsPort }),
        ...(adminPort === undefined ? {} : { adminPort }),
      };
    } catch (error) {
      await this.stop({ drainMs: 0 });
      throw asStartError(error);
    }
  }

  async #startBesideFirst(listen: readonly ListenAddress[]): Promise<Addresses> {
    const http = await this.#server.listen(listen);
    await this.#engine.start();
    this.#stopWatchdog = startWatchdog(this.#options.clock, this.#options.log);
    return { http };
  }

  /** What the other threads of the process have to do with. */
  get inside(): ThreadInside {
    return {
      engine: this.#engine,
      config: () => inEffect(this.#options.config, this.config),
      apps: () => this.apps.apps,
      store: this.#store,
      registry: this.#metrics.registry,
      board: this.#board,
      history: this.#history,
      refusals: this.#refusals,
      observer: this.#observer,
      log: this.#options.log,
      prepare: (config) => this.#live.prepare(config),
    };
  }

  #routes(): readonly AdminRoute[] {
    const { clock } = this.#options;
    const others = this.#others;
    return operatorRoutes({
      clock,
      store: this.#store,
      board: this.#board,
      history: this.#history,
      refusals: this.#refusals,
      config: () => this.config,
      apps: () => this.apps.apps,
      circuits: () => this.#engine.circuits(),
      isStopping: () => this.#stopping,
      storeTrouble: this.#storeTrouble,
      reload: () => this.reload(),
      ...(others === undefined
        ? {}
        : {
            threads: () => ({ serving: 1 + others.serving, wanted: this.#part?.share.threads ?? 1 }),
            elsewhere: () => others.states(),
            refusedElsewhere: (request: string) => others.refused(request),
          }),
    });
  }

  /** The configuration of the moment; what needs a restart is in it as the file has it. */
  get config(): Config {
    return this.#live.config;
  }

  /** The apps of the moment. */
  get apps(): AppSet {
    return this.#live.apps;
  }

  /** `delivery.drain_delay` of the moment. */
  get drainDelayMs(): number {
    return this.#live.config.delivery.drain_delay;
  }

  /** Takes over what has changed in the configuration's file. A wrong one changes nothing. Never rejects. */
  reload(): Promise<ReloadResult> {
    return this.#live.reload();
  }

  /**
   * Says that it is not ready and serves on for `drainMs`, then takes nothing new, finishes what is under way, keeps
   * what must be kept, and frees everything (P13).
   */
  async stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    const { clock, log } = this.#options;
    this.#stopping = true;
    this.#cancelUpkeep();
    this.#stopWatchdog();
    this.#server.drain();
    const othersStopped = this.#others?.stop({ drainMs });
    if (drainMs > 0) await clock.sleep(drainMs);
    const limit = new AbortController();
    const cancel = clock.schedule(STOP_LIMIT_MS, () => limit.abort());
    try {
      await Promise.all([this.#server.stop(STOP_LIMIT_MS), this.#engine.stop(limit.signal)]);
      await this.#live.stop(limit.signal);
      await this.#history?.stop();
      if (this.#part?.first === undefined) {
        await noteConfigured(this.#store, this.#live.apps.apps.keys(), clock).catch(() =>
          log.warn("the store did not take the last entries"),
        );
      }
    } finally {
      cancel();
      this.#metrics.close();
      await this.#metricsServer?.close();
      await this.#tracing?.close();
      await this.#adminListener?.stop();
      // Theirs is the same store.
      await othersStopped;
      await this.#store.close().catch(() => log.warn("the store did not close in order"));
    }
  }
}
