import type { Clock } from "../clock.ts";
import { checkDigests, notADigest } from "./digest.ts";
import type {
  ClaimedEntry,
  Digest,
  FinalState,
  Lease,
  Outbox,
  OutboxCaps,
  OutboxCounts,
  OutboxEntry,
  PutResult,
  SupersededEntry,
} from "./store.ts";

/** One entry that waits. Times by the monotonic clock. */
interface Row {
  readonly entry: OutboxEntry;
  readonly bytes: number;
  /** Since ever: overtaken in somebody's hands. */
  expiresAt: number;
  attempts: number;
  queuedAt: number;
  dueAt: number;
  token: number;
  crashes: number;
  held: { readonly owner: string; until: number } | undefined;
}

type Counts = { -readonly [Name in keyof OutboxCounts]: OutboxCounts[Name] };

/**
 * Promised pushes of a process that keeps nothing. Looks at every entry for most calls, which is for tests and for the
 * few that wait where nothing can be promised.
 *
 * @param refusal why nothing more is done, if so
 */
export function memoryOutbox(clock: Clock, refusal: () => Error | undefined): Outbox {
  const rows = new Map<string, Row>();
  const keys = new Set<Digest>();
  const counts = new Map<string, Counts>();
  const check = (): void => {
    const problem = refusal();
    if (problem !== undefined) throw problem;
  };

  const countsOf = (app: string): Counts => {
    let found = counts.get(app);
    if (found === undefined) {
      found = { accepted: 0, handed: 0, rejected: 0, expired: 0, dropped: 0, pending: 0, pendingBytes: 0 };
      counts.set(app, found);
    }
    return found;
  };

  const end = ({ entry, bytes }: Row, state: FinalState): void => {
    rows.delete(entry.id);
    if (entry.key !== undefined) keys.delete(entry.key);
    const count = countsOf(entry.app);
    count[state] += 1;
    count.pending -= 1;
    count.pendingBytes -= bytes;
  };

  const inSlot = ({ app, device, slot }: OutboxEntry): Row[] =>
    slot === undefined
      ? []
      : [...rows.values()].filter(
          ({ entry }) => entry.slot === slot && entry.device === device && entry.app === app,
        );

  /** What comes late must not overwrite what is newer (P8). */
  const hasNewer = (entry: OutboxEntry): boolean =>
    inSlot(entry).some((other) => other.entry.receivedAtMs > entry.receivedAtMs);

  const allows = (app: string, addedRows: number, addedBytes: number, caps: OutboxCaps): boolean => {
    let bytes = 0;
    for (const { pendingBytes } of counts.values()) bytes += pendingBytes;
    const { pending, pendingBytes } = countsOf(app);
    return (
      rows.size + addedRows <= caps.maxRows &&
      bytes + addedBytes <= caps.maxBytes &&
      pending + addedRows <= caps.maxAppRows &&
      pendingBytes + addedBytes <= caps.maxAppBytes
    );
  };

  const putOne = (entry: OutboxEntry, caps: OutboxCaps, lease: Lease | undefined): PutResult => {
    if (rows.has(entry.id) || (entry.key !== undefined && keys.has(entry.key))) {
      return { kind: "already-held" };
    }
    if (hasNewer(entry)) return { kind: "superseded" };
    const replaced = inSlot(entry).filter(({ held }) => held === undefined);
    const bytes = Buffer.byteLength(entry.payload);
    const freed = replaced.reduce((sum, each) => sum + each.bytes, 0);
    if (!allows(entry.app, 1 - replaced.length, bytes - freed, caps)) return { kind: "refused" };
    for (const each of replaced) end(each, "dropped");
    const now = clock.monotonic();
    const token = lease === undefined ? 0 : 1;
    rows.set(entry.id, {
      entry,
      bytes,
      expiresAt: now + entry.expiresInMs,
      attempts: entry.attempts,
      queuedAt: now,
      dueAt: now + entry.dueInMs,
      token,
      crashes: 0,
      held: lease === undefined ? undefined : { owner: lease.owner, until: now + lease.leaseMs },
    });
    if (entry.key !== undefined) keys.add(entry.key);
    const count = countsOf(entry.app);
    count.accepted += 1;
    count.pending += 1;
    count.pendingBytes += bytes;
    return {
      kind: "stored",
      token,
      ...(replaced.length === 0 ? {} : { superseded: replaced.map(supersededEntry) }),
    };
  };

  const heldWith = ({ id, token }: { readonly id: string; readonly token: number }): Row | undefined => {
    const row = rows.get(id);
    return row?.held !== undefined && row.token === token ? row : undefined;
  };

  /** False when it ends with that: a newer one is there, or was handed over. */
  const giveBack = (row: Row): boolean => {
    row.held = undefined;
    const isOutdated = row.expiresAt === -Infinity || hasNewer(row.entry);
    if (isOutdated) end(row, "dropped");
    return !isOutdated;
  };

  const hasRunOut = ({ held }: Row, now: number): boolean => held !== undefined && held.until <= now;

  const claimable = (row: Row, suspects: boolean, now: number): boolean => {
    if (row.expiresAt <= now) return false;
    if (row.held !== undefined) return suspects && hasRunOut(row, now);
    return row.dueAt <= now && row.crashes > 0 === suspects;
  };

  /** Another process had it in hand when its lease ran out. */
  const newCrash = ({ held }: Row, { owner }: Lease): number =>
    held !== undefined && held.owner !== owner ? 1 : 0;

  const take = (row: Row, lease: Lease, now: number): ClaimedEntry => {
    row.crashes += newCrash(row, lease);
    row.token += 1;
    row.held = { owner: lease.owner, until: now + lease.leaseMs };
    const { dueInMs: _, ...entry } = row.entry;
    return {
      ...entry,
      attempts: row.attempts,
      expiresInMs: row.expiresAt - now,
      token: row.token,
      crashes: row.crashes,
      waitedMs: now - row.queuedAt,
    };
  };

  return {
    async put(entries, caps, lease) {
      check();
      for (const { device, key } of entries) checkDigests(device, ...(key === undefined ? [] : [key]));
      return entries.map((entry) => putOne(entry, caps, lease));
    },
    holds(key) {
      const problem = refusal() ?? notADigest(key);
      return problem === undefined ? keys.has(key) : Promise.reject(problem);
    },
    async claim({ apps, limit, lease, suspects = false, maxCrashes = Infinity }) {
      check();
      const now = clock.monotonic();
      const wanted = new Set(apps);
      return [...rows.values()]
        .filter((row) => wanted.has(row.entry.app) && claimable(row, suspects, now))
        .filter((row) => row.crashes + newCrash(row, lease) <= maxCrashes)
        .sort((a, b) => b.entry.receivedAtMs - a.entry.receivedAtMs)
        .slice(0, Math.max(0, suspects ? Math.min(1, limit) : limit))
        .map((row) => take(row, lease, now));
    },
    async renew(held, lease) {
      check();
      const until = clock.monotonic() + lease.leaseMs;
      return held.flatMap((each) => {
        const row = heldWith(each);
        if (row?.held?.owner !== lease.owner) return [each.id];
        row.held.until = until;
        return [];
      });
    },
    async settle(ended) {
      check();
      return ended.map((each) => {
        const row = heldWith(each);
        if (row !== undefined) end(row, each.state);
        return row !== undefined;
      });
    },
    async postpone(later) {
      check();
      const now = clock.monotonic();
      return later.map((each) => {
        const row = heldWith(each);
        if (row === undefined) return false;
        row.attempts = each.attempts;
        row.crashes = 0;
        row.queuedAt = now;
        row.dueAt = now + each.dueInMs;
        return giveBack(row) ? true : "superseded";
      });
    },
    supersede({ app, device, slot, receivedAtMs }) {
      const problem = refusal() ?? notADigest(device);
      if (problem !== undefined) return Promise.reject(problem);
      const superseded: SupersededEntry[] = [];
      for (const row of rows.values()) {
        const { entry } = row;
        if (entry.slot !== slot || entry.device !== device || entry.app !== app) continue;
        if (entry.receivedAtMs >= receivedAtMs) continue;
        if (row.held !== undefined) {
          row.expiresAt = -Infinity;
          continue;
        }
        end(row, "dropped");
        superseded.push(supersededEntry(row));
      }
      return superseded.length === 0 ? undefined : Promise.resolve(superseded);
    },
    async expire(limit) {
      check();
      const now = clock.monotonic();
      const expired = new Map<string, number>();
      [...rows.values()]
        .filter((row) => row.expiresAt <= now && (row.held === undefined || hasRunOut(row, now)))
        .slice(0, Math.max(0, limit))
        .forEach((row) => {
          end(row, "expired");
          expired.set(row.entry.app, (expired.get(row.entry.app) ?? 0) + 1);
        });
      return expired;
    },
    async nextDueInMs(apps) {
      check();
      const now = clock.monotonic();
      const wanted = new Set(apps);
      let next: number | undefined;
      for (const row of rows.values()) {
        if (!wanted.has(row.entry.app) || row.expiresAt <= now) continue;
        if (row.held !== undefined && !hasRunOut(row, now)) continue;
        const dueInMs = row.held === undefined ? Math.max(0, row.dueAt - now) : 0;
        next = Math.min(next ?? dueInMs, dueInMs);
      }
      return next;
    },
    async oldestReceivedAtMs() {
      check();
      const [first] = rows.values();
      return first?.entry.receivedAtMs;
    },
    async counts() {
      check();
      const known = [...counts].filter(([, { accepted }]) => accepted > 0);
      return new Map(known.map(([app, count]) => [app, { ...count }]));
    },
    async releaseAbandoned(owner) {
      check();
      const abandoned = [...rows.values()].filter(({ held }) => held !== undefined && held.owner !== owner);
      for (const row of abandoned) {
        row.crashes += 1;
        row.held = undefined;
      }
      abandoned.forEach(giveBack);
      return abandoned.length;
    },
    async endLeases(owner) {
      check();
      const now = clock.monotonic();
      for (const { held } of rows.values()) if (held?.owner === owner) held.until = now;
    },
  };
}

function supersededEntry({ attempts, entry: { id } }: Row): SupersededEntry {
  return { id, attempts };
}
