import type { Clock } from "../clock.ts";
import { errorFields, type Log } from "../log.ts";
import { StoreError, type Digest } from "../store/store.ts";
import { retiredAppAlarm, storeAlarm, type Alarm } from "./alarms.ts";
import type { App } from "./app.ts";
import { heldRetryMs, type Attempter, type Delivery } from "./attempter.ts";
import type { DedupeMemory } from "./dedupe.ts";
import type { Digests } from "./digest.ts";
import type { LatestBySlot } from "./latest-by-slot.ts";
import type { Observer } from "./observer.ts";
import { settledOf, type OutboxIntake } from "./outbox-intake.ts";
import type { Outcome, Rejected, Settled } from "./outcome.ts";
import { PushRun, type PushRunDeps } from "./push-run.ts";
import type { Push } from "./push.ts";
import type { PushLimits, Throttled } from "./push-limits.ts";
import type { RejectionMemory } from "./rejections.ts";
import type { ServedApps } from "./served-apps.ts";

/** What a door knows about a request beside its pushes. */
export interface DispatchOptions {
  readonly requestId: string;
  /** When the answer must be ready, on `Clock.monotonic()` (design D6). */
  readonly answerByMs: number;
  /** Aborts when the caller hung up: the pushes go on, and their results are kept for the repeat. */
  readonly callerGone: AbortSignal;
}

/** What a door needs of the core. */
export interface Dispatcher {
  /** Settles every push, side by side; same order, never rejects. */
  dispatch(pushes: readonly Push[], options: DispatchOptions): Promise<readonly Settled[]>;
}

/** What the dispatcher is made of. */
export interface CoreDispatcherDeps {
  readonly apps: ServedApps;
  readonly rejections: RejectionMemory;
  readonly dedupe: DedupeMemory;
  readonly digests: Digests;
  readonly attempter: Attempter;
  /** Absent with a store that keeps nothing. */
  readonly intake?: OutboxIntake;
  readonly latest: LatestBySlot;
  readonly limits: PushLimits;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1); for jitter. */
  readonly random: () => number;
}

/** A push whose app is known. */
interface Addressed {
  readonly push: Push;
  readonly app: App;
  readonly device: Digest;
  /** Absent when the push can have no duplicate. */
  readonly key: Digest | undefined;
}

/** What became of a push, and how often the upstream was asked. */
interface Answered {
  readonly settled: Settled;
  readonly attempts: number;
}

/** The way of one push (design, 'One push, step by step'), and the sole writer of outcomes. */
export class CoreDispatcher implements Dispatcher {
  readonly #deps: CoreDispatcherDeps;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #runDeps: PushRunDeps;

  constructor(deps: CoreDispatcherDeps) {
    this.#deps = deps;
    const { attempter, clock, intake, random } = deps;
    const onBug = (error: unknown): Settled => this.#bug(error);
    const { latest } = deps;
    this.#runDeps = { attempter, intake, latest, clock, random, stopping: this.#stopping.signal, onBug };
  }

