import type { AlarmEvent } from "../core/observer.ts";
import type { CircuitState } from "../core/upstream-health.ts";
import type { Judgement } from "../core/guard.ts";
import type { AnswerElsewhere } from "../core/threads.ts";
import type { Refusal } from "../explain/refusals.ts";
import type { ListenAddress } from "../http/server.ts";
import type { LogLevel } from "../log/line.ts";
import type { LogFields } from "../log.ts";
import type { MetricValues } from "../metrics/summed.ts";
import type { SqliteSeat } from "../store/sqlite.ts";
import type { Digest, Outcomes, PastOutcome } from "../store/store.ts";
import type { PortableConfig } from "./portable-config.ts";

/** What a thread is started with. */
export interface ThreadData {
  /** From 1: the first thread is the one that starts them. */
  readonly index: number;
  readonly threads: number;
  /** Its leases' name. */
  readonly owner: string;
  readonly config: PortableConfig;
  /** Where the first thread listens. */
  readonly listen: readonly ListenAddress[];
  /** Absent: the store is a server, and this thread has its own connections to it. */
  readonly seat?: SqliteSeat;
  readonly memory: SharedMemory;
  readonly lines: LineCounts;
}

/** The same memory for every thread. */
export interface SharedMemory {
  readonly claims: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
  readonly buckets: SharedArrayBuffer;
}

/** Log lines on their way to the first thread: how many it has taken, and how many were dropped instead. */
export type LineCounts = SharedArrayBuffer;

/** How a thread's part of things stands just now. */
export interface ThreadState {
  readonly inFlight: readonly (readonly [app: string, count: number, limit: number])[];
  readonly circuits: readonly CircuitState[];
}

/** One line of the log. */
export type LogLine = readonly [level: LogLevel, message: string, fields: LogFields];

/** What has happened to an app's credentials. */
export type Standing = readonly [app: string, what: "delivered" | "answered" | "refused"];

interface AboutApp {
  readonly app: string;
  /** The pushkin's: what is said of other credentials does not count. */
  readonly fingerprint: string;
}

/** What the first thread asks the others. */
export type ToThread = {
  /** Makes everything that a change to this configuration needs; the problem, where there is one. */
  prepare: [config: PortableConfig, problem: string | null];
  /** Changes to what was prepared; false when that cannot be. */
  commit: [given: null, done: boolean];
  discard: [given: null, answer: null];
  /** Answered when it has stopped. */
  stop: [options: { readonly drainMs: number }, answer: null];
  /** Answered at once, always true: the thread turns. */
  ping: [given: null, isAlive: true];
  metrics: [given: null, values: readonly MetricValues[]];
  history: [
    question: { readonly by: Parameters<Outcomes["find"]>[0]; readonly limit: number },
    answer: readonly PastOutcome[],
  ];
  refused: [request: string, answer: Refusal | undefined];
  state: [given: null, answer: ThreadState];
  answerFor: [
    question: { readonly key: Digest; readonly withinMs: number },
    answer: AnswerElsewhere | undefined,
  ];
  takeBack: [entry: { readonly id: string; readonly token: number }, answer: boolean];
};

/** What a thread asks and tells the first. */
export type ToFirst = {
  /** It serves. */
  ready: [given: null, answer: null];
  /** It cannot start. */
  refused: [reason: string, answer: null];
  lines: [lines: readonly LogLine[], answer: null];
  board: [
    news: { readonly standings: readonly Standing[]; readonly alarms: readonly AlarmEvent[] },
    answer: null,
  ];
  judge: [question: AboutApp & { readonly device: Digest }, answer: Judgement | undefined];
  judgeMalformed: [question: AboutApp & { readonly device: Digest }, isHeld: boolean | undefined];
  /** Devices that an upstream took a push for, or surely rejected. */
  judged: [
    notes: AboutApp & { readonly notes: readonly (readonly [device: Digest, succeeded: boolean])[] },
    answer: null,
  ];
  answerFrom: [
    question: { readonly thread: number; readonly key: Digest; readonly withinMs: number },
    answer: AnswerElsewhere | undefined,
  ];
  handBack: [entry: { readonly id: string; readonly token: number }, answer: boolean];
};
