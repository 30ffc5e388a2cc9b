import type { Clock } from "../clock.ts";
import { createBloom } from "./bloom.ts";
import { checkDigests, notADigest } from "./digest.ts";
import type { Client } from "./sqlite-client.ts";
import { createSteadyClock, type SteadyClock } from "./steady-clock.ts";
import type { ClaimedEntry, Outbox } from "./store.ts";

/** What the asking side of the outbox is made of. */
export interface OutboxParts {
  readonly clock: Clock;
  /** Which keys may wait, as the writer knows. */
  readonly filter: SharedArrayBuffer;
  /** The store's clock; every thread that asks must have the same. Absent = one that starts now. */
  readonly steady?: SteadyClock;
}

/**
 * Promised pushes in the file. The store's clock is read here, on the asking side: due times and expiry by one that
 * follows the wall clock with care, leases by one that never does, so that no jump hands a push out twice.
 */
export function sqliteOutbox(
  client: Client,
  { clock, filter: memory, steady = createSteadyClock(clock) }: OutboxParts,
): Outbox {
  const filter = createBloom(memory);
  const times = (): { readonly nowMs: number; readonly leaseNowMs: number } => ({
    nowMs: steady.now(),
    leaseNowMs: steady.unadjusted(),
  });
  /** What was claimed after the caller's deadline is in nobody's hands: it must not wait for the lease to run out. */
  const giveBack = (claimed: readonly ClaimedEntry[]): void => {
    const later = claimed.map(({ id, token, attempts }) => ({ id, token, attempts, dueInMs: 0 }));
    if (later.length === 0) return;
    // Where this fails as well, the lease runs out.
    client.ask("outboxPostpone", { later, nowMs: times().nowMs }).catch(() => {});
  };
  return {
    async put(entries, caps, lease) {
      for (const { device, key } of entries) checkDigests(device, ...(key === undefined ? [] : [key]));
      if (entries.length === 0 && !client.closed) return [];
      // The thread sets the filter's bits itself, before it answers; a device's at once as well, so that `supersede`
      // finds what was put just before, even when that is not answered yet.
      for (const { device, slot } of entries) if (slot !== undefined) filter.add(device);
      return client.ask("outboxPut", {
        entries,
        caps,
        ...(lease === undefined ? {} : { lease }),
        ...times(),
      });
    },
    holds(key) {
      const problem = notADigest(key);
      if (problem !== undefined) return Promise.reject(problem);
      if (!client.closed && !filter.mayHave(key)) return false;
      return client.ask("outboxHolds", { key });
    },
    async claim({ apps, limit, lease, suspects = false, maxCrashes = Number.MAX_SAFE_INTEGER }) {
      if ((apps.length === 0 || limit <= 0) && !client.closed) return [];
      return client.ask("outboxClaim", { apps, limit, lease, suspects, maxCrashes, ...times() }, giveBack);
    },
    async renew(held, lease) {
      if (held.length === 0 && !client.closed) return [];
      return client.ask("outboxRenew", { held, lease, leaseNowMs: times().leaseNowMs });
    },
    async settle(ended) {
      if (ended.length === 0 && !client.closed) return [];
      return client.ask("outboxSettle", { ended });
    },
    async postpone(later) {
      if (later.length === 0 && !client.closed) return [];
      return client.ask("outboxPostpone", { later, nowMs: times().nowMs });
    },
    supersede(by) {
      const problem = notADigest(by.device);
      if (problem !== undefined) return Promise.reject(problem);
      if (!client.closed && !filter.mayHave(by.device)) return undefined;
      return client.ask("outboxSupersede", by);
    },
    expire: (limit) => client.ask("outboxExpire", { limit: Math.max(0, limit), ...times() }),
    nextDueInMs: (apps) => client.ask("outboxNextDue", { apps, ...times() }),
    oldestReceivedAtMs: () => client.ask("outboxOldest", {}),
    counts: () => client.ask("outboxCounts", {}),
    releaseAbandoned: (owner) => client.ask("outboxReleaseAbandoned", { owner }),
    endLeases: (owner) => client.ask("outboxEndLeases", { owner }),
  };
}
