import { randomUUID } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { Registry } from "prom-client";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { missingThreadAlarm, threadAlarm } from "../core/alarms.ts";
import type { Refusal } from "../explain/refusals.ts";
import { StartError } from "../gateway/start-error.ts";
import type { ListenAddress } from "../http/server.ts";
import { errorFields, type Log, type LogFields } from "../log.ts";
import { keptOf, summedMetrics, type MetricValues } from "../metrics/summed.ts";
import type { SqliteSeat } from "../store/sqlite.ts";
import type { PastOutcome } from "../store/store.ts";
import { threadFlags } from "../thread-flags.ts";
import { answersOfFirst } from "./answers-of-first.ts";
import { Endings } from "./endings.ts";
import { droppedOf, lineCounts } from "./forwarded-log.ts";
import { Line } from "./line.ts";
import type { ThreadData, ThreadState, ToFirst, ToThread } from "./messages.ts";
import {
  abandonMemory,
  sharedMemory,
  shareOver,
  type Others,
  type ThreadInside,
  type ThreadPart,
} from "./part.ts";
import { checkFree } from "./free-ports.ts";
import { watchPulse } from "./pulse.ts";
import { toPortable } from "./portable-config.ts";

/** A thread that has not begun to serve by then hangs. */
const START_WITHIN_MS = 60_000;
/** How long an answer that is nice to have is waited for. */
const ASK_WITHIN_MS = 1_000;
/** How long all threads may take to make what a change needs. */
const PREPARE_WITHIN_MS = 30_000;
/** After the drain delay: as long as the first thread takes for itself, and a little. */
const STOP_WITHIN_MS = 17_000;

/** One of the other threads, as long as it lives. */
interface Member {
  readonly index: number;
  readonly owner: string;
  readonly worker: Worker;
  readonly line: Line<ToThread, ToFirst>;
  readonly startedMs: number;
  isReady: boolean;
  /** Why it cannot start, as it says itself. */
  refusal?: string;
  stopPulse?: () => void;
  /** It was ended because it answered no more. */
  isStuck?: true;
}

/** What the first thread knows of the others, and does for them. */
export class Crew implements Others {
  readonly part: ThreadPart;
  readonly #threads: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #memory = sharedMemory();
  readonly #members = new Map<number, Member>();
  /** By index: what a thread said at the last scrape. */
  readonly #said = new Map<number, readonly MetricValues[]>();
  readonly #lines = new Map<number, SharedArrayBuffer>();
  readonly #endings: Endings;
  readonly #onFatal: (what: string) => void;
  readonly #again = new Set<() => void>();
  #ended: readonly MetricValues[] = [];
  #keeping: Promise<void> = Promise.resolve();
  /** A reload is under way: a thread that starts meanwhile would miss it. */
  #changing: Promise<unknown> = Promise.resolve();
  #inside: ThreadInside | undefined;
  #listen: readonly ListenAddress[] = [];
  #seat: (() => SqliteSeat) | undefined;
  #hasStarted = false;
  #isStopping = false;

