import type { Clock } from "../clock.ts";
import { silentObserver, type ConcludedEvent, type Observer, type PostponedEvent } from "../core/observer.ts";
import type { Settled } from "../core/outcome.ts";
import type { Digest, Outcomes, PastOutcome } from "../store/store.ts";

/** What a history is kept with. */
export interface HistoryOptions {
  readonly outcomes: Outcomes;
  readonly digests: {
    device(app: string, pushkey: string): Digest;
    event(eventId: string): Digest;
  };
  readonly clock: Clock;
  /** What the store may keep; a reload changes it. */
  readonly bounds: () => { readonly keepMs: number; readonly maxRows: number };
  /** Of several threads: how many have such a memory each, and together one; and what the others remember. */
  readonly threads?: number;
  readonly elsewhere?: History["own"];
}

/** Pushes of each of the two kinds that are remembered in memory: about 12 MB of each when full. */
const REMEMBERED = 32_768;
/** Promised pushes whose event and request are remembered until they end. */
const MAX_OPEN = 16_384;
const FLUSH_EVERY_MS = 5_000;
/** Rows on their way to the store; more in five seconds is a flood, and the rest of it stays in memory alone. */
const MAX_PENDING = 5_000;
/**
 * Of these, pushes for which no upstream was asked, of each reason: strangers can make them by the thousand, and
 * made-up app ids must not push out what the devices of real ones ask about.
 */
const MAX_UNASKED = 100;
const ROWS_A_CALL = 1_000;
/** Without any trouble to write, what is old is still forgotten. */
const FORGET_EVERY_MS = 60 * 60 * 1_000;

/**
 * What became of pushes lately: all of it in memory, bounded; in the store, in batches and at leisure, what did not
 * simply go well. Deliveries are written only where replicas share a store, and at an orderly stop
 * (docs/decisions/explain.md).
 */
export class History {
  readonly #options: HistoryOptions;
  readonly #delivered: Ring;
  readonly #others: Ring;
  readonly #open = new Map<string, PastOutcome>();
  #pending = new Map<string, PastOutcome>();
  readonly #unasked = new Map<string, number>();
  #cancel = (): void => {};
  #flushing: Promise<void> = Promise.resolve();
  #lastPutMs: number;
  readonly observer: Observer;

