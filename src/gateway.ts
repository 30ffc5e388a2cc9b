import { X509Certificate } from "node:crypto";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Board } from "./admin/board.ts";
import type { AdminRoute } from "./admin/route.ts";
import type { Clock } from "./clock.ts";
import type { Loaded } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { createEngine, type Engine } from "./core/engine.ts";
import { combineObservers, type Observer } from "./core/observer.ts";
import { Digests } from "./core/digest.ts";
import { History } from "./explain/history.ts";
import { Refusals } from "./explain/refusals.ts";
import { frontDoors } from "./doors/index.ts";
import { appStates } from "./gateway/app-states.ts";
import { startAdminListener, type AdminListener } from "./gateway/admin.ts";
import { createApps, type AppSet } from "./gateway/apps.ts";
import { doorOptions } from "./gateway/doors.ts";
import { Live } from "./gateway/live.ts";
import { operatorRoutes } from "./gateway/operator-routes.ts";
import type { ReloadResult } from "./gateway/reload.ts";
import { engineSettings, readTls } from "./gateway/settings.ts";
import { asStartError, StartError } from "./gateway/start-error.ts";
import { openTracing } from "./gateway/tracing.ts";
import { noteConfigured, startUpkeep } from "./gateway/upkeep.ts";
import { createApp } from "./http/app.ts";
import { combineHttpObservers } from "./http/observer.ts";
import { Idempotency } from "./http/idempotency.ts";
import { createHttpServer, type HttpServer, type TlsIdentity } from "./http/server.ts";
import { createAccessLogObserver, createLogObserver } from "./log-observer.ts";
import type { ClosableLog } from "./log/create-log.ts";
import { logOptionsFrom } from "./log/setup.ts";
import type { AppState } from "./metrics/app-state.ts";
import { measuredOutbox } from "./metrics/measured-outbox.ts";
import { createMetrics, type MeasuredCertificate, type Metrics } from "./metrics/metrics.ts";
import { startMetricsServer, type MetricsServer } from "./metrics/server.ts";
import { createSteadyClock } from "./store/steady-clock.ts";
import { openStore } from "./store/open.ts";
import type { Store } from "./store/store.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { version } from "./version.ts";
import { startWatchdog } from "./watchdog.ts";

