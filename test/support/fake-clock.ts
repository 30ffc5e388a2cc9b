import type { Clock } from "../../src/clock.ts";

/** A clock that stands still until it is told to move. */
export interface FakeClock extends Clock {
  /** Moves both times by `ms`, firing what falls due on the way, in order, and lets promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Changes the wall clock alone, as an operator or NTP would. */
  setWallClock(ms: number): void;
}

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/** A fake clock; the wall clock starts at `startMs`, the monotonic one at 1000. */
export function createFakeClock(startMs = Date.UTC(2026, 10, 20, 12)): FakeClock {
  let wallOffset = startMs - 1000;
  let monotonic = 1000;
  const timers = new Set<Timer>();
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const schedule = (ms: number, callback: () => void): (() => void) => {
    const timer: Timer = { at: monotonic + Math.max(0, ms), fire: callback };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  return {
    now: () => wallOffset + monotonic,
    monotonic: () => monotonic,
    schedule,
    sleep(ms, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const done = (): void => {
          cancel();
          signal?.removeEventListener("abort", done);
          resolve();
        };
        const cancel = schedule(ms, done);
        signal?.addEventListener("abort", done, { once: true });
      });
    },
    setWallClock(ms) {
      wallOffset = ms - monotonic;
    },
    async advance(ms) {
      const end = monotonic + ms;
      await settle();
      for (;;) {
        let next: Timer | undefined;
        for (const timer of timers)
          if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
        if (next === undefined) break;
        timers.delete(next);
        monotonic = Math.max(monotonic, next.at);
        next.fire();
        await settle();
      }
      monotonic = end;
      await settle();
    },
  };
}