  /** @param threads how many there shall be, the first included */
  constructor({
    threads,
    clock,
    log,
    onFatal,
  }: {
    readonly threads: number;
    readonly clock: Clock;
    readonly log: Log;
    /** Threads end so often that the process has to. */
    readonly onFatal: (what: string) => void;
  }) {
    this.#threads = threads;
    this.#clock = clock;
    this.#log = log;
    this.#onFatal = onFatal;
    this.#endings = new Endings(threads);
    for (let index = 1; index < threads; index += 1) this.#lines.set(index, lineCounts());
    this.part = {
      forApps: { threads },
      share: shareOver(this.#memory, {
        index: 0,
        threads,
        owner: randomUUID(),
        clock,
        answerFrom: async (thread, key, withinMs) =>
          this.#members.get(thread)?.line.ask("answerFor", { key, withinMs }),
        handBack: (id, token) => this.#handBack(0, id, token),
      }),
    };
  }

  checkFree(addresses: readonly ListenAddress[]): Promise<void> {
    return checkFree(addresses);
  }

  withOwn(registry: Registry): Pick<Registry, "metrics"> {
    return summedMetrics(registry, this);
  }

  async start(
    inside: ThreadInside,
    listen: readonly ListenAddress[],
    seat: (() => SqliteSeat) | undefined,
  ): Promise<void> {
    this.#inside = inside;
    this.#listen = listen;
    this.#seat = seat;
    const indexes = Array.from({ length: this.#threads - 1 }, (_, i) => i + 1);
    await Promise.all(indexes.map((index) => this.#spawn(index)));
    if (this.serving < indexes.length) throw new StartError("workers: a thread ended as soon as it served");
    this.#hasStarted = true;
  }

  async metrics(): Promise<readonly (readonly MetricValues[])[]> {
    await this.#keeping;
    const said = await Promise.all(
      this.#living().map(async ({ index, line, owner }) => {
        const values = await this.#within(ASK_WITHIN_MS, line.ask("metrics", null));
        // Unless it has ended meanwhile: then what it had counted is among what is kept.
        if (values !== undefined && this.#members.get(index)?.owner === owner) this.#said.set(index, values);
        return index;
      }),
    );
    await this.#keeping;
    return said.map((index) => this.#said.get(index) ?? []);
  }

  ended(): readonly MetricValues[] {
    return this.#ended;
  }

  async states(): Promise<readonly ThreadState[]> {
    return this.#askAll((line) => line.ask("state", null));
  }

  async history(by: ToThread["history"][0]["by"], limit: number): Promise<readonly PastOutcome[]> {
    return (await this.#askAll((line) => line.ask("history", { by, limit }))).flat();
  }

  async refused(request: string): Promise<Refusal | undefined> {
    return (await this.#askAll((line) => line.ask("refused", request)))[0];
  }

  get serving(): number {
    return this.#living().length;
  }

  droppedLines(): number {
    return [...this.#lines.values()].reduce((sum, counts) => sum + droppedOf(counts), 0);
  }

  async prepare(config: Config): Promise<{ commit(): Promise<void>; discard(): void }> {
    const over = Promise.withResolvers<void>();
    this.#changing = over.promise;
    // A thread that is just starting does so with the configuration of before.
    await Promise.all([...this.#members.values()].map((member) => this.#ready(member)));
    const members = this.#living();
    const portable = toPortable(config);
    const discard = (): void => {
      for (const { line } of members) line.tell("discard", null);
      over.resolve();
    };
    const problems = await Promise.all(
      members.map(async ({ index, line }) => {
        const problem = await this.#within(PREPARE_WITHIN_MS, line.ask("prepare", portable));
        // One that has ended meanwhile starts with what comes of this.
        if (problem !== undefined || !this.#members.has(index)) return problem ?? null;
        return `thread ${index} does not answer`;
      }),
    );
    const problem = problems.find((each) => each !== null);
    if (problem !== undefined) {
      discard();
      throw new Error(problem);
    }
    return {
      discard,
      commit: async () => {
        await Promise.all(
          members.map(async ({ index, line, worker }) => {
            const done = await this.#within(PREPARE_WITHIN_MS, line.ask("commit", null));
            if (done === true) return;
            // It must not go on with another configuration than the others: it is started anew with this one.
            this.#log.error("a thread did not take the reload over and is started anew", { thread: index });
            await worker.terminate();
          }),
        );
        over.resolve();
      },
    };
  }

  async stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    this.#isStopping = true;
    for (const cancel of this.#again) cancel();
    await Promise.all(
      [...this.#members.values()].map(async ({ isReady, line, worker }) => {
        if (isReady) await this.#within(drainMs + STOP_WITHIN_MS, line.ask("stop", { drainMs }));
        await worker.terminate();
      }),
    );
  }

  #living(): readonly Member[] {
    return [...this.#members.values()].filter(({ isReady }) => isReady);
  }

  async #askAll<T>(ask: (line: Member["line"]) => Promise<T | undefined>): Promise<readonly T[]> {
    const answers = await Promise.all(
      this.#living().map(({ line }) => this.#within(ASK_WITHIN_MS, ask(line))),
    );
    return answers.filter((answer) => answer !== undefined);
  }

  /** Starts a thread. Resolves when it serves; rejects when it cannot. */
  async #spawn(index: number): Promise<void> {
    await this.#changing;
    const inside = this.#inside;
    if (inside === undefined || this.#isStopping) return;
    const owner = randomUUID();
    const seat = this.#seat?.();
    const data: ThreadData = {
      index,
      threads: this.#threads,
      owner,
      config: toPortable(inside.config()),
      listen: this.#listen,
      ...(seat === undefined ? {} : { seat }),
      memory: this.#memory,
      lines: this.#lines.get(index) ?? lineCounts(),
    };
    // Beside this file is its sibling in the same form: TypeScript in a checkout, JavaScript in what is shipped.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
    const worker = new Worker(new URL(`./thread${extension}`, import.meta.url), {
      workerData: data,
      transferList: seat === undefined ? [] : [seat.port],
      execArgv: [...threadFlags],
      name: `gateway ${index}`,
    });
    const started = Promise.withResolvers<void>();
    const line = new Line<ToThread, ToFirst>(
      worker,
      answersOfFirst({
        inside,
        counts: data.lines,
        ready: () => {
          member.isReady = true;
          started.resolve();
          member.stopPulse = watchPulse(
            this.#clock,
            () => line.ask("ping", null),
            () => {
              member.isStuck = true;
              void worker.terminate();
            },
          );
        },
        refused: (reason) => {
          member.refusal = reason;
          started.reject(new StartError(reason));
        },
        answerOf: (thread, question) => this.#members.get(thread)?.line.ask("answerFor", question),
        handBack: (id, token) => this.#handBack(index, id, token),
      }),
      (error) => this.#log.error("a message of a thread failed by a fault of ours", errorFields(error)),
    );
    const member: Member = { index, owner, worker, line, startedMs: this.#clock.monotonic(), isReady: false };
    this.#members.set(index, member);
    let bug: unknown;
    worker.on("error", (error: unknown) => (bug = error));
    worker.on("exit", (code) => {
      started.reject(new StartError(`workers: thread ${index} ended before it served`));
      this.#bury(member, bug === undefined ? { reason: `exit code ${code}` } : errorFields(bug));
    });
    const cancel = this.#clock.schedule(START_WITHIN_MS, () => {
      if (!member.isReady) void worker.terminate();
    });
    await started.promise.finally(cancel);
  }

  /** Resolves when it serves, or has ended. */
  async #ready({ index, owner }: Member): Promise<void> {
    for (;;) {
      const member = this.#members.get(index);
      if (member === undefined || member.owner !== owner || member.isReady) return;
      await this.#clock.sleep(20);
    }
  }

  /** A thread has ended: what it had is free, what it counted is kept, and unless all stop it is started again. */
  #bury(member: Member, how: LogFields): void {
    const { index, isReady, isStuck, line, owner, refusal, startedMs } = member;
    member.stopPulse?.();
    if (this.#members.get(index)?.owner === owner) this.#members.delete(index);
    abandonMemory(this.#memory, index);
    const said = this.#said.get(index) ?? [];
    this.#said.delete(index);
    this.#keeping = this.#keeping.then(async () => {
      this.#ended = await keptOf(this.#ended, said);
    });
    line.end();
    // Whoever waits for the start hears of it there.
    if (this.#isStopping || !this.#hasStarted || this.#inside === undefined) return;
    const { observer, store } = this.#inside;
    // Where the store does not take it, the leases run out.
    store.outbox.endLeases(owner).catch(() => {});
    const now = this.#clock.monotonic();
    const wasRefused = refusal !== undefined;
    const waitMs = this.#endings.next({ index, livedMs: now - startedMs, wasRefused }, now);
    const fields = { thread: index, ...(waitMs === undefined ? {} : { wait_ms: waitMs }) };
    if (wasRefused) {
      this.#log.error("a thread cannot be started, the others serve on", { ...fields, reason: refusal });
      observer.alarm(missingThreadAlarm);
    } else {
      const why = isStuck === true ? { reason: "it did not answer for half a minute" } : how;
      this.#log.error(isReady ? "a thread ended unexpectedly" : "a thread ended before it served", {
        ...fields,
        ...why,
      });
      observer.alarm(threadAlarm);
    }
    if (waitMs === undefined) {
      this.#isStopping = true;
      this.#onFatal(
        `threads end again and again, ${this.#endings.limit}: the gateway ends, the lines before say what ended them`,
      );
      return;
    }
    const cancel = this.#clock.schedule(waitMs, () => {
      this.#again.delete(cancel);
      // What it says of itself, and its end, are heard above.
      this.#spawn(index).catch(() => {});
    });
    this.#again.add(cancel);
  }

  /** Whether any thread but the one that asks had the entry in hand, and has ended it. */
  async #handBack(from: number, id: string, token: number): Promise<boolean> {
    const asked = this.#living()
      .filter(({ index }) => index !== from)
      .map(({ line }) => line.ask("takeBack", { id, token }));
    if (from !== 0 && this.#inside !== undefined) asked.push(this.#inside.engine.takeBack(id, token));
    return (await Promise.all(asked)).includes(true);
  }

  async #within<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
    let cancel = (): void => {};
    const end = new Promise<undefined>((resolve) => {
      cancel = this.#clock.schedule(ms, () => resolve(undefined));
    });
    try {
      return await Promise.race([answer, end]);
    } finally {
      cancel();
    }
  }
}