/** What a gateway is made from. */
export interface GatewayOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: ClosableLog;
  /** Reads the configuration anew, for a reload. Absent: it cannot be reloaded. */
  readonly load?: () => Promise<Loaded>;
  /** Something broke that only a new process mends; the gateway should be stopped and the process end with 1. */
  readonly onFatal: (what: string) => void;
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
  readonly #store: Store;
  readonly #metrics: Metrics;
  readonly #engine: Engine;
  readonly #live: Live;
  readonly #server: HttpServer;
  readonly #tracing: Tracing | undefined;
  readonly #board: Board;
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
    readonly store: Store;
    readonly metrics: Metrics;
    readonly board: Board;
    readonly history: History | undefined;
    readonly storeTrouble: () => string | undefined;
    readonly observer: Observer;
    readonly tracing: Tracing | undefined;
    readonly apps: AppSet;
    readonly engine: Engine;
    readonly tls: TlsIdentity | undefined;
    readonly steady: Clock;
  }) {
    const { clock, config, load, log } = parts.options;
    this.#options = parts.options;
    this.#store = parts.store;
    this.#metrics = parts.metrics;
    this.#engine = parts.engine;
    this.#tracing = parts.tracing;
    this.#board = parts.board;
    this.#history = parts.history;
    this.#refusals = new Refusals(clock);
    this.#storeTrouble = parts.storeTrouble;
    const httpObserver = combineHttpObservers(
      parts.metrics.httpObserver,
      createAccessLogObserver(log),
      ...(this.#history === undefined ? [] : [this.#refusals.observer]),
      ...(parts.tracing === undefined ? [] : [parts.tracing.httpObserver]),
    );
    const { dedupe, digests } = parts.engine;
    // One for the whole life: a reload must not forget what is under way.
    const idempotency = new Idempotency(dedupe, digests, parts.steady, config.delivery.dedupe_for);
    const handler = (settings: Config): RequestListener => {
      const { delivery, http, limits } = settings;
      return createApp({
        clock: parts.steady,
        log,
        observer: httpObserver,
        dispatcher: parts.engine.dispatcher,
        doors: frontDoors(doorOptions(settings, parts.engine, parts.steady, httpObserver)),
        limits: { maxBodyBytes: limits.max_body, maxDevices: limits.max_devices, maxDepth: limits.max_depth },
        lifetimesMs: delivery.expire_after,
        answerWithinMs: delivery.answer_within,
        idempotency,
        isStopping: () => this.#stopping,
        trustedProxies: http.trusted_proxies,
        logsClaimedAddress: settings.log.access.x_forwarded_for,
        ...(limits.per_source === null
          ? {}
          : { perSource: { count: limits.per_source.count, windowMs: limits.per_source.window } }),
      });
    };
    this.#server = createHttpServer({
      handler: handler(config),
      clock,
      observer: httpObserver,
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
        measure(parts.metrics, apps, tls);
        const { level = "info", levels } = logOptionsFrom(next.log.setup).options;
        log.setLevel(level, levels);
      },
    });
  }

  /** Builds everything and listens nowhere yet. Rejects with `StartError`. */
  static async create(options: GatewayOptions): Promise<Gateway> {
    const { config, clock, log } = options;
    let storeTrouble: string | undefined;
    const store = await open(options, (code) => (storeTrouble = code));
    let set: AppSet | undefined;
    let gateway: Gateway | undefined;
    let tracing: Tracing | undefined;
    // What expires, is remembered or is compared with a sender's time must not jump with the wall clock (PR09).
    const steadyClock = createSteadyClock(clock);
    const steady: Clock = { ...clock, now: () => steadyClock.now() };
    try {
      const known = await store.knownApps.all();
      const metrics = createMetrics({
        apps: [...config.apps.keys()].map((name) => ({ name })),
        clock,
        version,
        rememberedRejections: () => store.rejections.count(clock.now()),
        ...(store.durable
          ? {
              outboxCounts: () => store.outbox.counts(),
              oldestReceivedAtMs: () => store.outbox.oldestReceivedAtMs(),
            }
          : {}),
        registeredDevices: async () => (gateway === undefined ? 0 : gateway.#engine.registrations.count()),
        appStates: () => (gateway === undefined ? [] : gateway.#appStates()),
        logLinesDropped: () => log.droppedLines(),
      });
      const board = new Board(clock);
      tracing = await openTracing(config, clock, store.installationKey);
      const history = !config.explain.enabled
        ? undefined
        : new History({
            outcomes: store.outcomes,
            digests: new Digests(store.installationKey),
            clock,
            bounds: () => {
              const { keep: keepMs, max_rows: maxRows } = (gateway?.config ?? config).explain;
              return { keepMs, maxRows };
            },
          });
      const observer = combineObservers(
        metrics.observer,
        createLogObserver(log, clock),
        board.observer,
        ...(tracing === undefined ? [] : [tracing.observer]),
        ...(history === undefined ? [] : [history.observer]),
      );
      set = await createApps(config, known, { clock, log, store: store.knownApps });
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
      });
      const tls = await readTls(config);
      measure(metrics, set, tls);
      gateway = new Gateway({
        options,
        store,
        storeTrouble: () => storeTrouble,
        metrics,
        board,
        history,
        observer,
        tracing,
        apps: set,
        engine,
        tls,
        steady,
      });
      await noteConfigured(store, set.apps.keys(), clock);
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
    try {
      if (metrics.prometheus.enabled) {
        const { address, port } = metrics.prometheus;
        this.#metricsServer = await startMetricsServer({ registry: this.#metrics.registry, address, port });
      }
      this.#adminListener = await startAdminListener(config.admin, this.#routes(), this.#options);
      const bound = await this.#server.listen(
        http.bind_addresses.map((address) => ({ address, port: http.port })),
      );
      for (const { address, port } of bound) log.info("listening", { address, port, version });
      await this.#engine.start();
      this.#cancelUpkeep = startUpkeep({
        store: this.#store,
        clock: this.#options.clock,
        log,
        appNames: () => this.#live.apps.apps.keys(),
      });
      this.#stopWatchdog = startWatchdog(this.#options.clock, log);
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

  #routes(): readonly AdminRoute[] {
    const { clock } = this.#options;
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
    });
  }

  #appStates(): readonly AppState[] {
    return appStates(this.apps.apps.values(), this.#engine.circuits());
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
    if (drainMs > 0) await clock.sleep(drainMs);
    const limit = new AbortController();
    const cancel = clock.schedule(STOP_LIMIT_MS, () => limit.abort());
    try {
      await Promise.all([this.#server.stop(STOP_LIMIT_MS), this.#engine.stop(limit.signal)]);
      await this.#live.stop(limit.signal);
      await this.#history?.stop();
      await noteConfigured(this.#store, this.#live.apps.apps.keys(), clock).catch(() =>
        log.warn("the store did not take the last entries"),
      );
    } finally {
      cancel();
      this.#metrics.close();
      await this.#metricsServer?.close();
      await this.#tracing?.close();
      await this.#adminListener?.stop();
      await this.#store.close().catch(() => log.warn("the store did not close in order"));
    }
  }
}

async function open(
  { config, clock, log, onFatal }: GatewayOptions,
  onTrouble: (code: string | undefined) => void,
): Promise<Store> {
  try {
    return await openStore(config.store.url, {
      clock,
      log,
      onFailure: () => onFatal("the store is lost"),
      onHealth: (trouble) => onTrouble(trouble?.code),
    });
  } catch (error) {
    throw asStartError(error);
  }
}

/** The apps' series appear, and when the certificates end that are in use. */
function measure(metrics: Metrics, { apps }: AppSet, tls: TlsIdentity | undefined): void {
  metrics.configured([...apps.keys()].map((name) => ({ name })));
  const certificates: MeasuredCertificate[] = [...apps.values()].flatMap(
    ({ name, pushkin: { certificateExpiresAtMs: expiresAtMs } }) =>
      expiresAtMs === undefined ? [] : [{ app: name, expiresAtMs }],
  );
  if (tls !== undefined)
    certificates.push({ expiresAtMs: new X509Certificate(tls.cert).validToDate.getTime() });
  metrics.certificatesInUse(certificates);
}
