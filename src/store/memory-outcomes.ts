import type { Digest, Outcomes, PastOutcome } from "./store.ts";

/** What became of pushes, as long as the process lives. @param check throws the refusal of the store or of a digest */
export function memoryOutcomes(check: (...digests: readonly Digest[]) => void): Outcomes {
  const byPush = new Map<string, PastOutcome>();
  return {
    shared: false,
    async put(outcomes, { maxRows, forgetBeforeMs }) {
      check(...outcomes.flatMap(({ device, event }) => (event === undefined ? [device] : [device, event])));
      for (const outcome of outcomes) {
        const before = byPush.get(outcome.push);
        if (before !== undefined && before.atMs > outcome.atMs) continue;
        byPush.set(outcome.push, { ...before, ...outcome });
      }
      for (const [push, { atMs }] of byPush) {
        if (byPush.size <= maxRows && atMs >= forgetBeforeMs) break;
        byPush.delete(push);
      }
    },
    async find(by, limit) {
      check(...("devices" in by ? by.devices : "event" in by ? [by.event] : []));
      const matches = ({ device, event, push, request }: PastOutcome): boolean => {
        if ("devices" in by) return by.devices.includes(device);
        return "event" in by ? event === by.event : push === by.id || request === by.id;
      };
      return [...byPush.values()]
        .filter(matches)
        .sort((a, b) => b.atMs - a.atMs)
        .slice(0, limit);
    },
  };
}
