import { contentTexts, dataBytes, fitData, flattenDefaultPayload } from "../../../src/pushkins/fcm/data.ts";

describe("the bytes of a data map", () => {
  it("are those of all keys and values in UTF-8", () => {
    const data = new Map([
      ["é", "海"],
      ["a", "🦉"],
    ]);
    expect(dataBytes(data)).toBe(2 + 3 + 1 + 4);
  });
});

describe("fitting", () => {
  const filled = (texts: Record<string, number>, fixed: number): Map<string, string> =>
    new Map([
      ...Object.entries(texts).map(([key, length]) => [key, "x".repeat(length)] as const),
      ["fixed", "f".repeat(fixed)],
    ]);

  it("leaves what fits as it is, to the byte", () => {
    const data = filled({ a: 1994 }, 2000);
    expect(dataBytes(data)).toBe(4000);
    const before = new Map(data);
    expect(fitData(data, ["a"])).toEqual(before);
  });

  it("shortens the longest first, and only the texts", () => {
    const data = filled({ a: 3000, b: 100 }, 2000);
    const fitted = fitData(data, ["a", "b", "not-there"]);
    expect(fitted?.get("b")).toHaveLength(100);
    expect(fitted?.get("fixed")).toHaveLength(2000);
    expect(fitted?.get("a")).toMatch(/^x+…$/);
    expect(fitted?.has("not-there")).toBe(false);
    expect(dataBytes(data)).toBeLessThanOrEqual(4000);
    expect(dataBytes(data)).toBeGreaterThan(3990);
  });

  it("says when the texts cannot give enough", () => {
    expect(fitData(filled({ a: 100 }, 4100), ["a"])).toBeUndefined();
    expect(fitData(filled({}, 4100), [])).toBeUndefined();
  });
});

describe("a content's texts", () => {
  it("are its strings alone, shortened", () => {
    const texts = contentTexts({ a: "x", b: 1, c: null, d: { e: "f" }, g: [], h: "é".repeat(600) });
    expect(texts).toEqual([
      ["content_a", "x"],
      ["content_h", `${"é".repeat(510)}…`],
    ]);
  });

  it("of very many are the first hundred", () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i % 2 ? "t" : 1]));
    const texts = contentTexts(many);
    expect(texts).toHaveLength(100);
    expect(texts.at(-1)).toEqual(["content_k199", "t"]);
  });
});

describe("the app's own keys", () => {
  it("come without content when the event brings one", () => {
    const payload = { cs: "x", content: { k: "v" } };
    expect([...flattenDefaultPayload(payload, true)]).toEqual([["cs", "x"]]);
    expect([...flattenDefaultPayload(payload, false)]).toEqual([
      ["cs", "x"],
      ["content_k", "v"],
    ]);
  });
});
