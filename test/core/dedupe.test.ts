import { hash } from "node:crypto";
import { DedupeMemory } from "../../src/core/dedupe.ts";
import { createFakeClock } from "../support/fake-clock.ts";

function setUp(maxRemembered: number) {
  const kept: string[] = [];
  const store = {
    has: () => false,
    put: async (keys: readonly string[]) => void kept.push(...keys),
  };
  const clock = createFakeClock();
  return { clock, kept, memory: new DedupeMemory(store, clock, 60_000, maxRemembered) };
}

const digest = (name: string): string => hash("sha256", name);

describe("DedupeMemory", () => {
  it("is bounded: forgets the oldest", () => {
    const { memory } = setUp(800);
    for (let i = 0; i < 5_000; i += 1) memory.remember(digest(`key ${i}`));
    const remembered = Array.from({ length: 5_000 }, (_, i) => i).filter((i) =>
      memory.isRemembered(digest(`key ${i}`)),
    );
    expect(remembered).toEqual(Array.from({ length: 800 }, (_, i) => 4_200 + i));
  });

  it("takes the latest time of what is delivered again after it was forgotten", async () => {
    const { clock, memory } = setUp(800);
    memory.remember(digest("key"));
    await clock.advance(60_001);
    expect(memory.isRemembered(digest("key"))).toBe(false);
    expect(memory.wasDelivered(digest("key"))).toBe(false);
    for (let i = 0; i < 150; i += 1) memory.remember(digest(`other ${i}`));
    memory.remember(digest("key"));
    expect(memory.isRemembered(digest("key"))).toBe(true);
    await clock.advance(59_999);
    expect(memory.wasDelivered(digest("key"))).toBe(true);
  });

  it("keeps all that is remembered at a stop, and nothing that is over", async () => {
    const { clock, kept, memory } = setUp(800);
    memory.remember(digest("old"));
    await clock.advance(60_001);
    for (let i = 0; i < 300; i += 1) memory.remember(digest(`key ${i}`));
    await memory.keepAll();
    expect(kept).toHaveLength(300);
    expect(kept).not.toContain(digest("old"));
  });
});
