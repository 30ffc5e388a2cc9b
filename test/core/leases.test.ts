import { Leases } from "../../src/core/leases.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import type { Outbox } from "../../src/store/store.ts";
import { createFakeClock } from "../support/fake-clock.ts";

type Renewed = Parameters<Outbox["renew"]>[0];

/** Leases over an outbox that takes back what `lost` names, and notes what is renewed. */
function setUp() {
  const clock = createFakeClock();
  const renewed: Renewed[] = [];
  const lost = new Set<string>();
  const outbox: Outbox = {
    ...openMemoryStore().outbox,
    renew(held) {
      renewed.push(held);
      return Promise.resolve(held.map(({ id }) => id).filter((id) => lost.has(id)));
    },
  };
  return { clock, leases: new Leases(outbox, clock, "this"), lost, renewed };
}

describe("Leases", () => {
  it("renews what is in hand, three times within a lease, and nothing that was released", async () => {
    const { clock, leases, renewed } = setUp();
    leases.take("a", 1);
    leases.take("b", 2);
    leases.release("b");
    await clock.advance(15_000);
    expect(renewed).toEqual(Array.from({ length: 3 }, () => [{ id: "a", token: 1 }]));
    leases.stop();
  });

  it("forgets the token of what somebody else has claimed", async () => {
    const { clock, leases, lost } = setUp();
    leases.take("a", 1);
    lost.add("a");
    await clock.advance(5_000);
    expect(leases.tokenOf("a")).toBeUndefined();
    leases.stop();
  });

  describe("asked by another thread that has claimed an entry", () => {
    it("has nothing to do with what is not in hand here", async () => {
      const { leases } = setUp();
      expect(await leases.takeBack("a", 2)).toBe(false);
      leases.take("a", 1);
      leases.release("a");
      expect(await leases.takeBack("a", 2)).toBe(false);
      leases.stop();
    });

    it.each(["still held", "lost"])(
      "ends what is %s by the other's token, does not renew it, and tells of its end",
      async (state) => {
        const { clock, leases, lost, renewed } = setUp();
        leases.take("a", 1);
        if (state === "lost") lost.add("a");
        await clock.advance(5_000);
        renewed.length = 0;
        const ended = leases.takeBack("a", 2);
        expect(leases.tokenOf("a")).toBe(2);
        await clock.advance(10_000);
        expect(renewed.flat()).toEqual([]);
        leases.release("a");
        expect(await ended).toBe(true);
        leases.stop();
      },
    );
  });
});
