import type { Clock } from "../clock.ts";
import { errorFields, type Log } from "../log.ts";
import type { ClaimedEntry, Outbox } from "../store/store.ts";
import type { App } from "./app.ts";
import type { Attempter, Delivery, Turn } from "./attempter.ts";
import type { DedupeMemory } from "./dedupe.ts";
import type { Leases } from "./leases.ts";
import type { Observer } from "./observer.ts";
import { finalState, type OutboxIntake } from "./outbox-intake.ts";
import { readPayload } from "./outbox-payload.ts";
import type { Outcome, Retryable } from "./outcome.ts";
import type { PushFacts } from "./push.ts";
import type { RejectionMemory } from "./rejections.ts";
import { retryDelayMs } from "./retry.ts";
import type { LatestBySlot } from "./latest-by-slot.ts";
import type { CoreShare } from "./threads.ts";
import type { UpstreamHealths } from "./upstream-health.ts";

/** What the worker is made of. */
export interface OutboxWorkerDeps {
  readonly outbox: Outbox;
  readonly intake: OutboxIntake;
  readonly leases: Leases;
  readonly apps: ReadonlyMap<string, App>;
  readonly attempter: Attempter;
  readonly healths: UpstreamHealths;
  readonly rejections: RejectionMemory;
  readonly dedupe: DedupeMemory;
  readonly latest: LatestBySlot;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1); for jitter. */
  readonly random: () => number;
  /** Of one of several threads; absent = this is the only one. */
  readonly share?: Pick<CoreShare, "isFirst" | "triesSuspects" | "handBack">;
}

/** Entries taken in one claim. */
const CLAIM = 128;
/** How long the worker sleeps at most: another replica's entries are not announced. */
const LONGEST_SLEEP_MS = 1_000;
/** Pushes that were in hand at a crash, under way at once. */
const SUSPECTS = 32;
/** A push that met a bug of ours is left alone for so long. */
const AFTER_BUG_MS = 60_000;
/** What was claimed for an app that is no longer there waits for so long, though nobody claims it without the app. */
const AFTER_RELOAD_MS = 1_000;
/** Over so long the pushes for one dead host of many are spread. */
const SPREAD_MS = 30_000;
/** Crashes with the push in hand after which it is not tried again (reliability 1.3). */
const POISON_CRASHES = 3;
const EXPIRE_BATCH = 1_000;

/**
 * The loop over promised pushes: claims what is due, the freshest first, attempts it, settles or postpones. Each app
 * has as many under way as its upstream bears; an open circuit lets one probe through.
 */
export class OutboxWorker {
  readonly #deps: OutboxWorkerDeps;
  readonly #stopping = new AbortController();
  readonly #inHand = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  /** A host that the app's entries went to last: its circuit says whether claiming is worth it. */
  readonly #lastHost = new Map<string, string>();
  #suspectsInHand = 0;
  #isolated = false;
  #loop: Promise<void> = Promise.resolve();
  #wake = (): void => {};
  #awake = false;

  constructor(deps: OutboxWorkerDeps) {
    this.#deps = deps;
  }

  /** Takes over what a former process held, and begins. */
  async start(): Promise<void> {
    const { leases, log, outbox, share } = this.#deps;
    // Later the leases are those of living threads.
    const count = share?.isFirst === false ? 0 : await outbox.releaseAbandoned(leases.lease.owner);
    if (count > 0) log.info("pushes of a former process go on", { count });
    this.#loop = this.#run();
  }

  /** Something waits, or there is room again. */
  wake(): void {
    this.#awake = true;
    this.#wake();
  }

