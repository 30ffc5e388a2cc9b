import type { AnswerElsewhere, PushClaims } from "../core/threads.ts";
import type { Digest } from "../store/store.ts";
import type { SharedTable } from "./shared-table.ts";

const DELIVERED = 1;
const PROMISED = 2;
/** A promise is remembered as long as there is room; it is older than what comes later. */
const PROMISED_FOR_MS = 10 * 60_000;

/** Asks the thread with this index; undefined when it has ended, or has nothing to say. */
export type AskForAnswer = (
  thread: number,
  key: Digest,
  withinMs: number,
) => Promise<AnswerElsewhere | undefined>;

/** The claims in memory that the threads share. */
export class SharedPushClaims implements PushClaims {
  readonly #table: SharedTable;
  readonly #nowMs: () => number;
  readonly #ask: AskForAnswer;
  /** How often this thread has taken each. */
  readonly #ours = new Map<Digest, number>();

  /** @param nowMs what deliveries are remembered by: milliseconds since 1970 */
  constructor(table: SharedTable, nowMs: () => number, ask: AskForAnswer) {
    this.#table = table;
    this.#nowMs = nowMs;
    this.#ask = ask;
  }

  take(key: Digest): "ours" | "delivered" | number {
    const count = this.#ours.get(key) ?? 0;
    if (count === 0) {
      const now = this.#nowMs();
      const self = this.#table.self;
      // No room, or no answer in a while: sent without a claim, at worst twice.
      const claim = this.#table.put(key, (slot) => {
        if (slot.owner !== 0 && slot.owner !== self) return slot.owner - 1;
        if ((slot.flags & DELIVERED) !== 0 && slot.time > now) return "delivered";
        slot.owner = self;
        return "ours";
      });
      if (claim !== undefined && claim !== "ours") return claim;
    }
    this.#ours.set(key, count + 1);
    return "ours";
  }

  release(key: Digest): void {
    const count = this.#ours.get(key) ?? 0;
    if (count > 1) {
      this.#ours.set(key, count - 1);
      return;
    }
    if (!this.#ours.delete(key)) return;
    const self = this.#table.self;
    this.#table.find(key, (slot) => {
      if (slot.owner === self) slot.owner = 0;
    });
  }

  isOurs(key: Digest): boolean {
    return this.#ours.has(key);
  }

  delivered(key: Digest, untilMs: number): void {
    this.#table.put(key, (slot) => {
      slot.flags |= DELIVERED;
      slot.time = untilMs;
    });
  }

  isDelivered(key: Digest): boolean {
    const now = this.#nowMs();
    return this.#table.find(key, ({ flags, time }) => (flags & DELIVERED) !== 0 && time > now) === true;
  }

  promised(key: Digest): void {
    const untilMs = this.#nowMs() + PROMISED_FOR_MS;
    this.#table.put(key, (slot) => {
      slot.flags |= PROMISED;
      if ((slot.flags & DELIVERED) === 0) slot.time = untilMs;
    });
  }

  isPromised(key: Digest): boolean {
    return this.#table.find(key, ({ flags }) => (flags & PROMISED) !== 0) === true;
  }

  answerFrom(thread: number, key: Digest, withinMs: number): Promise<AnswerElsewhere | undefined> {
    return this.#ask(thread, key, withinMs);
  }
}
