import type { Board } from "../admin/board.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { App } from "../core/app.ts";
import type { Engine } from "../core/engine.ts";
import type { Observer } from "../core/observer.ts";
import type { CoreShare } from "../core/threads.ts";
import type { History } from "../explain/history.ts";
import type { Refusal, Refusals } from "../explain/refusals.ts";
import type { AppDeps } from "../gateway/apps.ts";
import type { Prepared, PreparesElsewhere } from "../gateway/live.ts";
import type { ListenAddress } from "../http/server.ts";
import type { Log } from "../log.ts";
import type { OtherThreads } from "../metrics/summed.ts";
import type { Registry } from "prom-client";
import type { SqliteSeat } from "../store/sqlite.ts";
import type { Store } from "../store/store.ts";
import { createSteadyClock } from "../store/steady-clock.ts";
import { sharedBuckets, sharedProbe, sharedTimes } from "./shared-limits.ts";
import { SharedPushClaims, type AskForAnswer } from "./push-claims.ts";
import { SharedTable, tableMemory } from "./shared-table.ts";
import type { SharedMemory, ThreadState } from "./messages.ts";

/** What makes a gateway one of several threads. */
export interface ThreadPart {
  readonly share: CoreShare;
  /** What its apps are made with. */
  readonly forApps: Pick<AppDeps, "threads" | "guardFor">;
  /** What the first thread does for this one; absent in the first thread. */
  readonly first?: FirstThread;
}

/** What a thread that is not the first has of it. */
export interface FirstThread {
  /** Where to listen: on the ports that the first thread has got. */
  readonly listen: readonly ListenAddress[];
  /** The store at the first thread's writer; absent where the store is a server. */
  readonly seat?: SqliteSeat;
  /** Takes what the admin listener shows to the first thread. */
  readonly observer: Observer;
}

/** What of a thread's gateway the other threads, or the one that runs it, have to do with. */
export interface ThreadInside {
  readonly engine: Pick<Engine, "answerFor" | "takeBack" | "circuits">;
  /** The configuration that is in effect: what needs a restart is as it was at the start. */
  readonly config: () => Config;
  /** The apps of the moment. */
  readonly apps: () => ReadonlyMap<string, App>;
  readonly store: Store;
  readonly registry: Registry;
  readonly board: Board;
  readonly history: History | undefined;
  readonly refusals: Refusals;
  readonly observer: Observer;
  readonly log: Log;
  prepare(config: Config): Promise<Prepared>;
}

/** The other threads, as the first thread sees them. */
export interface Others extends OtherThreads, PreparesElsewhere {
  /** Rejects with `StartError` when a port cannot be shared among threads, and no other program. */
  checkFree(addresses: readonly ListenAddress[]): Promise<void>;
  /** One scrape of them and the first thread, whose registry is given. */
  withOwn(registry: Registry): Pick<Registry, "metrics">;
  /** Starts them; they listen where this thread does. Rejects when one cannot start. */
  start(
    inside: ThreadInside,
    listen: readonly ListenAddress[],
    seat: (() => SqliteSeat) | undefined,
  ): Promise<void>;
  states(): Promise<readonly ThreadState[]>;
  history: History["own"];
  /** What one of them knows of a refused request, by its id. */
  refused(request: string): Promise<Refusal | undefined>;
  droppedLines(): number;
  /** How many of them serve at the moment. */
  readonly serving: number;
  /** Resolves when all have stopped, or were ended because they did not in time. */
  stop(options: { readonly drainMs: number }): Promise<void>;
}

/** Entries of the shared tables: deliveries as many as one thread alone remembers, and promises beside them. */
const CLAIMS = 2 ** 19;
const TIMES = 2 ** 17;
const BUCKETS = 2 ** 18;

/** Memory for all threads, empty. */
export function sharedMemory(): SharedMemory {
  return { claims: tableMemory(CLAIMS), times: tableMemory(TIMES), buckets: tableMemory(BUCKETS) };
}

/** A thread has ended: nothing is its own any more. */
export function abandonMemory({ buckets, claims, times }: SharedMemory, thread: number): void {
  for (const memory of [claims, times, buckets]) new SharedTable(memory, thread).abandon(thread);
}

/** What a thread's core has in common with the others'. */
export function shareOver(
  memory: SharedMemory,
  options: {
    readonly index: number;
    readonly threads: number;
    readonly owner: string;
    readonly clock: Clock;
    readonly answerFrom: AskForAnswer;
    readonly handBack: CoreShare["handBack"];
  },
): CoreShare {
  const { answerFrom, clock, handBack, index, owner, threads } = options;
  const buckets = new SharedTable(memory.buckets, index);
  // What is delivered until when is reckoned in it, and must not jump with the wall clock (PR09).
  const steady = createSteadyClock(clock);
  return {
    threads,
    owner,
    isFirst: index === 0,
    // Not the first: with it the process would end.
    triesSuspects: index === threads - 1,
    claims: new SharedPushClaims(new SharedTable(memory.claims, index), () => steady.now(), answerFrom),
    latest: sharedTimes(new SharedTable(memory.times, index)),
    makeBuckets: sharedBuckets(buckets),
    probeOf: (app, host) => sharedProbe(buckets, app, host),
    handBack,
  };
}
