import type { Clock } from "../clock.ts";
import { errorFields, type Log } from "../log.ts";
import type { Digest } from "../store/store.ts";
import { alarmOf, holdAlarm, retiredAppAlarm, storeAlarm, type Alarm } from "./alarms.ts";
import type { AppRouter } from "./app-router.ts";
import type { App } from "./app.ts";
import { runAttempts, type AttemptsEnd } from "./attempts.ts";
import type { DedupeMemory } from "./dedupe.ts";
import type { Digests } from "./digest.ts";
import type { Observer } from "./observer.ts";
import type { Outcome, Rejected, Settled } from "./outcome.ts";
import type { Push } from "./push.ts";
import type { RejectionMemory } from "./rejections.ts";
import type { RetiredApps } from "./retired-apps.ts";

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
  readonly router: AppRouter<App>;
  readonly retired: RetiredApps;
  readonly rejections: RejectionMemory;
  readonly dedupe: DedupeMemory;
  readonly digests: Digests;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1); for jitter. */
  readonly random: () => number;
}

/** How long a held push is left alone before the next try (design, Settled points). */
const HELD_RETRY_MS = 60_000;

/** One push under way: what it is, whose it is, and what came of it so far. */
interface Running {
  readonly push: Push;
  readonly app: App;
  readonly device: Digest;
  /** Absent when the push can have no duplicate. */
  readonly key: Digest | undefined;
  attempts: number;
}

