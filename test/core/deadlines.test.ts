import { Deadlines } from "../../src/core/deadlines.ts";
import { createFakeClock } from "../support/fake-clock.ts";

/** Deadlines on a fake clock, and what passed when. */
function setUp() {
  const clock = createFakeClock();
  const deadlines = new Deadlines(clock);
  const startMs = clock.monotonic();
  const passed: [name: string, atMs: number][] = [];
  const add = (name: string, inMs: number) =>
    deadlines.add(clock.monotonic() + inMs, () => passed.push([name, clock.monotonic() - startMs]));
  return { add, clock, deadlines, passed };
}

describe("Deadlines", () => {
  it("tells each at its time, in whatever order they were added", async () => {
    const { add, clock, passed } = setUp();
    add("b", 200);
    add("c", 300);
    add("a", 100);
    await clock.advance(99);
    expect(passed).toEqual([]);
    await clock.advance(1000);
    expect(passed).toEqual([
      ["a", 100],
      ["b", 200],
      ["c", 300],
    ]);
  });

  it("does not tell of one that was cancelled, and says whether it still could be", async () => {
    const { add, clock, passed } = setUp();
    const first = add("first", 100);
    const second = add("second", 200);
    expect(first.cancel()).toBe(true);
    expect(first.cancel()).toBe(false);
    await clock.advance(1000);
    expect(passed).toEqual([["second", 200]]);
    expect(second.cancel()).toBe(false);
  });

  it("goes on after a timer that fired for nothing", async () => {
    const { add, clock, passed } = setUp();
    add("gone", 100).cancel();
    await clock.advance(50);
    add("later", 500);
    await clock.advance(60);
    add("sooner", 20);
    await clock.advance(1000);
    expect(passed).toEqual([
      ["sooner", 130],
      ["later", 550],
    ]);
  });

  it("lets what passes add and cancel others", async () => {
    const { add, clock, deadlines, passed } = setUp();
    const other = add("other", 100);
    deadlines.add(clock.monotonic() + 50, () => {
      other.cancel();
      add("next", 10);
    });
    await clock.advance(1000);
    expect(passed).toEqual([["next", 60]]);
  });

  it("passes at the next turn what lies in the past", async () => {
    const { add, clock, passed } = setUp();
    add("past", -5);
    expect(passed).toEqual([]);
    await clock.advance(0);
    expect(passed).toEqual([["past", 0]]);
  });
});
