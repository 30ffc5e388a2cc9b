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

describe("DedupeMemory", () => {
  it("is bounded: forgets the oldest, an eighth of its room at a time", () => {
    const { memory } = setUp(800);
    for (let i = 0; i < 5_000; i += 1) memory.remember(`key ${i}`);
    const remembered = Array.from({ length: 5_000 }, (_, i) => i).filter((i) =>
      memory.isRemembered(`key ${i}`),
    );
    expect(remembered.at(-1)).toBe(4_999);
    expect(remembered).toHaveLength((remembered.at(-1) ?? 0) - (remembered[0] ?? 0) + 1);
    expect(remembered.length).toBeGreaterThan(700);
    expect(remembered.length).toBeLessThanOrEqual(800);
  });

  it("takes the latest time of what is delivered again after it was forgotten", async () => {
    const { clock, memory } = setUp(800);
    memory.remember("key");
    await clock.advance(60_001);
    expect(memory.isRemembered("key")).toBe(false);
    expect(memory.wasDelivered("key")).toBe(false);
    for (let i = 0; i < 150; i += 1) memory.remember(`other ${i}`);
    memory.remember("key");
    expect(memory.isRemembered("key")).toBe(true);
    await clock.advance(59_999);
    expect(memory.wasDelivered("key")).toBe(true);
  });

  it("keeps all that is remembered at a stop, and nothing that is over", async () => {
    const { clock, kept, memory } = setUp(800);
    memory.remember("old");
    await clock.advance(60_001);
    for (let i = 0; i < 300; i += 1) memory.remember(`key ${i}`);
    await memory.keepAll();
    expect(kept).toHaveLength(300);
    expect(kept).not.toContain("old");
  });
});
