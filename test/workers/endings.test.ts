import { Endings } from "../../src/workers/endings.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe("the ends of threads", () => {
  it("double the wait for one that ends at once, up to half a minute", () => {
    const endings = new Endings(2);
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 12; i += 1)
      waits.push(endings.next({ index: 1, livedMs: 0, wasRefused: true }, i * SECOND));
    expect(waits.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(waits.slice(-2)).toEqual([30_000, 30_000]);
  });

  it("are each thread's own, and forgotten by one that has lived for a minute", () => {
    const endings = new Endings(3);
    expect(endings.next({ index: 1, livedMs: 0, wasRefused: false }, 0)).toBe(100);
    expect(endings.next({ index: 1, livedMs: 0, wasRefused: false }, 1)).toBe(200);
    expect(endings.next({ index: 2, livedMs: 0, wasRefused: false }, 2)).toBe(100);
    expect(endings.next({ index: 1, livedMs: MINUTE, wasRefused: false }, 3)).toBe(100);
  });

  it("are too many at the tenth in five minutes, whichever threads they are", () => {
    const endings = new Endings(4);
    const at = (index: number, ms: number): number | undefined =>
      endings.next({ index, livedMs: MINUTE, wasRefused: false }, ms);
    for (let i = 0; i < 9; i += 1) expect(at(1 + (i % 3), i * 30 * SECOND)).toBe(100);
    expect(at(1, 4.9 * MINUTE)).toBeUndefined();
  });

  it("never are when they come less often", () => {
    const endings = new Endings(2);
    for (let i = 0; i < 100; i += 1) {
      expect(endings.next({ index: 1, livedMs: MINUTE, wasRefused: false }, i * 34 * SECOND)).toBe(100);
    }
  });

  it("may be two of each thread, where there are many", () => {
    const endings = new Endings(16);
    expect(endings.limit).toBe("32 in 5 minutes");
    for (let i = 1; i < 32; i += 1)
      expect(endings.next({ index: i % 15, livedMs: 0, wasRefused: false }, i)).toBeDefined();
    expect(endings.next({ index: 1, livedMs: 0, wasRefused: false }, 40)).toBeUndefined();
  });
});
