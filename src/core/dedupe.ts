import type { Clock } from "../clock.ts";
import type { Dedupe, Digest } from "../store/store.ts";
import { orUnknown } from "./lookup.ts";
import type { PushRun } from "./push-run.ts";

/** About 40 MB when full; then the oldest are forgotten: a rare duplicate is better than a lost message. */
const MAX_REMEMBERED = 262_144;
/** The oldest are forgotten all at once, so many at a time: one by one would cost a walk over a map's gaps for each. */
const GENERATIONS = 8;
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
  readonly #maxRemembered: number;
  readonly #inFlight = new Map<Digest, PushRun>();
  /** Until when, on the wall clock. The newest generation, which grows, is the first. */
  #delivered: readonly Map<Digest, number>[] = [new Map()];

  constructor(store: Dedupe, clock: Clock, keepMs: number, maxRemembered = MAX_REMEMBERED) {
    this.#store = store;
    this.#clock = clock;
    this.keepMs = keepMs;
    this.#maxRemembered = maxRemembered;
  }

  /** An equal push that is under way: its result is shared. */
  running(key: Digest): PushRun | undefined {
    return this.#inFlight.get(key);
  }

  /** Takes note of a push that has been begun; its result is shared until it is there. */
  begin(key: Digest, run: PushRun): void {
    this.#inFlight.set(key, run);
    run.onEnd(() => this.#inFlight.delete(key));
  }

  /** This process has seen it delivered. Asks no store. */
  isRemembered(key: Digest): boolean {
    return (this.#until(key) ?? 0) > this.#clock.now();
  }

  /** Answers without waiting unless the store may know of it. */
  wasDelivered(key: Digest): boolean | Promise<boolean> {
    const now = this.#clock.now();
    if ((this.#until(key) ?? 0) > now) return true;
    const kept = this.#store.has(key, now);
    return kept instanceof Promise ? orUnknown(kept, false) : kept;
  }

  /** A delivered push: a repeat is not sent. */
  remember(key: Digest): void {
    if (this.keepMs <= 0) return;
    let newest = this.#delivered[0];
    if (newest === undefined || newest.size >= Math.max(1, Math.floor(this.#maxRemembered / GENERATIONS))) {
      newest = new Map();
      this.#delivered = [newest, ...this.#delivered.slice(0, GENERATIONS - 1)];
    }
    newest.set(key, this.#clock.now() + this.keepMs);
  }

  /** Delivered pushes whose sender is about to repeat them: kept over a restart. */
  async keep(keys: readonly Digest[]): Promise<void> {
    if (this.keepMs <= 0 || keys.length === 0) return;
    await this.#store.put(keys, this.#clock.now() + Math.max(this.keepMs, KEEP_WHERE_REPEAT_IS_EXPECTED_MS));
  }

  /** At an orderly stop: everything that is remembered goes to the store (P3). */
  async keepAll(): Promise<void> {
    const now = this.#clock.now();
    const remembered = this.#delivered.flatMap((generation) => [...generation]);
    const live = remembered.filter(([, until]) => until > now).map(([key]) => key);
    for (let from = 0; from < live.length; from += KEEP_BATCH) {
      await this.#store.put(live.slice(from, from + KEEP_BATCH), now + this.keepMs);
    }
  }

  #until(key: Digest): number | undefined {
    for (const generation of this.#delivered) {
      const until = generation.get(key);
      if (until !== undefined) return until;
    }
    return undefined;
  }
}
