import type { Clock } from "../clock.ts";
import { PassingMap } from "../passing-map.ts";
import type { Dedupe, Digest } from "../store/store.ts";
import { DeliveredKeys } from "./delivered-keys.ts";
import { orUnknown } from "./lookup.ts";
import type { PushRun } from "./push-run.ts";
import type { AnswerElsewhere, PushClaims } from "./threads.ts";

/** 13 MB when full; then the oldest are forgotten: a rare duplicate is better than a lost message. */
const MAX_REMEMBERED = 262_144;
/** How many keys go to the store in one call. */
const KEEP_BATCH = 4_096;
/** Synapse comes back up to a day later, an hour between its tries (matrix-push 5.4). */
const KEEP_WHERE_REPEAT_IS_EXPECTED_MS = 25 * 60 * 60 * 1000;

/**
 * The same push again: while the first is under way it shares its result, once delivered it is answered without
 * sending, and after a failure it is tried again (D9). In memory, bounded; on disk only what a sender is about to
 * repeat, and everything at an orderly stop.
 */
export class DedupeMemory {
  /** How long a delivered push is remembered; 0 suppresses nothing but what is under way. A reload changes it. */
  keepMs: number;
  readonly #store: Dedupe;
  readonly #clock: Clock;
  readonly #claims: PushClaims | undefined;
  readonly #inFlight = new PassingMap<Digest, PushRun>();
  /** Until when, on the wall clock. */
  readonly #delivered: DeliveredKeys;

  /** @param share of one of several threads, which remember all of it together; absent = this one is the only one */
  constructor(
    store: Dedupe,
    clock: Clock,
    keepMs: number,
    maxRemembered = MAX_REMEMBERED,
    share?: { readonly threads: number; readonly claims: PushClaims },
  ) {
    this.#store = store;
    this.#clock = clock;
    this.keepMs = keepMs;
    this.#delivered = new DeliveredKeys(Math.ceil(maxRemembered / (share?.threads ?? 1)));
    this.#claims = share?.claims;
  }

  /** Of several threads: makes sure that this one alone sends it. Undefined where there is but one thread. */
  claim(key: Digest): ReturnType<PushClaims["take"]> | undefined {
    return this.#claims?.take(key);
  }

  /** Takes back a claim that led to no run. */
  release(key: Digest): void {
    this.#claims?.release(key);
  }

  /** This thread has it, though perhaps no run of it yet. */
  isClaimed(key: Digest): boolean {
    return this.#claims?.isOurs(key) === true;
  }

  /** What the thread that is sending it says of it. */
  answerFrom(thread: number, key: Digest, withinMs: number): Promise<AnswerElsewhere | undefined> {
    return this.#claims?.answerFrom(thread, key, withinMs) ?? Promise.resolve(undefined);
  }

  /** An equal push that is under way: its result is shared. */
  running(key: Digest): PushRun | undefined {
    return this.#inFlight.get(key);
  }

  /** Takes note of a push that has been begun; its result is shared until it is there. Its claim ends with it. */
  begin(key: Digest, run: PushRun): void {
    this.#inFlight.add(key, run);
    run.onEnd(() => {
      this.#inFlight.delete(key);
      this.#claims?.release(key);
    });
  }

  /** This process has seen it delivered. Asks no store. */
  isRemembered(key: Digest): boolean {
    return (this.#delivered.until(key) ?? 0) > this.#clock.now() || this.#claims?.isDelivered(key) === true;
  }

  /** Answers without waiting unless the store may know of it. */
  wasDelivered(key: Digest): boolean | Promise<boolean> {
    const now = this.#clock.now();
    if ((this.#delivered.until(key) ?? 0) > now || this.#claims?.isDelivered(key) === true) return true;
    const kept = this.#store.has(key, now);
    return kept instanceof Promise ? orUnknown(kept, false) : kept;
  }

  /** A delivered push: a repeat is not sent. */
  remember(key: Digest): void {
    if (this.keepMs <= 0) return;
    const untilMs = this.#clock.now() + this.keepMs;
    this.#delivered.set(key, untilMs);
    this.#claims?.delivered(key, untilMs);
  }

  /** Delivered pushes whose sender is about to repeat them: kept over a restart. */
  async keep(keys: readonly Digest[]): Promise<void> {
    if (this.keepMs <= 0 || keys.length === 0) return;
    await this.#store.put(keys, this.#clock.now() + Math.max(this.keepMs, KEEP_WHERE_REPEAT_IS_EXPECTED_MS));
  }

  /** At an orderly stop: everything that is remembered goes to the store (P3). */
  async keepAll(): Promise<void> {
    const now = this.#clock.now();
    const live = [...this.#delivered.beyond(now)];
    for (let from = 0; from < live.length; from += KEEP_BATCH) {
      await this.#store.put(live.slice(from, from + KEEP_BATCH), now + this.keepMs);
    }
  }
}
