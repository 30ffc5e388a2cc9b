import type { JsonValue } from "../json.ts";
import type { SimulatedUpstream } from "./script.ts";

/** What the upstream did with a request. */
export type RecordedAnswer =
  | { readonly kind: "reply"; readonly status: number; readonly reason?: string }
  | { readonly kind: "hang" | "close" }
  | { readonly kind: "reset"; readonly code: number };

/** One request as it arrived, and what came of it. */
export interface RecordedRequest {
  /** Counts up from 1 over all upstreams. */
  readonly sequence: number;
  readonly upstream: SimulatedUpstream;
  /** Wall clock of the simulator. */
  readonly atMs: number;
  /** Number of the connection at its simulator. */
  readonly connection: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The body, parsed; undefined when it is not JSON. */
  readonly payload?: JsonValue;
  /** Device token in lower case, or registration token. */
  readonly token?: string;
  /** `apns-topic`, or the FCM message's topic. */
  readonly topic?: string;
  readonly answer: RecordedAnswer;
  /** The upstream took the push: the phone gets it, whatever the client heard. */
  readonly accepted: boolean;
}

/** How much is kept: up to `capacity` requests, only the last one, or nothing but the counts. */
export type RecordMode = "all" | "last" | "count";

/** How many of each there were since the start or the last `clear`. */
export interface RecorderCounts {
  readonly requests: number;
  readonly accepted: number;
  /** Key: upstream and answer, such as `apns 410 Unregistered`, `fcm reset 7`, `apns hang`. */
  readonly answers: Readonly<Record<string, number>>;
}

interface Waiter {
  readonly predicate: (recorder: Recorder) => boolean;
  readonly wake: () => void;
}

/** What arrived. Everything is recorded before it is answered, so whoever has an answer finds its request here. */
export class Recorder {
  readonly #mode: RecordMode;
  readonly #capacity: number;
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<(request: RecordedRequest) => void>();
  readonly #answers = new Map<string, number>();
  #requests: RecordedRequest[] = [];
  #accepted: RecordedRequest[] = [];
  #requestCount = 0;
  #acceptedCount = 0;
  #sequence = 0;

  constructor(options: { readonly mode?: RecordMode; readonly capacity?: number } = {}) {
    this.#mode = options.mode ?? "all";
    this.#capacity = this.#mode === "last" ? 1 : (options.capacity ?? 10_000);
  }

  /** The newest requests, oldest first, refused ones included. */
  get requests(): readonly RecordedRequest[] {
    return this.#requests.slice(-this.#capacity);
  }

  /** The newest pushes that an upstream took, oldest first. */
  get accepted(): readonly RecordedRequest[] {
    return this.#accepted.slice(-this.#capacity);
  }

  get counts(): RecorderCounts {
    return {
      requests: this.#requestCount,
      accepted: this.#acceptedCount,
      answers: Object.fromEntries(this.#answers),
    };
  }

  /** Adds one request; `describe` is called only when somebody wants to know more than the counts. */
  add(
    upstream: SimulatedUpstream,
    answer: RecordedAnswer,
    accepted: boolean,
    describe: () => Omit<RecordedRequest, "sequence" | "upstream" | "answer" | "accepted">,
  ): void {
    this.#sequence += 1;
    this.#requestCount += 1;
    if (accepted) this.#acceptedCount += 1;
    const key = `${upstream} ${answerLabel(answer)}`;
    this.#answers.set(key, (this.#answers.get(key) ?? 0) + 1);
    if (this.#mode !== "count" || this.#listeners.size > 0) {
      const request: RecordedRequest = {
        ...describe(),
        sequence: this.#sequence,
        upstream,
        answer,
        accepted,
      };
      if (this.#mode !== "count") {
        this.#requests = push(this.#requests, request, this.#capacity);
        if (accepted) this.#accepted = push(this.#accepted, request, this.#capacity);
      }
      for (const listener of this.#listeners) listener(request);
    }
    for (const waiter of this.#waiters) if (waiter.predicate(this)) waiter.wake();
  }

  /** Calls back for every request from now on, until the returned function is called. */
  listen(listener: (request: RecordedRequest) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves with the accepted pushes once there were `count` of them; rejects after `timeoutMs` of real time. */
  async waitFor(count: number, timeoutMs = 5000): Promise<readonly RecordedRequest[]> {
    await this.waitUntil((recorder) => recorder.#acceptedCount >= count, timeoutMs);
    return this.accepted;
  }

  /**
   * Resolves once the predicate holds; it is asked at once and after each request. Rejects after `timeoutMs` of real
   * time, also under a fake clock, because sockets take real time.
   */
  waitUntil(predicate: (recorder: Recorder) => boolean, timeoutMs = 5000): Promise<void> {
    if (predicate(this)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`not seen within ${timeoutMs} ms; so far ${JSON.stringify(this.counts)}`));
      }, timeoutMs);
      const waiter: Waiter = {
        predicate,
        wake: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** Forgets all; waiting and listening go on, `sequence` too. */
  clear(): void {
    this.#requests = [];
    this.#accepted = [];
    this.#requestCount = 0;
    this.#acceptedCount = 0;
    this.#answers.clear();
  }
}

/** Lets the list grow to twice its capacity before it is cut, so that adding stays cheap. */
function push(list: RecordedRequest[], request: RecordedRequest, capacity: number): RecordedRequest[] {
  list.push(request);
  return list.length >= capacity * 2 ? list.slice(-capacity) : list;
}

/** Such as `200`, `410 Unregistered`, `reset 7`, `hang`. */
export function answerLabel(answer: RecordedAnswer): string {
  if (answer.kind === "reset") return `reset ${answer.code}`;
  if (answer.kind !== "reply") return answer.kind;
  return answer.reason === undefined ? String(answer.status) : `${answer.status} ${answer.reason}`;
}
