import type { Clock } from "../clock.ts";
import { StoreError } from "./store.ts";

/** Bounds on what waits for a database. */
export interface GateOptions {
  readonly clock: Clock;
  /** After this a call fails with `unavailable`, whatever becomes of it. */
  readonly deadlineMs: number;
  /** Calls that wait at the same time; one more fails at once. */
  readonly maxWaiting: number;
  /** Why a call would be in vain right now; asked before each. */
  readonly refusal: () => StoreError | undefined;
  /** A call's deadline has passed. */
  readonly onSilence: (error: StoreError) => void;
}

/** A call that was let in. Settling it a second time does nothing. */
export interface Call<Result> {
  /** Nobody waits for it any more. */
  readonly over: boolean;
  readonly resolve: (value: Result) => void;
  readonly reject: (error: StoreError) => void;
}

/** Lets calls in, each with an end. */
export interface Gate {
  /** `start` is called synchronously, or not at all when the call is refused. */
  enter<Result>(start: (call: Call<Result>) => void): Promise<Result>;
  /** Lets none in any more; resolves when the last one is settled. */
  close(): Promise<void>;
  readonly closed: boolean;
}

/** Makes the one gate that all calls of a store go through. */
export function createGate({ clock, deadlineMs, maxWaiting, refusal, onSilence }: GateOptions): Gate {
  /** In the order of their deadlines. */
  const waiting = new Map<
    number,
    { readonly deadline: number; readonly expire: (error: StoreError) => void }
  >();
  let lastId = 0;
  let cancelTimer: (() => void) | undefined;
  let closed = false;
  let whenEmpty: (() => void) | undefined;

  const watch = (): void => {
    const [first] = waiting.values();
    if (cancelTimer !== undefined || first === undefined) return;
    cancelTimer = clock.schedule(Math.max(0, first.deadline - clock.monotonic()), () => {
      cancelTimer = undefined;
      const now = clock.monotonic();
      const error = new StoreError("unavailable", `the store did not answer in ${deadlineMs} ms`);
      let late = false;
      for (const { deadline, expire } of waiting.values()) {
        if (deadline > now) break;
        late = true;
        expire(error);
      }
      if (late) onSilence(error);
      watch();
    });
  };

  const done = (id: number): void => {
    waiting.delete(id);
    if (waiting.size > 0) return;
    cancelTimer?.();
    cancelTimer = undefined;
    whenEmpty?.();
  };

  return {
    get closed() {
      return closed;
    },
    enter<Result>(start: (call: Call<Result>) => void): Promise<Result> {
      if (closed) return Promise.reject(new StoreError("closed", "the store is closed"));
      const refused = refusal();
      if (refused !== undefined) return Promise.reject(refused);
      if (waiting.size >= maxWaiting)
        return Promise.reject(new StoreError("unavailable", "too many calls wait for the store"));
      return new Promise<Result>((resolve, reject) => {
        const id = (lastId += 1);
        const settle = (act: () => void): void => {
          if (!waiting.has(id)) return;
          done(id);
          act();
        };
        const call: Call<Result> = {
          get over() {
            return !waiting.has(id);
          },
          resolve: (value) => settle(() => resolve(value)),
          reject: (error) => settle(() => reject(error)),
        };
        waiting.set(id, { deadline: clock.monotonic() + deadlineMs, expire: call.reject });
        watch();
        start(call);
      });
    },
    async close() {
      closed = true;
      if (waiting.size > 0) await new Promise<void>((resolve) => (whenEmpty = resolve));
    },
  };
}