  async dispatch(pushes: readonly Push[], options: DispatchOptions): Promise<readonly Settled[]> {
    const { clock, dedupe, log } = this.#deps;
    const delivered: Digest[] = [];
    const settled = await Promise.all(pushes.map((push) => this.#settle(push, options, delivered)));
    const repeatExpected = settled.some((each) => each.kind === "retryable") || options.callerGone.aborted;
    if (repeatExpected) await this.#tryStore(() => dedupe.keep(delivered));
    if (clock.monotonic() > options.answerByMs + 1_000) {
      log.warn("a request was answered late", { request_id: options.requestId });
    }
    return settled;
  }

  /** Takes no new attempts, and waits for those under way until the signal aborts. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([Promise.allSettled(this.#underWay), aborted]);
  }

  /** One push up to its answer, which may come before its outcome. */
  async #settle(push: Push, options: DispatchOptions, delivered: Digest[]): Promise<Settled> {
    const { apps, clock, digests, observer } = this.#deps;
    const startedMs = clock.monotonic();
    observer.deviceReceived(push);
    const app = apps.find(push.appId);
    if (app === undefined) {
      const settled = this.#withoutApp(push);
      observer.settled({ push, device: "", settled, durationMs: 0, attempts: 0 });
      return settled;
    }
    observer.handed(app.name, app.pushkin.type);
    const key =
      push.dedupeOn === undefined ? undefined : digests.push(push.appId, push.pushkey, push.dedupeOn);
    const addressed: Addressed = { push, app, device: digests.device(app.name, push.pushkey), key };
    const { settled, attempts } = await this.#answer(addressed, options);
    if (settled.kind === "delivered" && key !== undefined) delivered.push(key);
    observer.settled({
      app: app.name,
      pushkin: app.pushkin.type,
      push,
      device: addressed.device,
      settled,
      durationMs: clock.monotonic() - startedMs,
      attempts,
    });
    return settled;
  }

  /** Known dead? A duplicate? Promised already? Else render and run. Never rejects. */
  async #answer(addressed: Addressed, options: DispatchOptions): Promise<Answered> {
    const { dedupe, intake, rejections } = this.#deps;
    const { app, device, key, push } = addressed;
    try {
      const recalled = rejections.recall(app.name, device, push);
      const memory = recalled instanceof Promise ? await recalled : recalled;
      if (memory === "dead") return atOnce({ kind: "rejected", reason: "known-dead" });
      if (key !== undefined) {
        const known = dedupe.wasDelivered(key);
        if (known instanceof Promise ? await known : known)
          return atOnce({ kind: "dropped", reason: "duplicate" });
        // Looked up without a wait before `begin`, so that two equal pushes cannot both start.
        if (dedupe.running(key) === undefined) {
          const held = intake?.holds(key) ?? false;
          if (held instanceof Promise ? await held : held) return atOnce({ kind: "accepted" });
        }
        const earlier = dedupe.running(key);
        if (earlier !== undefined) {
          const settled = await earlier.answerBy(options.answerByMs);
          if (!isVoidFor(push, settled, earlier)) return { settled, attempts: 0 };
          return await this.#answer(addressed, options);
        }
      }
      const run = this.#begin(addressed, memory === "registered-since", options);
      if (!(run instanceof PushRun)) return atOnce(await run);
      const settled = await run.answerBy(options.answerByMs);
      return { settled, attempts: run.attempts };
    } catch (error) {
      // Whether it is promised already cannot be looked up: sending it could double it (P15).
      if (error instanceof StoreError)
        return atOnce({ kind: "retryable", reason: "store", retryAfterMs: 5_000 });
      return atOnce(this.#bug(error));
    }
  }

  /** Renders, takes a place in the app's bulkhead and starts; or what is to be said instead. */
  #begin(
    addressed: Addressed,
    wasDead: boolean,
    options: DispatchOptions,
  ): PushRun | Settled | Promise<Settled> {
    const { dedupe, observer } = this.#deps;
    const { app, device, key, push } = addressed;
    const rendered = app.pushkin.render(push);
    if (!("body" in rendered)) return rendered;
    const { id, pushkeyTsMs, priority, urgency, receivedAtMs, expiresAtMs } = push;
    const delivery: Delivery = {
      app,
      device,
      facts: {
        id,
        priority,
        urgency,
        receivedAtMs,
        expiresAtMs,
        ...(pushkeyTsMs === undefined ? {} : { pushkeyTsMs }),
      },
      message: rendered,
    };
    const throttled = this.#deps.limits.take(app.name, device);
    if (throttled !== undefined) return this.#throttled(delivery, key, throttled);
    if (!app.inFlight.tryEnter()) {
      observer.overloaded(app.name);
      return this.#withoutPlace(delivery, key);
    }
    const run = new PushRun(this.#runDeps, delivery, key, options.answerByMs, (outcome) =>
      this.#remember(addressed, outcome, wasDead, options),
    );
    if (key !== undefined) dedupe.begin(key, run);
    this.#underWay.add(run.ended);
    void run.ended.then(() => {
      this.#underWay.delete(run.ended);
      app.inFlight.leave();
    });
    return run;
  }

