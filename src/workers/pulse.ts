import type { Clock } from "../clock.ts";

/** How often it is asked, and within which an answer must have come. */
const ASK_EVERY_MS = 5_000;
/** After so many questions in a row without an answer, half a minute, it is believed. */
const MISSED = 6;

/**
 * Watches whether another thread still turns: one that is stuck in an endless loop answers none of its callers, for
 * ever.
 *
 * @param ask resolves when it has answered
 * @param onStuck called once; then no more is asked
 * @returns how to stop watching
 */
export function watchPulse(clock: Clock, ask: () => Promise<unknown>, onStuck: () => void): () => void {
  let cancel = (): void => {};
  let missed = 0;
  const look = (): void => {
    let hasAnswered = false;
    void ask().then(() => (hasAnswered = true));
    cancel = clock.schedule(ASK_EVERY_MS, () => {
      missed = hasAnswered ? 0 : missed + 1;
      if (missed < MISSED) look();
      else onStuck();
    });
  };
  look();
  return () => cancel();
}
