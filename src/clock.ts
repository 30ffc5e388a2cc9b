import { setTimeout as delay } from "node:timers/promises";

/** The only reader of time. Everything that waits or compares times is given one, so tests can bring their own. */
export interface Clock {
  /** Wall clock, milliseconds since 1970: for what is stored, compared with a sender's times, or expires. */
  now(): number;
  /** Monotonic milliseconds with an arbitrary start: for durations, which a change of the wall clock must not touch. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when `signal` aborts: the caller looks at the signal. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms` unless cancelled by the returned function. Does not keep the process alive. */
  schedule(ms: number, callback: () => void): () => void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  },
  schedule(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
