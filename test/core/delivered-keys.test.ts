import { hash } from "node:crypto";
import { DeliveredKeys } from "../../src/core/delivered-keys.ts";

const digest = (name: string | number): string => hash("sha256", String(name));

/** Numbers below `bound` that look random and are the same in each run. */
function createRandom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

describe("DeliveredKeys", () => {
  it("knows what was put in, in the order in which it came", () => {
    const keys = new DeliveredKeys(10_000);
    for (let i = 0; i < 5_000; i += 1) keys.set(digest(i), i);
    for (let i = 0; i < 5_000; i += 1) expect(keys.until(digest(i))).toBe(i);
    expect(keys.until(digest("another"))).toBeUndefined();
    expect([...keys.beyond(2_999)]).toEqual(Array.from({ length: 2_000 }, (_, i) => digest(3_000 + i)));
  });

  it.each([1, 2, 3, 7, 800, 1_024, 1_025, 3_000])(
    "knows the last %i that were put in, and no other",
    (max) => {
      const keys = new DeliveredKeys(max);
      const random = createRandom(max);
      const names = Array.from({ length: Math.max(4, Math.floor(max * 1.3)) }, (_, i) => digest(i));
      /** Which of all it was when it was put in last. */
      const putAs = new Map<string, number>();
      let count = 0;
      const isKnown = (key: string): boolean => count - (putAs.get(key) ?? -Infinity) <= max - 1;
      for (let step = 0; step < 20_000; step += 1) {
        const key = names[random(names.length)] ?? "";
        if (random(3) === 0) {
          expect(keys.until(key)).toBe(isKnown(key) ? putAs.get(key) : undefined);
        } else {
          count += 1;
          keys.set(key, count);
          putAs.set(key, count);
        }
      }
      const known = [...putAs].filter(([key]) => isKnown(key)).sort(([, a], [, b]) => a - b);
      expect([...keys.beyond(0)]).toEqual(known.map(([key]) => key));
    },
  );

  it("finds its way where all keys begin alike", () => {
    const keys = new DeliveredKeys(64);
    const alike = (i: number): string => `00000000${digest(i).slice(8)}`;
    for (let i = 0; i < 200; i += 1) {
      keys.set(alike(i), i);
      expect(keys.until(alike(i))).toBe(i);
      expect(keys.until(alike(i - 63))).toBe(i < 63 ? undefined : i - 63);
      expect(keys.until(alike(i - 64))).toBeUndefined();
    }
  });

  it.each(["", "key", "g".repeat(64), "a".repeat(63), "a".repeat(66)])("takes no %j for a digest", (text) => {
    const keys = new DeliveredKeys(10);
    expect(() => keys.set(text, 1)).toThrow("not a digest");
    expect(() => keys.until(text)).toThrow("not a digest");
  });
});