/** The way of one push (design, 'One push, step by step'), and the sole writer of outcomes. */
export class CoreDispatcher implements Dispatcher {
  readonly #deps: CoreDispatcherDeps;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(deps: CoreDispatcherDeps) {
    this.#deps = deps;
  }

  async dispatch(pushes: readonly Push[], options: DispatchOptions): Promise<readonly Settled[]> {
    const { clock, dedupe } = this.#deps;
    const delivered: Digest[] = [];
    const settled = await Promise.all(pushes.map((push) => this.#settle(push, options, delivered)));
    const repeatExpected = settled.some((each) => each.kind === "retryable") || options.callerGone.aborted;
    if (repeatExpected) await this.#tryStore(() => dedupe.keep(delivered));
    if (clock.monotonic() > options.answerByMs + 1_000) {
      this.#deps.log.warn("a request was answered late", { request_id: options.requestId });
    }
    return settled;
  }

  /** Takes no new attempts, waits for those under way, and keeps what must outlive the process. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([Promise.allSettled(this.#underWay), aborted]);
    await this.#tryStore(() => this.#deps.dedupe.keepAll());
  }

  /** One push up to its answer, which may come before its outcome. */
  async #settle(push: Push, options: DispatchOptions, delivered: Digest[]): Promise<Settled> {
    const { clock, observer, router } = this.#deps;
    const startedMs = clock.monotonic();
    observer.deviceReceived(push);
    const app = router.find(push.appId);
    if (app === undefined) {
      const settled = this.#withoutApp(push);
      observer.settled({ push, device: "", settled, durationMs: 0, attempts: 0 });
      return settled;
    }
    observer.handed(app.name, app.pushkin.type);
    const { digests } = this.#deps;
    const running: Running = {
      push,
      app,
      device: digests.device(app.name, push.pushkey),
      key: push.dedupeOn === undefined ? undefined : digests.push(push.appId, push.pushkey, push.dedupeOn),
      attempts: 0,
    };
    const result = await this.#beforeDeadline(this.#begin(running, options), running, options);
    if (result.kind === "delivered" && running.key !== undefined) delivered.push(running.key);
    observer.settled({
      app: app.name,
      pushkin: app.pushkin.type,
      push,
      device: running.device,
      settled: result,
      durationMs: clock.monotonic() - startedMs,
      attempts: running.attempts,
    });
    return result;
  }

  /** Starts a push, or joins the equal one that is under way. */
  async #begin(running: Running, options: DispatchOptions): Promise<Settled> {
    const { dedupe, rejections } = this.#deps;
    const { app, device, key, push } = running;
    try {
      const recalled = rejections.recall(app.name, device, push);
      const memory = recalled instanceof Promise ? await recalled : recalled;
      if (memory === "dead") return { kind: "rejected", reason: "known-dead" };
      if (key === undefined) return await this.#run(running, memory === "registered-since", options);
      const known = dedupe.wasDelivered(key);
      if (known instanceof Promise ? await known : known) return { kind: "dropped", reason: "duplicate" };
      // Looked up last and without a wait before `begin`, so that two equal pushes cannot both start.
      const earlier = dedupe.running(key);
      if (earlier !== undefined) return await earlier;
      const result = this.#run(running, memory === "registered-since", options);
      dedupe.begin(key, result);
      return await result;
    } catch (error) {
      return this.#bug(error, options.requestId);
    }
  }

  /** Render, take a place in the app's bulkhead, attempt, and remember what is to be remembered. Never rejects. */
  async #run(running: Running, wasDead: boolean, options: DispatchOptions): Promise<Settled> {
    const { clock, log, observer, random } = this.#deps;
    const { app, push } = running;
    try {
      const rendered = app.pushkin.render(push);
      if (!("body" in rendered)) return rendered;
      if (!app.inFlight.tryEnter()) {
        observer.overloaded(app.name);
        return { kind: "retryable", reason: "overloaded", retryAfterMs: 1_000 };
      }
      let end: AttemptsEnd;
      const attempts = runAttempts({
        pushkin: app.pushkin,
        message: rendered,
        push,
        answerByMs: options.answerByMs,
        stopping: this.#stopping.signal,
        judge: (outcome) => this.#judge(running, outcome),
        clock,
        log,
        observer,
        random,
        onAttempt: (attempt) => (running.attempts = attempt),
      });
      this.#underWay.add(attempts);
      try {
        end = await attempts;
      } finally {
        this.#underWay.delete(attempts);
        app.inFlight.leave();
      }
      await this.#remember(running, end.outcome, wasDead, options);
      // Here the durable outbox takes what is still open and answers `accepted` (design D6).
      return end.outcome;
    } catch (error) {
      return this.#bug(error, options.requestId);
    }
  }

  /** What the guard makes of an attempt's outcome, and the alarms that it raises. */
  #judge(running: Running, outcome: Outcome): Outcome {
    const { app, device } = running;
    const alarm = alarmOf(outcome);
    if (alarm !== undefined) this.#alarm(app.name, alarm);
    if (outcome.kind === "delivered") app.guard.succeeded(device);
    if (outcome.kind !== "rejected") return outcome;
    if (outcome.guarded !== true) {
      if (outcome.answer !== undefined) app.guard.sawCertainRejection(device);
      return outcome;
    }
    const { held } = app.guard.judge(device);
    if (held === undefined) return outcome;
    this.#alarm(app.name, holdAlarm(held, outcome.answer));
    return {
      kind: "retryable",
      reason: "held",
      retryAfterMs: HELD_RETRY_MS,
      ...(outcome.answer === undefined ? {} : { answer: outcome.answer }),
    };
  }

  async #remember(
    running: Running,
    outcome: Outcome,
    wasDead: boolean,
    options: DispatchOptions,
  ): Promise<void> {
    const { clock, dedupe, rejections } = this.#deps;
    const { app, device, key, push } = running;
    if (outcome.kind === "delivered") {
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

  /** The result, or what is said when the window ends first: the push goes on and its result is remembered. */
  async #beforeDeadline(
    result: Promise<Settled>,
    running: Running,
    options: DispatchOptions,
  ): Promise<Settled> {
    const { clock } = this.#deps;
    let cancel = (): void => {};
    const windowEnd = new Promise<Settled>((resolve) => {
      cancel = clock.schedule(Math.max(0, options.answerByMs - clock.monotonic()), () =>
        resolve({ kind: "retryable", reason: "answer-window" }),
      );
    });
    try {
      return await Promise.race([result, windowEnd]);
    } finally {
      cancel();
    }
  }

  /** Nobody is configured for it: rejected, unless somebody was until lately (D8, C05). */
  #withoutApp(push: Push): Settled {
    const retired = this.#deps.retired.find(push.appId);
    if (retired === undefined) return { kind: "rejected", reason: "unknown-app" } satisfies Rejected;
    this.#alarm(retired, retiredAppAlarm);
    return { kind: "retryable", reason: "held", retryAfterMs: HELD_RETRY_MS };
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

  #bug(error: unknown, requestId: string): Settled {
    this.#deps.log.error("a push failed by a fault of the gateway's own", {
      request_id: requestId,
      ...errorFields(error),
    });
    return { kind: "retryable", reason: "internal" };
  }
}
