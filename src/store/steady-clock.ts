import type { Clock } from "../clock.ts";

/** A difference above this is a jump of the wall clock, not a drift. */
const jumpMs = 60_000;
/** A jump is believed when it is still there this much later. */
const believeAfterMs = 30_000;
/** A smaller difference is followed by this share of the time that passes: no span is wrong by more than 5 %. */
const followShare = 0.05;

/** Time for what is stored, safe from jumps of the wall clock (reliability PR09). */
export interface SteadyClock {
  /**
   * Milliseconds since 1970, whole: the wall clock at the start and the monotonic time since. Goes over to a wall clock
   * that says otherwise slowly, or, when it has jumped, after two looks half a minute apart have found it there. Only
   * such a change can make it go backwards.
   */
  now(): number;
  /** The same at the start, never adjusted afterwards: for leases, which no change of a clock may end. */
  unadjusted(): number;
}

/** What a steady clock shows at a moment. */
export interface SteadyReading {
  readonly nowMs: number;
  readonly unadjustedMs: number;
}

/**
 * Starts from what the wall clock says now, or from what another one shows at this moment. Every reading is a look at
 * the wall clock.
 */
export function createSteadyClock(clock: Clock, start?: SteadyReading): SteadyClock {
  const startedAt = start?.unadjustedMs ?? clock.now();
  const startMonotonic = clock.monotonic();
  let offset = (start?.nowMs ?? startedAt) - startMonotonic;
  let lastLook = startMonotonic;
  let suspected: { readonly since: number; readonly drift: number } | undefined;

  return {
    now() {
      const monotonic = clock.monotonic();
      const drift = clock.now() - (offset + monotonic);
      if (Math.abs(drift) <= jumpMs) {
        suspected = undefined;
        const step = (monotonic - lastLook) * followShare;
        offset += Math.max(-step, Math.min(step, drift));
      } else if (suspected === undefined || Math.abs(drift - suspected.drift) > jumpMs) {
        suspected = { since: monotonic, drift };
      } else if (monotonic - suspected.since >= believeAfterMs) {
        suspected = undefined;
        offset += drift;
      }
      lastLook = monotonic;
      return Math.round(offset + monotonic);
    },
    unadjusted: () => Math.round(startedAt + clock.monotonic() - startMonotonic),
  };
}
