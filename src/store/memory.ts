import { randomBytes } from "node:crypto";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { notADigest } from "./digest.ts";
import { memoryDevices } from "./memory-devices.ts";
import { memoryOutbox } from "./memory-outbox.ts";
import { memoryOutcomes } from "./memory-outcomes.ts";
import type { Dedupe, Digest, KnownApp, KnownApps, Rejections, Store, Verdict } from "./store.ts";
import { StoreError } from "./store.ts";

/** Beyond this the oldest are forgotten: a repeat or one wasted call to an upstream is better than no memory left. */
const maxEntries = 1_000_000;

function setBounded<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxEntries) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}

/** A store that ends with the process: for tests, and for running without a disk (nothing can be promised then, D6). */
export function openMemoryStore(clock: Clock = systemClock): Store {
  let closed = false;
  /** Throws inside async methods, so that every refusal is a rejection. */
  const check = (...digests: readonly Digest[]): void => {
    if (closed) throw new StoreError("closed", "the store is closed");
    for (const digest of digests) {
      const problem = notADigest(digest);
      if (problem !== undefined) throw problem;
    }
  };
  /** For the methods that answer at once: the refusal, else undefined. */
  const refusal = (digest: Digest): StoreError | undefined =>
    closed ? new StoreError("closed", "the store is closed") : notADigest(digest);

  const whenClosed = (): StoreError | undefined =>
    closed ? new StoreError("closed", "the store is closed") : undefined;

  // The digest has a fixed length, so digest + app is unambiguous.
  const verdicts = new Map<string, Verdict & { readonly app: string }>();
  const delivered = new Map<Digest, number>();
  const apps = new Map<string, KnownApp>();

  const rejections: Rejections = {
    find(app, device, nowMs) {
      const problem = refusal(device);
      if (problem !== undefined) return Promise.reject(problem);
      const found = verdicts.get(device + app);
      if (found === undefined || found.keepUntilMs < nowMs) return undefined;
      return { sinceMs: found.sinceMs, keepUntilMs: found.keepUntilMs };
    },
    async put(app, device, { sinceMs, keepUntilMs }) {
      check(device);
      setBounded(verdicts, device + app, { app, sinceMs, keepUntilMs });
    },
    async remove(app, device) {
      check(device);
      verdicts.delete(device + app);
    },
    async count(nowMs) {
      check();
      const counts = new Map<string, number>();
      for (const { app, keepUntilMs } of verdicts.values()) {
        if (keepUntilMs >= nowMs) counts.set(app, (counts.get(app) ?? 0) + 1);
      }
      return counts;
    },
  };

  const dedupe: Dedupe = {
    has(key, nowMs) {
      const problem = refusal(key);
      if (problem !== undefined) return Promise.reject(problem);
      const keepUntilMs = delivered.get(key);
      return keepUntilMs !== undefined && keepUntilMs >= nowMs;
    },
    async put(keys, keepUntilMs) {
      check(...keys);
      for (const key of keys)
        setBounded(delivered, key, Math.max(keepUntilMs, delivered.get(key) ?? keepUntilMs));
    },
  };

  const knownApps: KnownApps = {
    async all() {
      check();
      return [...apps.values()].sort((a, b) => (a.app < b.app ? -1 : 1));
    },
    async update(app, change) {
      check();
      const before = apps.get(app);
      const succeededWith = change.succeededWith ?? before?.succeededWith;
      const tripped =
        change.guardTrippedAtMs === undefined
          ? before?.guardTrippedAtMs
          : (change.guardTrippedAtMs ?? undefined);
      apps.set(app, {
        app,
        lastConfiguredAtMs: change.lastConfiguredAtMs ?? before?.lastConfiguredAtMs ?? 0,
        served: change.served ?? before?.served ?? false,
        ...(succeededWith === undefined ? {} : { succeededWith }),
        ...(tripped === undefined ? {} : { guardTrippedAtMs: tripped }),
      });
    },
    async forget(configuredBeforeMs) {
      check();
      for (const { app, lastConfiguredAtMs } of apps.values()) {
        if (lastConfiguredAtMs < configuredBeforeMs) apps.delete(app);
      }
    },
  };

  return {
    durable: false,
    installationKey: new Uint8Array(randomBytes(32)),
    rejections,
    dedupe,
    knownApps,
    outcomes: memoryOutcomes(check),
    outbox: memoryOutbox(clock, whenClosed),
    devices: memoryDevices(whenClosed),
    async prune(nowMs) {
      check();
      const before = verdicts.size + delivered.size;
      for (const [key, { keepUntilMs }] of verdicts) if (keepUntilMs < nowMs) verdicts.delete(key);
      for (const [key, keepUntilMs] of delivered) if (keepUntilMs < nowMs) delivered.delete(key);
      return before - verdicts.size - delivered.size;
    },
    async close() {
      closed = true;
      verdicts.clear();
      delivered.clear();
      apps.clear();
    },
  };
}
