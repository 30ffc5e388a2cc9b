import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Digest, KnownApp, OutboxCaps, Store } from "../store/store.ts";
import { storeAlarm } from "./alarms.ts";
import type { App, AppDirectory } from "./app.ts";
import { Audience } from "./audience.ts";
import { Attempter } from "./attempter.ts";
import { DedupeMemory } from "./dedupe.ts";
import { Digests } from "./digest.ts";
import { CoreDispatcher, type Dispatcher } from "./dispatcher.ts";
import { LatestBySlot, type TellSuperseded } from "./latest-by-slot.ts";
import { Leases } from "./leases.ts";
import type { Observer } from "./observer.ts";
import { OutboxIntake } from "./outbox-intake.ts";
import { OutboxWorker } from "./outbox-worker.ts";
import { PushLimits, type PushRates } from "./push-limits.ts";
import { Registrations } from "./registrations.ts";
import { RejectionMemory } from "./rejections.ts";
import { ServedApps } from "./served-apps.ts";
import type { AnswerElsewhere, CoreShare } from "./threads.ts";
import { ownBuckets, type MakeBuckets } from "./token-buckets.ts";
import { UpstreamHealths, type CircuitState } from "./upstream-health.ts";

/** What the core needs. */
export interface EngineOptions {
  readonly apps: ReadonlyMap<string, App>;
  readonly store: Store;
  /** What the store remembered at the start. */
  readonly known: readonly KnownApp[];
  readonly observer: Observer;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1); for jitter. */
  readonly random: () => number;
  readonly keepRejectionsMs: number;
  readonly dedupeForMs: number;
  readonly caps: OutboxCaps;
  /** Absent = no limits. */
  readonly rates?: PushRates;
  /** Registered devices in all; absent = a million. */
  readonly maxDevices?: number;
  /** Of one of several threads; absent = this is the only one. */
  readonly share?: CoreShare;
}

/** What a reload changes of the core. */
export type EngineSettings = Pick<
  EngineOptions,
  "apps" | "known" | "keepRejectionsMs" | "dedupeForMs" | "caps" | "rates" | "maxDevices"
>;

/** The core put together: the dispatcher for the doors, and behind it the worker over what was promised. */
export interface Engine {
  readonly dispatcher: Dispatcher;
  readonly directory: AppDirectory;
  /** What was delivered, and by what digests it is known: for doors whose senders name a repeat themselves. */
  readonly dedupe: DedupeMemory;
  readonly digests: Digests;
  readonly audience: Audience;
  readonly registrations: Registrations;
  /** For limits outside the core. */
  readonly makeBuckets: MakeBuckets;
  /** How many threads there are. */
  readonly threads: number;
  /** What an operator wants to see of the upstreams, one entry for each app and host that was tried lately. */
  circuits(): readonly CircuitState[];
  /**
   * For another thread's caller, who wants to know within so many milliseconds what becomes of a push that this thread
   * has. Undefined when it has it no longer, or not sent it.
   */
  answerFor(key: Digest, withinMs: number): Promise<AnswerElsewhere | undefined>;
  /** Another thread has claimed an entry: true once it has ended here, false at once when it is not in hand here. */
  takeBack(id: string, token: number): Promise<boolean>;
  /** Pushes that come from now on meet these apps and settings; those under way end as they began. */
  reconfigure(settings: EngineSettings): void;
  start(): Promise<void>;
  /** Takes no new attempts, waits for those under way until the signal aborts, keeps what must be kept. */
  stop(signal: AbortSignal): Promise<void>;
}

/** How soon it is looked again whether a push that is claimed has begun. */
const LOOK_UP_MS = 5;

const noRates: PushRates = { perApp: null, perDevice: null };

