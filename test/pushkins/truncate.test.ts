import { jsonCost, shortenTexts, truncateText, utf8Cost } from "../../src/pushkins/truncate.ts";

const bytes = (text: string): number => Buffer.byteLength(text);
/** Bytes of the text within a JSON document. */
const jsonBytes = (text: string): number => bytes(JSON.stringify(text)) - 2;

const family = "👨‍👩‍👧‍👦";
const astronaut = "👩🏽‍🚀";
const iceland = "🇮🇸";

describe("jsonCost", () => {
  it("is what JSON.stringify spends on each code point", () => {
    const points = [
      ...Array(0x300).keys(),
      0x7ff,
      0x800,
      0x2028,
      0x2029,
      0xfffd,
      0xffff,
      0x1_0000,
      0x10_ffff,
    ];
    const wrong = points.filter((point) => jsonCost(point) !== jsonBytes(String.fromCodePoint(point)));
    expect(wrong).toEqual([]);
  });
});

describe("utf8Cost", () => {
  it("is the length in UTF-8 of each code point", () => {
    const points = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x1_0000, 0x10_ffff];
    expect(points.map(utf8Cost)).toEqual(points.map((point) => bytes(String.fromCodePoint(point))));
  });
});

describe("truncateText", () => {
  it.each([
    ["", 10, ""],
    ["fits", 4, "fits"],
    ["fits not", 7, "fits…"],
    ["Zoë", 4, "Zoë"],
    ["Zoë!", 4, "Z…"],
    ["海海海", 9, "海海海"],
    ["海海海", 8, "海…"],
    ["hello", 3, "…"],
    ["🦊🦊", 7, "🦊…"],
    ["🦊🦊", 6, "…"],
  ])("%j within %i bytes is %j", (text, maxBytes, expected) => {
    expect(truncateText(text, maxBytes)).toBe(expected);
  });

  it.each([
    ["a family of four", family],
    ["a skin tone and a profession", astronaut],
    ["a flag of two letters", iceland],
    ["an accent that combines", "e\u0301"],
    ["a Hangul syllable of three letters", "\u1112\u1161\u11ab"],
    ["a line end of two characters", "\r\n"],
  ])("never tears %s apart", (_what, character) => {
    const text = character.repeat(20);
    for (let room = 3; room < bytes(text); room += 1) {
      const cut = truncateText(text, room);
      expect(bytes(cut)).toBeLessThanOrEqual(room);
      expect(cut.endsWith("…")).toBe(true);
      expect(cut.slice(0, -1)).toBe(character.repeat(Math.floor((room - 3) / bytes(character))));
    }
  });

  it("keeps as much as fits", () => {
    expect(bytes(truncateText("x".repeat(10_000), 4_000))).toBe(4_000);
    expect(jsonBytes(truncateText('"'.repeat(10_000), 4_001, jsonCost))).toBe(4_001);
  });

  it("cuts a character that never ends between its code points", () => {
    const zalgo = `a${"\u0301".repeat(5_000)}`;
    const cut = truncateText(zalgo, 1_001);
    expect(bytes(cut)).toBeLessThanOrEqual(1_001);
    expect(bytes(cut)).toBeGreaterThan(900);
    expect(cut.isWellFormed()).toBe(true);
  });

  it("never leaves half a surrogate pair", () => {
    const text = "a🦊".repeat(50);
    for (let room = 3; room < 250; room += 1) expect(truncateText(text, room).isWellFormed()).toBe(true);
  });
});

describe("shortenTexts", () => {
  const shortened = (texts: readonly string[], excess: number): readonly string[] | undefined =>
    shortenTexts(texts, excess, utf8Cost);

  it.each([
    [["aaaaaaaaaaaa", "bbbb", "cc"], 3, ["aaaaaa…", "bbbb", "cc"]],
    [["aaaaaaaa", "bbbbbbbb", "cc"], 6, ["aa…", "bb…", "cc"]],
    [["aaaa", "bbbb", "cccc"], 3, ["…", "…", "…"]],
    [["short", "x".repeat(20)], 1, ["short", `${"x".repeat(16)}…`]],
  ])("%j minus %i bytes is %j: the longest give first", (texts, excess, expected) => {
    expect(shortened(texts, excess)).toEqual(expected);
  });

  it("gives up when the texts do not have that much", () => {
    expect(shortened(["abc"], 1)).toBeUndefined();
    expect(shortened([], 1)).toBeUndefined();
    expect(shortened(["aaaa", "bbbb"], 1_000)).toBeUndefined();
  });

  it("leaves texts of one length as long as each other, to a few bytes", () => {
    const texts = ["x".repeat(3_000), "ß".repeat(1_500), "海".repeat(1_000)];
    const lengths = (shortened(texts, 5_000) ?? []).map(bytes);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(4);
    expect(lengths.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(4_000);
  });

  it("for any texts and excess: never too long, only the longest are cut, and cuts end in an ellipsis", () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    const alphabet = ["a", '"', "\n", "\u0007", "ß", "海", "🦊", family, iceland, "e\u0301", "\\"];
    for (let round = 0; round < 500; round += 1) {
      const texts = Array.from({ length: 1 + random(5) }, () =>
        Array.from({ length: random(60) }, () => alphabet[random(alphabet.length)]).join(""),
      );
      const total = texts.reduce((sum, text) => sum + jsonBytes(text), 0);
      const excess = 1 + random(Math.max(1, total));
      const cut = shortenTexts(texts, excess, jsonCost);
      if (cut === undefined) {
        // Ellipses alone would have been too long as well.
        expect(total - excess).toBeLessThan(3 * texts.length);
        continue;
      }
      expect(cut.reduce((sum, text) => sum + jsonBytes(text), 0)).toBeLessThanOrEqual(total - excess);
      const changed = cut.filter((text, index) => text !== texts[index]);
      expect(changed.every((text) => text.endsWith("…") && text.isWellFormed())).toBe(true);
      const longestCut = Math.max(...changed.map((text) => jsonBytes(text)));
      const kept = cut.filter((text, index) => text === texts[index]).map(jsonBytes);
      // A cut may stop short of the level by one user-perceived character.
      expect(Math.max(0, ...kept)).toBeLessThanOrEqual(longestCut + 25);
    }
  });

  it.each([60_000, 150_000, 500_000])("takes a few milliseconds for a text of %i bytes (G-20)", (length) => {
    const texts = ["Major Tom", "Mission Control", "海".repeat(length / 3)];
    shortenTexts(texts, length - 3_800, jsonCost);
    const startedMs = performance.now();
    const cut = shortenTexts(texts, length - 3_800, jsonCost);
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(bytes(cut?.[2] ?? "")).toBeLessThanOrEqual(3_800);
  });
});