  /** Claims nothing more, and waits for what is in hand until the signal aborts; the rest stays leased and waits. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#loop;
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([Promise.allSettled(this.#underWay), aborted]);
    this.#deps.leases.stop();
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      let sleepMs = LONGEST_SLEEP_MS;
      try {
        sleepMs = await this.#tick();
      } catch (error) {
        log.warn("the outbox could not be read", errorFields(error));
      }
      if (sleepMs > 0 && !this.#awake) {
        const slept = new AbortController();
        this.#wake = () => slept.abort();
        // A wake between the look above and this line must not be lost.
        if (this.#awake) slept.abort();
        await clock.sleep(sleepMs, slept.signal);
        this.#wake = () => {};
      }
      this.#awake = false;
    }
  }

  /** Claims for every app what it may have; says how long nothing more is to be done. */
  async #tick(): Promise<number> {
    const { apps, outbox } = this.#deps;
    const names = [...apps.keys()];
    for (const [app, count] of await outbox.expire(EXPIRE_BATCH)) {
      this.#deps.log.info("promised pushes expired", { app, count });
    }
    let more = false;
    for (const name of names) more = (await this.#claimFor(name)) || more;
    await this.#claimSuspects(names);
    if (more) return 0;
    // What is due and may not be claimed is waited for by its circuit, or by whoever ends and wakes the loop.
    const open = names.filter((name) => this.#room(name) > 0);
    const dueInMs = open.length === 0 ? undefined : await outbox.nextDueInMs(open);
    return Math.min(LONGEST_SLEEP_MS, Math.max(dueInMs ?? LONGEST_SLEEP_MS, 20), this.#nextProbeInMs(names));
  }

  /** True when the app has room for more and there is likely more. */
  async #claimFor(name: string): Promise<boolean> {
    const { leases, outbox } = this.#deps;
    const room = this.#room(name);
    if (room <= 0) return false;
    const claimed = await outbox.claim({ apps: [name], limit: Math.min(room, CLAIM), lease: leases.lease });
    for (const entry of claimed) void this.#begin(entry);
    return claimed.length === Math.min(room, CLAIM) && claimed.length > 1;
  }

  /** How many more of an app's pushes may be taken now. */
  #room(name: string): number {
    const { apps } = this.#deps;
    const app = apps.get(name);
    if (app === undefined) return 0;
    const { most, atOnce } = this.#wanted(app);
    const least = Math.min(atOnce, Math.ceil(app.inFlight.mostPromised / 4));
    if (most <= 0 || least === 0) return 0;
    const places = app.inFlight.roomForPromised;
    if (places >= least) return Math.min(most, places);
    // Fresh pushes have the places.
    app.inFlight.onceRoom(least, () => this.wake());
    return 0;
  }

