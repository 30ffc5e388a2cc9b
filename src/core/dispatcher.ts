import type { Clock } from "../clock.ts";
import { LinkedList } from "../linked-list.ts";
import { errorFields, type Log } from "../log.ts";
import { StoreError, type Digest } from "../store/store.ts";
import { malformedAlarm, retiredAppAlarm, storeAlarm, type Alarm } from "./alarms.ts";
import type { App } from "./app.ts";
import { heldRetryMs, type Attempter, type Delivery } from "./attempter.ts";
import type { DedupeMemory } from "./dedupe.ts";
import { Deadlines } from "./deadlines.ts";
import type { Digests } from "./digest.ts";
import type { LatestBySlot } from "./latest-by-slot.ts";
import { whenKnown } from "./lookup.ts";
import type { Observer } from "./observer.ts";
import type { OutboxIntake } from "./outbox-intake.ts";
import type { Outcome, Rejected, Settled } from "./outcome.ts";
import { PushRun, type PushRunDeps } from "./push-run.ts";
import type { Push } from "./push.ts";
import type { PushLimits } from "./push-limits.ts";
import type { Memory, RejectionMemory } from "./rejections.ts";
import type { ServedApps } from "./served-apps.ts";
import { promiseForItsTurn, promiseUnsent } from "./unsent.ts";

/** What a door knows about a request beside its pushes. */
export interface DispatchOptions {
  readonly requestId: string;
  /** When the answer must be ready, on `Clock.monotonic()` (design D6). */
  readonly answerByMs: number;
  /** Aborted once the caller has hung up: the pushes go on, and their results are kept for the repeat. */
  readonly callerGone: { readonly aborted: boolean };
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
  /** Of several threads this one has it, and no run has it yet. */
  isClaimed: boolean;
}

/** Is told what became of a push, and how often the upstream was asked. */
type Tell = (settled: Settled, attempts: number) => void;

/** What is known before the upstream is asked: the push is settled by it, or its device is remembered so. */
type Known = Settled | Memory;

/** The way of one push (design, 'One push, step by step'), and the sole writer of outcomes. */
export class CoreDispatcher implements Dispatcher {
  readonly #deps: CoreDispatcherDeps;
  readonly #stopping = new AbortController();
  readonly #underWay = new LinkedList<PushRun>();
  readonly #runDeps: PushRunDeps;

  constructor(deps: CoreDispatcherDeps) {
    this.#deps = deps;
    const { attempter, clock, intake, latest, random } = deps;
    const onBug = (error: unknown): Settled => this.#bug(error);
    const windows = new Deadlines(clock);
    const { observer } = deps;
    const stopping = this.#stopping.signal;
    this.#runDeps = { attempter, intake, latest, observer, clock, random, windows, stopping, onBug };
  }

  async dispatch(pushes: readonly Push[], options: DispatchOptions): Promise<readonly Settled[]> {
    const { clock, dedupe, log } = this.#deps;
    const delivered: Digest[] = [];
    const settled = await this.#settleAll(pushes, options, delivered);
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
    const ends = this.#underWay.all().map((run) => new Promise((resolve) => run.onEnd(resolve)));
    await Promise.race([Promise.all(ends), aborted]);
  }

