import { watchPulse } from "../../src/workers/pulse.ts";
import { createFakeClock } from "../support/fake-clock.ts";

describe("a thread's pulse", () => {
  it("is believed to be gone after six questions in a row, half a minute, and told once", async () => {
    const clock = createFakeClock();
    let stuck = 0;
    watchPulse(
      clock,
      () => new Promise(() => {}),
      () => (stuck += 1),
    );
    await clock.advance(29_900);
    expect(stuck).toBe(0);
    await clock.advance(200);
    expect(stuck).toBe(1);
    await clock.advance(120_000);
    expect(stuck).toBe(1);
  });

  it("counts from anew after every answer, also a late one in its five seconds", async () => {
    const clock = createFakeClock();
    let stuck = 0;
    let asked = 0;
    watchPulse(
      clock,
      () => {
        asked += 1;
        return asked % 5 === 0 ? clock.sleep(4_000) : new Promise(() => {});
      },
      () => (stuck += 1),
    );
    await clock.advance(10 * 60_000);
    expect(asked).toBeGreaterThan(100);
    expect(stuck).toBe(0);
  });

  it("is no longer asked for once the watch is over", async () => {
    const clock = createFakeClock();
    let asked = 0;
    const stop = watchPulse(
      clock,
      () => {
        asked += 1;
        return Promise.resolve();
      },
      () => {
        throw new Error("it was told");
      },
    );
    await clock.advance(20_000);
    stop();
    const before = asked;
    await clock.advance(60_000);
    expect(asked).toBe(before);
  });
});