/** Puts the core together around one store. */
export function createEngine(options: EngineOptions): Engine {
  const { clock, log, observer, random, share, store } = options;
  const served = new ServedApps(options.apps, options.known, clock);
  const healths = new UpstreamHealths(clock, random, share);
  const attempter = new Attempter({ clock, log, observer, healths, apps: served });
  const rejections = new RejectionMemory(store, clock, options.keepRejectionsMs);
  const dedupe = new DedupeMemory(store.dedupe, clock, options.dedupeForMs, undefined, share);
  const tellSuperseded: TellSuperseded = (name, device, ended) => {
    const pushkin = served.byName.get(name)?.pushkin.type ?? "";
    for (const { attempts, id } of ended)
      observer.superseded({ app: name, pushkin, device, push: id, attempts });
  };
  const outdated = store.durable ? store.outbox : undefined;
  const latest = new LatestBySlot(outdated, share?.latest, tellSuperseded);
  let worker: OutboxWorker | undefined;
  let intake: OutboxIntake | undefined;
  let leases: Leases | undefined;
  // What does not survive the process cannot be promised (D6).
  if (store.durable) {
    leases = new Leases(store.outbox, clock, share?.owner ?? randomUUID());
    const { outbox } = store;
    intake = new OutboxIntake({
      outbox,
      caps: options.caps,
      clock,
      leases,
      wake: () => worker?.wake(),
      tellSuperseded,
      ...(share === undefined ? {} : { claims: share.claims }),
    });
    worker = new OutboxWorker({
      outbox,
      intake,
      leases,
      apps: served.byName,
      attempter,
      healths,
      rejections,
      dedupe,
      latest,
      observer,
      clock,
      log,
      random,
      ...(share === undefined ? {} : { share }),
    });
  }
  const digests = new Digests(store.installationKey);
  const limits = new PushLimits(clock, options.rates ?? noRates, share?.makeBuckets);
  const dispatcher = new CoreDispatcher({
    apps: served,
    rejections,
    dedupe,
    digests,
    attempter,
    ...(intake === undefined ? {} : { intake }),
    latest,
    limits,
    observer,
    clock,
    log,
    random,
  });
  const registrations = new Registrations({
    devices: store.devices,
    rejections,
    apps: served,
    digests,
    observer,
    clock,
    ...(options.maxDevices === undefined ? {} : { maxDevices: options.maxDevices }),
  });
  return {
    dispatcher,
    dedupe,
    digests,
    directory: { find: (appId) => served.find(appId)?.pushkin },
    audience: new Audience(store.devices, (appId) => served.find(appId)?.name),
    registrations,
    makeBuckets: share?.makeBuckets ?? ownBuckets,
    threads: share?.threads ?? 1,
    circuits: () => healths.circuits(),
    async answerFor(key, withinMs) {
      let run = dedupe.running(key);
      // It is being looked up here whether it is to be sent.
      for (; run === undefined; run = dedupe.running(key)) {
        if (!dedupe.isClaimed(key)) return undefined;
        await clock.sleep(LOOK_UP_MS);
      }
      const sending = run;
      const { pushkeyTsMs } = sending.delivery.facts;
      return new Promise((resolve) => {
        sending.answerBy(clock.monotonic() + withinMs, (settled) =>
          resolve({ settled, ...(pushkeyTsMs === undefined ? {} : { pushkeyTsMs }) }),
        );
      });
    },
    takeBack: (id, token) => leases?.takeBack(id, token) ?? Promise.resolve(false),
    reconfigure(settings) {
      for (const [name, app] of served.byName) {
        // With another key or endpoint the upstream may well do what it refused before.
        if (settings.apps.get(name)?.pushkin !== app.pushkin) healths.forget(name);
      }
      served.replace(settings.apps, settings.known);
      rejections.keepMs = settings.keepRejectionsMs;
      dedupe.keepMs = settings.dedupeForMs;
      limits.rates = settings.rates ?? noRates;
      if (settings.maxDevices !== undefined) registrations.maxDevices = settings.maxDevices;
      if (intake !== undefined) intake.caps = settings.caps;
      worker?.wake();
    },
    async start() {
      await worker?.start();
    },
    async stop(signal) {
      await Promise.all([dispatcher.stop(signal), worker?.stop(signal)]);
      // Last: what the worker delivered in the meantime is repeated by nobody either (P3).
      await dedupe.keepAll().catch(() => observer.alarm(storeAlarm));
    },
  };
}