  #settleAll(
    pushes: readonly Push[],
    options: DispatchOptions,
    delivered: Digest[],
  ): Promise<readonly Settled[]> {
    return new Promise((resolve, reject) => {
      const all = new Array<Settled>(pushes.length);
      let open = pushes.length;
      if (open === 0) resolve(all);
      pushes.forEach((push, i) => {
        this.#settle(
          push,
          options,
          (settled, key) => {
            if (settled.kind === "delivered" && key !== undefined) delivered.push(key);
            all[i] = settled;
            open -= 1;
            if (open === 0) resolve(all);
          },
          reject,
        );
      });
    });
  }

  /** One push up to its answer, which may come before its outcome. Tells once; `threw` is for a bug in an observer. */
  #settle(
    push: Push,
    options: DispatchOptions,
    tell: (settled: Settled, key: Digest | undefined) => void,
    threw: (error: unknown) => void,
  ): void {
    const { apps, clock, digests, observer } = this.#deps;
    const startedMs = clock.monotonic();
    observer.deviceReceived(push);
    const app = apps.find(push.appId);
    if (app === undefined) {
      const settled = this.#withoutApp(push);
      const { requestId } = options;
      observer.settled({ push, requestId, device: "", settled, durationMs: 0, attempts: 0 });
      return tell(settled, undefined);
    }
    observer.handed(app.name, app.pushkin.type);
    const key =
      push.dedupeOn === undefined ? undefined : digests.push(push.appId, push.pushkey, push.dedupeOn);
    const device = digests.device(app.name, push.pushkey);
    this.#answer({ push, app, device, key, isClaimed: false }, options, (settled, attempts) => {
      try {
        observer.settled({
          app: app.name,
          pushkin: app.pushkin.type,
          push,
          requestId: options.requestId,
          device,
          settled,
          durationMs: clock.monotonic() - startedMs,
          attempts,
        });
      } catch (error) {
        return threw(error);
      }
      tell(settled, key);
    });
  }

  /** Known dead? A duplicate? Promised already? Else render and run. Tells once, and never throws. */
  #answer(addressed: Addressed, options: DispatchOptions, tell: Tell): void {
    const failed = (error: unknown): void => {
      this.#release(addressed);
      tell(this.#failed(error), 0);
    };
    const goOn = (known: Known): void => {
      try {
        if (typeof known === "string") this.#share(addressed, known, options, tell, failed);
        else {
          this.#release(addressed);
          tell(known, 0);
        }
      } catch (error) {
        failed(error);
      }
    };
    try {
      const known = this.#recall(addressed, options);
      if (known instanceof Promise) known.then(goOn, failed);
      else goOn(known);
    } catch (error) {
      failed(error);
    }
  }

  /** What makes it needless to ask the upstream, or what the device is known for. Waits for a store that may know. */
  #recall(addressed: Addressed, options: DispatchOptions): Known | Promise<Known> {
    const { app, device, key, push } = addressed;
    const { dedupe, intake, rejections } = this.#deps;
    return whenKnown(rejections.recall(app.name, device, push), (memory): Known | Promise<Known> => {
      if (memory === "dead") return { kind: "rejected", reason: "known-dead" };
      if (key === undefined) return memory;
      return whenKnown(dedupe.wasDelivered(key), (wasDelivered): Known | Promise<Known> => {
        if (wasDelivered) return { kind: "dropped", reason: "duplicate" };
        if (dedupe.running(key) !== undefined) return memory;
        // Before the outbox is asked: whoever has had it until now has promised it by then, if he did.
        const claim = dedupe.claim(key);
        if (claim === "delivered") return { kind: "dropped", reason: "duplicate" };
        if (typeof claim === "number") return this.#elsewhere(claim, key, addressed, options);
        addressed.isClaimed = claim === "ours";
        if (intake === undefined) return memory;
        return whenKnown(intake.holds(key), (held) => (held ? { kind: "accepted" } : memory));
      });
    });
  }

  /** An equal push is under way in another thread: what is said of it there is said here, as long as it holds. */
  async #elsewhere(
    thread: number,
    key: Digest,
    addressed: Addressed,
    options: DispatchOptions,
  ): Promise<Known> {
    const { clock, dedupe } = this.#deps;
    const withinMs = Math.max(0, options.answerByMs - clock.monotonic());
    const answer = await dedupe.answerFrom(thread, key, withinMs);
    if (answer === undefined || isVoidFor(addressed.push, answer.settled, answer.pushkeyTsMs)) {
      return this.#recall(addressed, options);
    }
    return answer.settled;
  }

  /** What was claimed has led to no run. */
  #release(addressed: Addressed): void {
    if (!addressed.isClaimed || addressed.key === undefined) return;
    addressed.isClaimed = false;
    this.#deps.dedupe.release(addressed.key);
  }

  /** Joins an equal push that is under way, or begins. Nothing waits in between, so that two equal ones cannot both begin. */
  #share(
    addressed: Addressed,
    memory: Memory,
    options: DispatchOptions,
    tell: Tell,
    failed: (error: unknown) => void,
  ): void {
    const { key, push } = addressed;
    const earlier = key === undefined ? undefined : this.#deps.dedupe.running(key);
    if (earlier !== undefined) {
      this.#release(addressed);
      earlier.answerBy(options.answerByMs, (settled) => {
        if (isVoidFor(push, settled, earlier.delivery.facts.pushkeyTsMs))
          this.#answer(addressed, options, tell);
        else tell(settled, 0);
      });
      return;
    }
    const run = this.#begin(addressed, memory === "registered-since", options);
    if (run instanceof PushRun) run.answerBy(options.answerByMs, (settled) => tell(settled, run.attempts));
    else {
      const end = (settled: Settled): void => {
        this.#release(addressed);
        tell(settled, 0);
      };
      if (run instanceof Promise) run.then(end, failed);
      else end(run);
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
    if (!("body" in rendered))
      return rendered.kind === "rejected" ? this.#malformed(app, device, rendered) : rendered;
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
    if (throttled !== undefined) {
      observer.throttled(app.name, throttled.by);
      return promiseForItsTurn(this.#deps.intake, delivery, key, throttled);
    }
    if (!app.inFlight.tryEnter()) {
      observer.overloaded(app.name);
      return promiseUnsent(this.#deps.intake, delivery, key);
    }
    const run = new PushRun(this.#runDeps, delivery, key, options.answerByMs, (outcome) =>
      this.#remember(addressed, outcome, wasDead, options),
    );
    if (key !== undefined) dedupe.begin(key, run);
    addressed.isClaimed = false;
    this.#underWay.push(run);
    run.onEnd(() => {
      this.#underWay.remove(run);
      app.inFlight.leave();
    });
    return run;
  }

  /** Rejected unasked, unless there are so many that the app's own settings must be wrong (P4, D8). */
  #malformed(app: App, device: Digest, rejected: Rejected): Settled | Promise<Settled> {
    return whenKnown(app.guard.judgeMalformed(device), (isHeld): Settled => {
      if (!isHeld) return rejected;
      this.#alarm(app.name, malformedAlarm);
      return { kind: "retryable", reason: "held", retryAfterMs: heldRetryMs(1) };
    });
  }

  /** Waits only for a store that has to be told. */
  #remember(
    { app, device, key, push }: Addressed,
    outcome: Outcome,
    wasDead: boolean,
    options: DispatchOptions,
  ): void | Promise<void> {
    const { clock, dedupe, latest, rejections } = this.#deps;
    if (outcome.kind === "rejected")
      return this.#tryStore(() => rejections.remember(app.name, device, push, outcome));
    if (outcome.kind !== "delivered") return;
    const older =
      push.urgency === "badge" ? latest.note(app.name, device, "badge", push.receivedAtMs) : undefined;
    const dropped = older === undefined ? undefined : this.#tryStore(() => older);
    const forgotten = wasDead ? this.#tryStore(() => rejections.forget(app.name, device)) : undefined;
    const written = dropped === undefined ? forgotten : dropped.then(() => forgotten);
    return whenKnown<void, void>(written, () => {
      if (key === undefined) return undefined;
      dedupe.remember(key);
      // Its caller was told to come back, or has gone without an answer: he will repeat it (matrix-push 5.4).
      const repeatExpected = clock.monotonic() > options.answerByMs || options.callerGone.aborted;
      return repeatExpected ? this.#tryStore(() => dedupe.keep([key])) : undefined;
    });
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

  #failed(error: unknown): Settled {
    // Whether it is promised already cannot be looked up: sending it could double it (P15).
    if (error instanceof StoreError) return { kind: "retryable", reason: "store", retryAfterMs: 5_000 };
    return this.#bug(error);
  }

  #bug(error: unknown): Settled {
    this.#deps.log.error("a push failed by a fault of the gateway's own", errorFields(error));
    return { kind: "retryable", reason: "internal" };
  }
}

/** A verdict does not hold for a device that was registered again after the push that earned it had been sent (P4). */
function isVoidFor(push: Push, settled: Settled, sentWithTsMs: number | undefined): boolean {
  const { pushkeyTsMs } = push;
  if (settled.kind !== "rejected" || pushkeyTsMs === undefined) return false;
  return pushkeyTsMs > (sentWithTsMs ?? 0);
}