  /** How many more of an app's pushes its upstream bears now, and how few at once are worth a claim. */
  #wanted({ name, pushkin }: App): { readonly most: number; readonly atOnce: number } {
    const { healths } = this.#deps;
    const inHand = this.#inHand.get(name) ?? 0;
    const host = this.#lastHost.get(name);
    // Where users choose the hosts, each entry's own circuit is asked when it is attempted.
    if (host === undefined || pushkin.hasManyUpstreams === true) return { most: CLAIM - inHand, atOnce: 1 };
    const { circuit, limit } = healths.of(name, host);
    if (circuit.isOpen) return { most: circuit.nextProbeInMs > 0 || inHand > 0 ? 0 : 1, atOnce: 1 };
    // A few at a time rather than one by one: each claim is a turn of the store.
    const room = limit.value - inHand;
    const atOnce = Math.max(1, Math.floor(Math.min(CLAIM, limit.value) / 4));
    return { most: room < atOnce ? 0 : room, atOnce };
  }

  /** When the first circuit that keeps an app back lets a probe through. */
  #nextProbeInMs(names: readonly string[]): number {
    const { healths } = this.#deps;
    const waits = names.flatMap((name) => {
      const host = this.#lastHost.get(name);
      const circuit = host === undefined ? undefined : healths.of(name, host).circuit;
      return circuit?.isOpen === true ? [Math.max(20, circuit.nextProbeInMs)] : [];
    });
    return Math.min(LONGEST_SLEEP_MS, ...waits);
  }

  /**
   * What was in hand when a process ended, or lost its lease. A push that was so once is most likely a bystander and
   * goes with others like it; one that was so again goes after them, without any other suspect in hand, so that it
   * alone is found guilty, and only of what it did itself.
   */
  async #claimSuspects(names: readonly string[]): Promise<void> {
    const { apps, leases, outbox, share } = this.#deps;
    if (share?.triesSuspects === false) return;
    while (this.#suspectsInHand < SUSPECTS && !this.#isolated && !this.#stopping.signal.aborted) {
      const roomy = names.filter((name) => (apps.get(name)?.inFlight.roomForPromised ?? 0) > 0);
      const options = { apps: roomy, limit: 1, lease: leases.lease, suspects: true };
      let [entry] = await outbox.claim({ ...options, maxCrashes: 1 });
      if (entry === undefined && this.#suspectsInHand === 0) [entry] = await outbox.claim(options);
      if (entry === undefined) return;
      this.#suspectsInHand += 1;
      if (entry.crashes > 1) this.#isolated = true;
      void this.#begin(entry).finally(() => {
        this.#suspectsInHand -= 1;
        if (entry.crashes > 1) this.#isolated = false;
      });
    }
  }

  #begin(entry: ClaimedEntry): Promise<void> {
    const { leases, log } = this.#deps;
    // Its lease ran out while its attempt is still under way here: that attempt settles it, no second one begins.
    const isInHand = leases.tokenOf(entry.id) !== undefined;
    leases.take(entry.id, entry.token);
    if (isInHand) return Promise.resolve();
    this.#inHand.set(entry.app, (this.#inHand.get(entry.app) ?? 0) + 1);
    const work = this.#inItsPlace(entry)
      .catch(async (error: unknown) => {
        log.error("a promised push failed by a fault of the gateway's own", errorFields(error));
        await this.#deps.intake.conclude(entry.id, entry.token, {
          attempts: entry.attempts + 1,
          dueInMs: AFTER_BUG_MS,
        });
      })
      .finally(() => {
        this.#inHand.set(entry.app, (this.#inHand.get(entry.app) ?? 1) - 1);
        this.#underWay.delete(work);
        this.wake();
      });
    this.#underWay.add(work);
    return work;
  }

  /** With a place among its app's pushes under way, which it may have to wait for. */
  async #inItsPlace(entry: ClaimedEntry): Promise<void> {
    const inFlight = this.#deps.apps.get(entry.app)?.inFlight;
    await inFlight?.enterPromised();
    try {
      await this.#deliver(entry);
    } finally {
      inFlight?.leavePromised();
    }
  }

  async #deliver(entry: ClaimedEntry): Promise<void> {
    const { apps, attempter, clock, latest, leases, rejections, share } = this.#deps;
    // Its lease ran out while its attempt is still under way in another thread: that attempt settles it.
    if (entry.crashes > 0 && (await share?.handBack(entry.id, entry.token)) === true) {
      return leases.release(entry.id);
    }
    const app = apps.get(entry.app);
    const payload = readPayload(entry.payload);
    // A reload has taken the app out while the claim was under way: it waits, should the app come back.
    if (app === undefined) {
      await this.#deps.intake.conclude(entry.id, entry.token, {
        attempts: entry.attempts,
        dueInMs: AFTER_RELOAD_MS,
      });
      return;
    }
    const drop = (reason: "quarantined" | "superseded" | "refused-by-upstream"): Outcome => ({
      kind: "dropped",
      reason,
    });
    if (payload === undefined || payload.pushkin !== app.pushkin.type) {
      this.#deps.log.warn("a promised push of another version or type of app is dropped", { app: app.name });
      return this.#end(entry, app, undefined, drop("refused-by-upstream"), entry.attempts);
    }
    const facts: PushFacts = { ...payload.facts, expiresAtMs: clock.now() + entry.expiresInMs };
    const delivery: Delivery = { app, device: entry.device, facts, message: payload.message };
    const host = app.pushkin.upstreamOf(payload.message);
    this.#lastHost.set(app.name, host);
    if (entry.crashes >= POISON_CRASHES)
      return this.#end(entry, app, facts, drop("quarantined"), entry.attempts);
    if (entry.slot !== undefined && latest.isOlder(app.name, entry.device, entry.slot, entry.receivedAtMs)) {
      return this.#end(entry, app, facts, drop("superseded"), entry.attempts);
    }
    // Delivered already, by an attempt whose end the store did not take.
    if (entry.key !== undefined && this.#deps.dedupe.isRemembered(entry.key)) {
      return this.#end(entry, app, facts, { kind: "delivered" }, entry.attempts);
    }
    // It may have died since, by another push's verdict: the upstream need not be asked.
    if ((await rejections.recall(app.name, entry.device, facts)) === "dead") {
      return this.#end(entry, app, facts, { kind: "rejected", reason: "known-dead" }, entry.attempts);
    }
    const attempt = entry.attempts + 1;
    const outcome = await attempter.attempt(delivery, attempt, this.#turn(entry, app, host));
    await this.#end(entry, app, facts, outcome, attempt);
  }

  /** Whether a repeat counts: not the drain after an outage, which goes as fast as the upstream bears (Settled points). */
  #turn(entry: ClaimedEntry, app: App, host: string): Turn {
    if (entry.attempts === 0) return "fresh";
    const { clock, healths } = this.#deps;
    const { closedAtMs } = healths.of(app.name, host).circuit;
    const waitsSinceMs = clock.monotonic() - entry.waitedMs;
    return closedAtMs !== undefined && waitsSinceMs < closedAtMs ? "free" : "repeat";
  }

  async #end(
    entry: ClaimedEntry,
    app: App,
    facts: PushFacts | undefined,
    outcome: Outcome,
    attempts: number,
  ): Promise<void> {
    const { intake, latest, observer, rejections, dedupe } = this.#deps;
    const { device, id, key, slot, token } = entry;
    if (outcome.kind === "retryable") {
      if (slot !== undefined && latest.isOlder(app.name, device, slot, entry.receivedAtMs)) {
        return this.#end(entry, app, facts, { kind: "dropped", reason: "superseded" }, attempts);
      }
      const later = this.#later(outcome, attempts, app.pushkin.hasManyUpstreams === true);
      const isOurs = await intake.conclude(id, token, later);
      if (isOurs === false || facts === undefined) return;
      const told = { app: app.name, pushkin: app.pushkin.type, facts, device, attempts: later.attempts };
      if (isOurs === true) observer.postponed({ ...told, outcome });
      else observer.concluded({ ...told, outcome: { kind: "dropped", reason: isOurs } });
      return;
    }
    if (outcome.kind === "delivered") {
      if (key !== undefined) dedupe.remember(key);
      // Where the store does not take it this process knows it, for as long as it lives.
      if (slot !== undefined)
        await latest.note(app.name, device, slot, entry.receivedAtMs)?.catch(() => undefined);
    }
    if (outcome.kind === "rejected" && facts !== undefined) {
      // A verdict that cannot be kept is asked for again by the next push.
      await rejections.remember(app.name, device, facts, outcome).catch(() => {});
    }
    if (!(await intake.conclude(id, token, { state: finalState(outcome) })) || facts === undefined) return;
    observer.concluded({ app: app.name, pushkin: app.pushkin.type, facts, device, outcome, attempts });
  }

  #later(
    outcome: Retryable,
    attempts: number,
    hasManyUpstreams: boolean,
  ): { attempts: number; dueInMs: number } {
    const { random } = this.#deps;
    if (outcome.reason === "circuit-open" && hasManyUpstreams) {
      // A host with thousands of subscriptions must not have them all claimed at each of its probes (UW07).
      return { attempts: attempts - 1, dueInMs: (outcome.retryAfterMs ?? 0) + random() * SPREAD_MS };
    }
    const notAsked = outcome.reason === "circuit-open" || outcome.reason === "no-budget";
    const tries = notAsked ? attempts - 1 : attempts;
    return { attempts: tries, dueInMs: retryDelayMs(Math.max(1, tries), outcome, random()) };
  }
}
