import { InFlight } from "../../src/core/in-flight.ts";

/** Pushes in the order in which they asked for a place, and which of them have one. */
function enterPromised(inFlight: InFlight, count: number): readonly string[] {
  const entered: string[] = [];
  for (let i = 0; i < count; i += 1) void inFlight.enterPromised().then(() => entered.push(`${i}`));
  return entered;
}

const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("InFlight", () => {
  it("has as many places as its limit, and each again once it was left", () => {
    const inFlight = new InFlight(2);
    expect([inFlight.tryEnter(), inFlight.tryEnter(), inFlight.tryEnter()]).toEqual([true, true, false]);
    inFlight.leave();
    expect([inFlight.tryEnter(), inFlight.tryEnter()]).toEqual([true, false]);
  });

  it.each([
    [0, 0],
    [1, 1],
    [4, 3],
    [512, 384],
  ])("of %d places leaves promised pushes %d", async (limit, most) => {
    const inFlight = new InFlight(limit);
    expect(inFlight.roomForPromised).toBe(most);
    const entered = enterPromised(inFlight, limit + 1);
    await microtasks();
    expect(entered).toHaveLength(most);
    expect(inFlight.roomForPromised).toBe(0);
    for (let i = most; i < limit; i += 1) expect(inFlight.tryEnter()).toBe(true);
    expect(inFlight.tryEnter()).toBe(false);
  });

  it("gives a free place to the promised push that has waited for longest, before a fresh one", async () => {
    const inFlight = new InFlight(2);
    inFlight.tryEnter();
    inFlight.tryEnter();
    const entered = enterPromised(inFlight, 2);
    await microtasks();
    expect(entered).toEqual([]);
    inFlight.leave();
    expect(inFlight.tryEnter()).toBe(false);
    await microtasks();
    expect(entered).toEqual(["0"]);
    inFlight.leavePromised();
    await microtasks();
    expect(entered).toEqual(["0", "1"]);
  });

  it("tells once when there is room for as many promised pushes as were asked for", () => {
    const inFlight = new InFlight(4);
    for (let i = 0; i < 4; i += 1) inFlight.tryEnter();
    let told = 0;
    inFlight.onceRoom(2, () => (told += 1));
    inFlight.leave();
    expect(told).toBe(0);
    inFlight.leave();
    expect(told).toBe(1);
    inFlight.leave();
    expect(told).toBe(1);
  });
});
