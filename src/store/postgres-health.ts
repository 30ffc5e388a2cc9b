import type { Clock } from "../clock.ts";
import type { PostgresFailure } from "./postgres-error.ts";
import { StoreError } from "./store.ts";

/** Whether the database works, as its users find out and as a probe confirms. */
export interface PostgresHealth {
  /** A statement failed, or (with `down` false) a call got no answer in time. */
  note(failure: Pick<PostgresFailure, "error" | "down">): void;
  /** Looks now instead of at the next turn. */
  look(): void;
  /** Why a call would be in vain: the server was away when last tried, less than a second ago. */
  refusal(): StoreError | undefined;
  close(): Promise<void>;
}

const probeWhileIllMs = 500;
const probeWhileWellMs = 5000;

/** Starts with a database that works. `probe` does a real commit; it is the only proof of health. */
export function watchHealth(options: {
  readonly clock: Clock;
  readonly probe: () => Promise<unknown>;
  /** Called on changes only. */
  readonly onHealth: (trouble: StoreError | undefined) => void;
}): PostgresHealth {
  const { clock, probe, onHealth } = options;
  let trouble: StoreError | undefined;
  let down = false;
  let probing: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;
  let closed = false;

  const tell = (now: StoreError | undefined): void => {
    if (now?.code === trouble?.code && now?.message === trouble?.message) return;
    trouble = now;
    if (!closed) onHealth(now);
  };

  const look = (): void => {
    if (closed || probing !== undefined) return;
    cancelTimer?.();
    probing = probe()
      .then(
        () => {
          down = false;
          tell(undefined);
        },
        // What the probe met was noted where it happened.
        () => undefined,
      )
      .finally(() => {
        probing = undefined;
        if (closed) return;
        cancelTimer = clock.schedule(trouble === undefined ? probeWhileWellMs : probeWhileIllMs, look);
      });
  };
  cancelTimer = clock.schedule(probeWhileWellMs, look);

  return {
    note(failure) {
      if (failure.error.code === "internal" || failure.error.code === "closed") return;
      down ||= failure.down;
      // Different words for the same trouble, as many calls meet it, are one trouble.
      if (trouble?.code !== failure.error.code) tell(failure.error);
      look();
    },
    look,
    refusal() {
      return down ? (trouble ?? new StoreError("unavailable", "the store is away")) : undefined;
    },
    async close() {
      closed = true;
      cancelTimer?.();
      await probing;
    },
  };
}
