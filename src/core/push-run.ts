import type { Clock } from "../clock.ts";
import type { Linked } from "../linked-list.ts";
import type { Digest } from "../store/store.ts";
import type { Deadlines } from "./deadlines.ts";
import type { LatestBySlot } from "./latest-by-slot.ts";
import { runAttempts } from "./attempts.ts";
import type { Attempter, Delivery } from "./attempter.ts";
import { whenKnown } from "./lookup.ts";
import { finalState, settledOf, type Commitment, type OutboxIntake } from "./outbox-intake.ts";
import type { Outcome, Settled } from "./outcome.ts";
import type { Observer } from "./observer.ts";
import { retryDelayMs } from "./retry.ts";

const superseded = { kind: "dropped", reason: "superseded" } as const satisfies Outcome;

/** What a run is made with. */
export interface PushRunDeps {
  readonly attempter: Attempter;
  /** Absent with a store that keeps nothing: then nothing can be promised (D6). */
  readonly intake: OutboxIntake | undefined;
  readonly latest: LatestBySlot;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly random: () => number;
  /** The ends of the answer windows. */
  readonly windows: Deadlines;
  readonly stopping: AbortSignal;
  /** What is said when a bug of ours ended a run. */
  readonly onBug: (error: unknown) => Settled;
}

/**
 * One rendered push from its first attempt to its end or its promise; all requests that bring the same push share it.
 * *Attempting*: until an outcome is final or the answer window ends. *Committed while running*: the window ended
 * first; the entry is leased to us, and the attempt's late answer settles it. *Ended*.
 */
export class PushRun implements Linked<PushRun> {
  readonly delivery: Delivery;
  readonly key: Digest | undefined;
  /** Tries so far. */
  attempts = 0;
  earlier: PushRun | undefined;
  later: PushRun | undefined;
  readonly #deps: PushRunDeps;
  readonly #remember: (outcome: Outcome) => void | Promise<void>;
  #commitment: Promise<Commitment> | undefined;
  #hasOutcome = false;
  #result: Settled | undefined;
  readonly #waiting: ((settled: Settled) => void)[] = [];

  /**
   * @param key what makes it a duplicate, if anything
   * @param remember is told the outcome once the attempts have ended, also when it came too late for the answer
   */
  constructor(
    deps: PushRunDeps,
    delivery: Delivery,
    key: Digest | undefined,
    answerByMs: number,
    remember: (outcome: Outcome) => void | Promise<void>,
  ) {
    this.#deps = deps;
    this.delivery = delivery;
    this.key = key;
    this.#remember = remember;
    const { attempter, clock, random, stopping } = deps;
    runAttempts({
      attempter,
      delivery,
      answerByMs,
      stopping,
      onAttempt: (attempt) => (this.attempts = attempt),
      isSuperseded: () => this.#isSuperseded(),
      clock,
      random,
    })
      .then((outcome) => this.#conclude(outcome))
      .then(
        (settled) => this.#end(settled),
        (error: unknown) => this.#end(deps.onBug(error)),
      );
  }

  /** Tells what came of it, an outcome or a promise, after the attempts have ended; in the order of asking. */
  onEnd(tell: (settled: Settled) => void): void {
    if (this.#result === undefined) this.#waiting.push(tell);
    else tell(this.#result);
  }

  /** Tells the result, or what is said when the window ends before there is one. Once. */
  answerBy(deadlineMs: number, tell: (settled: Settled) => void): void {
    const { onBug, windows } = this.#deps;
    const window = windows.add(deadlineMs, () => {
      this.#promiseWhileRunning().then(tell, (error: unknown) => tell(onBug(error)));
    });
    this.onEnd((settled) => {
      if (window.cancel()) tell(settled);
    });
  }

  #end(settled: Settled): void {
    this.#result = settled;
    for (const tell of this.#waiting) tell(settled);
  }

  #conclude(outcome: Outcome): Settled | Promise<Settled> {
    this.#hasOutcome = true;
    return whenKnown(this.#remember(outcome), () => {
      if (this.#commitment !== undefined)
        return this.#commitment.then((commitment) => this.#concludeLate(outcome, commitment));
      return outcome.kind === "retryable" ? this.#promise(outcome) : outcome;
    });
  }

  #isSuperseded(): boolean {
    const { app, device, facts } = this.delivery;
    return (
      facts.urgency === "badge" && this.#deps.latest.isOlder(app.name, device, "badge", facts.receivedAtMs)
    );
  }

  /** Nothing more will be tried within the window: into the outbox, or back to the sender. */
  async #promise(outcome: Extract<Outcome, { kind: "retryable" }>): Promise<Settled> {
    const { intake, random } = this.#deps;
    if (intake === undefined) return outcome;
    if (this.#isSuperseded()) return superseded;
    const commitment = await intake.commit(this.delivery, {
      key: this.key,
      attempts: this.attempts,
      dueInMs: retryDelayMs(Math.max(1, this.attempts), outcome, random()),
      running: false,
    });
    return settledOf(commitment, outcome);
  }

  /** However many requests wait, one entry. */
  async #promiseWhileRunning(): Promise<Settled> {
    const { intake } = this.#deps;
    if (this.#hasOutcome) return new Promise((resolve) => this.onEnd(resolve));
    if (intake === undefined) return { kind: "retryable", reason: "answer-window" };
    if (this.#commitment === undefined && this.#isSuperseded()) return superseded;
    this.#commitment ??= intake.commit(this.delivery, {
      key: this.key,
      attempts: this.attempts,
      dueInMs: 0,
      running: true,
    });
    return settledOf(await this.#commitment, { kind: "retryable", reason: "answer-window" });
  }

  async #concludeLate(outcome: Outcome, commitment: Commitment): Promise<Settled> {
    const { intake, observer, random } = this.#deps;
    if (intake === undefined || commitment.kind !== "accepted" || commitment.token === undefined) {
      return outcome.kind === "retryable" ? settledOf(commitment, outcome) : outcome;
    }
    const { app, device, facts } = this.delivery;
    const told = { app: app.name, pushkin: app.pushkin.type, facts, device, attempts: this.attempts };
    const end = outcome.kind === "retryable" && this.#isSuperseded() ? superseded : outcome;
    if (end.kind !== "retryable") {
      const isOurs = await intake.conclude(facts.id, commitment.token, { state: finalState(end) });
      if (isOurs) observer.concluded({ ...told, outcome: end });
      return end;
    }
    const dueInMs = retryDelayMs(Math.max(1, this.attempts), end, random());
    const isOurs = await intake.conclude(facts.id, commitment.token, { attempts: this.attempts, dueInMs });
    if (isOurs === "superseded") {
      observer.concluded({ ...told, outcome: superseded });
      return superseded;
    }
    observer.postponed({ ...told, outcome: end });
    return { kind: "accepted", because: end };
  }
}