  /**
   * Too soon after others: promised for its turn. Of a device's only the newest waits, so that ten thousand become one
   * (reliability H23).
   */
  #throttled(
    delivery: Delivery,
    key: Digest | undefined,
    { by, waitMs }: Throttled,
  ): Settled | Promise<Settled> {
    const { intake, observer } = this.#deps;
    observer.throttled(delivery.app.name, by);
    if (intake === undefined) return { kind: "retryable", reason: "overloaded", retryAfterMs: waitMs };
    const slot = by === "device" ? { slot: "throttled" } : {};
    return intake
      .commit(delivery, { key, attempts: 0, dueInMs: waitMs, running: false, ...slot })
      .then(settledOf);
  }

  /** No place among the app's pushes under way: promised at once, and sent when there is room; else refused. */
  #withoutPlace(delivery: Delivery, key: Digest | undefined): Settled | Promise<Settled> {
    const { intake } = this.#deps;
    const refused: Settled = { kind: "retryable", reason: "overloaded", retryAfterMs: 1_000 };
    if (intake === undefined || delivery.app.inFlight.limit === 0) return refused;
    return intake.commit(delivery, { key, attempts: 0, dueInMs: 0, running: false }).then(settledOf);
  }

  async #remember(
    addressed: Addressed,
    outcome: Outcome,
    wasDead: boolean,
    options: DispatchOptions,
  ): Promise<void> {
    const { clock, dedupe, latest, rejections } = this.#deps;
    const { app, device, key, push } = addressed;
    if (outcome.kind === "delivered") {
      if (push.urgency === "badge") {
        const older = latest.note(app.name, device, "badge", push.receivedAtMs);
        if (older !== undefined) await this.#tryStore(() => older);
      }
      if (wasDead) await this.#tryStore(() => rejections.forget(app.name, device));
      if (key === undefined) return;
      dedupe.remember(key);
      // Its caller was told to come back, or has gone without an answer: he will repeat it (matrix-push 5.4).
      const repeatExpected = clock.monotonic() > options.answerByMs || options.callerGone.aborted;
      if (repeatExpected) await this.#tryStore(() => dedupe.keep([key]));
    } else if (outcome.kind === "rejected") {
      await this.#tryStore(() => rejections.remember(app.name, device, push, outcome));
    }
  }

  /** Nobody is configured for it: rejected, unless somebody was until lately (D8, C05). */
  #withoutApp(push: Push): Settled {
    const retired = this.#deps.apps.findRetired(push.appId);
    if (retired === undefined) return { kind: "rejected", reason: "unknown-app" } satisfies Rejected;
    this.#alarm(retired, retiredAppAlarm);
    return { kind: "retryable", reason: "held", retryAfterMs: heldRetryMs(1) };
  }

  #alarm(app: string | undefined, alarm: Alarm): void {
    this.#deps.observer.alarm(app === undefined ? alarm : { app, ...alarm });
  }

  /** The store's failure never fails a push: what it should have remembered is forgotten, loudly (P15). */
  async #tryStore(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      this.#alarm(undefined, storeAlarm);
    }
  }

  #bug(error: unknown): Settled {
    this.#deps.log.error("a push failed by a fault of the gateway's own", errorFields(error));
    return { kind: "retryable", reason: "internal" };
  }
}

/** A verdict does not hold for a device that was registered again after the push that earned it had been sent (P4). */
function isVoidFor(push: Push, settled: Settled, { delivery }: PushRun): boolean {
  const { pushkeyTsMs } = push;
  if (settled.kind !== "rejected" || pushkeyTsMs === undefined) return false;
  return pushkeyTsMs > (delivery.facts.pushkeyTsMs ?? 0);
}

function atOnce(settled: Settled): Answered {
  return { settled, attempts: 0 };
}
