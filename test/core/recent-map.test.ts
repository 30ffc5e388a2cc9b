import { RecentMap } from "../../src/core/recent-map.ts";

function mapOf(...keys: readonly string[]): RecentMap<number> {
  const map = new RecentMap<number>();
  keys.forEach((key, i) => map.set(key, i));
  return map;
}

const keysOf = (map: RecentMap<number>): readonly string[] => [...map.entries()].map(([key]) => key);

describe("RecentMap", () => {
  it.each([
    ["keeps the order of coming", [], ["a", "b", "c"]],
    ["puts a key that comes again last", [(map: RecentMap<number>) => map.set("a", 9)], ["b", "c", "a"]],
    ["puts a used key last", [(map: RecentMap<number>) => map.use("b")], ["a", "c", "b"]],
    ["closes the gap of the first", [(map: RecentMap<number>) => map.delete("a")], ["b", "c"]],
    ["closes the gap in the middle", [(map: RecentMap<number>) => map.delete("b")], ["a", "c"]],
    [
      "goes on after the last has gone",
      [(map: RecentMap<number>) => map.delete("c"), (map: RecentMap<number>) => map.set("d", 4)],
      ["a", "b", "d"],
    ],
    [
      "begins anew after it was cleared",
      [(map: RecentMap<number>) => map.clear(), (map: RecentMap<number>) => map.set("z", 1)],
      ["z"],
    ],
  ] as const)("%s", (_title, steps, expected) => {
    const map = mapOf("a", "b", "c");
    for (const step of steps) step(map);
    expect(keysOf(map)).toEqual(expected);
    expect(map.size).toBe(expected.length);
    expect(map.oldest()?.key).toBe(expected[0]);
  });

  it("gives what it was given, and what it does not know as undefined", () => {
    const map = mapOf("a", "b");
    map.set("a", 7);
    expect([map.get("a"), map.use("b"), map.get("x"), map.use("x"), map.delete("x")]).toEqual([
      7,
      1,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("may lose what it has just given while it is walked over", () => {
    const map = mapOf("a", "b", "c");
    for (const [key] of map.entries()) if (key !== "c") map.delete(key);
    expect(keysOf(map)).toEqual(["c"]);
  });

  it("holds no more than it is asked to while many go through it", () => {
    const map = new RecentMap<number>();
    for (let i = 0; i < 100_000; i += 1) {
      map.set(String(i), i);
      if (map.size > 5_000) map.delete(map.oldest()?.key ?? "");
    }
    expect(map.size).toBe(5_000);
    expect(map.oldest()?.value).toBe(95_000);
  });
});
