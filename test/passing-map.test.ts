import { PassingMap } from "../src/passing-map.ts";
import { oldGrowth } from "./support/old-growth.ts";

describe("PassingMap", () => {
  it("holds what was added until it is deleted", () => {
    const map = new PassingMap<number, { readonly n: number }>();
    for (const n of [1, 2, 3]) map.add(n, { n });
    expect(map.get(2)).toEqual({ n: 2 });
    expect(map.delete(2)).toBe(true);
    expect(map.delete(2)).toBe(false);
    expect([map.get(2), map.has(2), map.has(3), map.size]).toEqual([undefined, false, true, 2]);
    expect(map.all()).toEqual([{ n: 1 }, { n: 3 }]);
    map.clear();
    expect([map.size, map.all(), map.get(1)]).toEqual([0, [], undefined]);
  });

  it("keeps little of what has gone from the garbage, of which a Map keeps much", async () => {
    expect(await oldGrowth("PassingMap")).toBeLessThan(2_500_000);
    expect(await oldGrowth("Map")).toBeGreaterThan(5_000_000);
  });
});