  constructor(options: HistoryOptions) {
    this.#options = options;
    const remembered = Math.ceil(REMEMBERED / (options.threads ?? 1));
    this.#delivered = new Ring(remembered);
    this.#others = new Ring(remembered);
    this.#lastPutMs = options.clock.monotonic();
    this.observer = {
      ...silentObserver,
      settled: ({ app = "", attempts, device, pushkin = "", push, requestId, settled }) => {
        const { eventId } = push.content.kind === "matrix" ? push.content : {};
        this.#note({
          push: push.id,
          app,
          pushkin,
          device: device === "" ? options.digests.device("", push.pushkey) : device,
          ...(eventId === undefined ? {} : { event: options.digests.event(eventId) }),
          ...(requestId === undefined ? {} : { request: requestId }),
          ...stateOf(settled),
          attempts,
          expiresAtMs: push.expiresAtMs,
        });
      },
      postponed: (event) => this.#note(promised(event, { kind: "accepted", because: event.outcome })),
      concluded: (event) => this.#note(promised(event, event.outcome), { wasPromised: true }),
      superseded: ({ app, attempts, device, push, pushkin }) => {
        const state = stateOf({ kind: "dropped", reason: "superseded" });
        const expiresAtMs = options.clock.now();
        this.#note({ push, app, pushkin, device, ...state, attempts, expiresAtMs }, { wasPromised: true });
      },
    };
    this.#schedule();
  }

  /** The latest state of each push, the latest first, this process's and the store's. Rejects with `StoreError`. */
  async find(by: Parameters<Outcomes["find"]>[0], limit: number): Promise<readonly PastOutcome[]> {
    const [kept, own, elsewhere = []] = await Promise.all([
      this.#options.outcomes.find(by, limit),
      this.own(by, limit),
      this.#options.elsewhere?.(by, limit),
    ]);
    const byPush = new Map(kept.map((each) => [each.push, each]));
    for (const each of [...elsewhere, ...own]) {
      const known = byPush.get(each.push);
      if (known === undefined || each.atMs >= known.atMs) byPush.set(each.push, { ...known, ...each });
    }
    return [...byPush.values()].sort((a, b) => b.atMs - a.atMs).slice(0, limit);
  }

  /** What this thread's memory has of it, the latest of what went well and the latest of the rest. */
  own(by: Parameters<Outcomes["find"]>[0], limit: number): Promise<readonly PastOutcome[]> {
    const latestOf = (ring: Ring): readonly PastOutcome[] =>
      ring
        .all()
        .filter((each) => matches(each, by))
        .slice(-limit);
    return Promise.resolve([...latestOf(this.#delivered), ...latestOf(this.#others)]);
  }

  /** Writes what is on its way now. Never rejects: nothing depends on it. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write([...this.#take()]));
    return this.#flushing;
  }

  /** At an orderly stop: what is remembered of deliveries goes to the store too. Never rejects. */
  async stop(): Promise<void> {
    this.#cancel();
    this.#cancel = () => {};
    await this.flush();
    if (!this.#options.outcomes.shared) await this.#write([...this.#delivered.all()]);
  }

  #note(outcome: Omit<PastOutcome, "atMs">, { wasPromised = false } = {}): void {
    const before = this.#open.get(outcome.push);
    const noted: PastOutcome = {
      ...(before?.event === undefined ? {} : { event: before.event }),
      ...(before?.request === undefined ? {} : { request: before.request }),
      ...outcome,
      atMs: this.#options.clock.now(),
    };
    if (noted.kind === "accepted") {
      this.#open.delete(noted.push);
      this.#open.set(noted.push, noted);
      // The one that has been open for the longest loses its event and request, in memory alone.
      for (const oldest of this.#open.keys()) {
        if (this.#open.size <= MAX_OPEN) break;
        this.#open.delete(oldest);
      }
    } else if (before !== undefined) this.#open.delete(noted.push);
    const wentWell = noted.kind === "delivered";
    (wentWell ? this.#delivered : this.#others).add(noted);
    // What was promised, by this process or one before it, is in the store as waiting, so its end goes there too.
    if (wentWell && !wasPromised && before === undefined && !this.#options.outcomes.shared) return;
    this.#keep(noted, wasPromised);
  }

  #keep(noted: PastOutcome, wasPromised: boolean): void {
    // What is to be written already is written as it is now.
    if (this.#pending.has(noted.push)) return void this.#pending.set(noted.push, noted);
    if (noted.reason === "duplicate" || this.#pending.size >= MAX_PENDING) return;
    if (noted.attempts === 0 && noted.kind !== "accepted" && !wasPromised) {
      const unasked = this.#unasked.get(noted.reason) ?? 0;
      if (unasked >= MAX_UNASKED) return;
      this.#unasked.set(noted.reason, unasked + 1);
    }
    this.#pending.set(noted.push, noted);
  }

  #take(): Iterable<PastOutcome> {
    const pending = this.#pending;
    this.#pending = new Map();
    this.#unasked.clear();
    return pending.values();
  }

  async #write(outcomes: readonly PastOutcome[]): Promise<void> {
    const { clock, bounds } = this.#options;
    const { keepMs, maxRows } = bounds();
    const isDue = clock.monotonic() - this.#lastPutMs >= FORGET_EVERY_MS;
    if (outcomes.length === 0 && !isDue) return;
    this.#lastPutMs = clock.monotonic();
    for (let from = 0; from === 0 || from < outcomes.length; from += ROWS_A_CALL) {
      const rows = outcomes.slice(from, from + ROWS_A_CALL);
      const limits = { maxRows, forgetBeforeMs: clock.now() - keepMs };
      // A store that does not work is told of by those who need it.
      await this.#options.outcomes.put(rows, limits).catch(() => {});
    }
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.schedule(FLUSH_EVERY_MS, () => {
      void this.flush();
      this.#schedule();
    });
  }
}

/** What is noted of a push that had been promised. */
function promised(
  { app, attempts, device, facts, pushkin }: PostponedEvent | ConcludedEvent,
  settled: Settled,
): Omit<PastOutcome, "atMs"> {
  const { expiresAtMs, id: push } = facts;
  return { push, app, pushkin, device, ...stateOf(settled), attempts, expiresAtMs };
}

type State = Pick<PastOutcome, "kind" | "reason" | "status" | "answer">;

function stateOf(settled: Settled): State {
  const told = settled.kind === "accepted" ? settled.because : settled;
  return {
    kind: settled.kind,
    reason: told !== undefined && "reason" in told ? told.reason : "",
    ...(told?.answer === undefined ? {} : { status: told.answer.status }),
    ...(told?.answer?.reason === undefined ? {} : { answer: told.answer.reason }),
  };
}

function matches(outcome: PastOutcome, by: Parameters<Outcomes["find"]>[0]): boolean {
  if ("devices" in by) return by.devices.includes(outcome.device);
  return "event" in by ? outcome.event === by.event : outcome.push === by.id || outcome.request === by.id;
}

/** The last so many; adding costs the same whatever is in it, looking through it is for the rare question. */
class Ring {
  readonly #items: PastOutcome[] = [];
  readonly #size: number;
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(item: PastOutcome): void {
    this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.#size;
  }

  /** Oldest first. */
  all(): readonly PastOutcome[] {
    return [...this.#items.slice(this.#next), ...this.#items.slice(0, this.#next)];
  }
}
