import { cleanJson, cleanText } from "../src/json.ts";

describe("cleanText", () => {
  it.each([
    ["plain", "plain"],
    ["", ""],
    ["a\0b\0", "ab"],
    ["\ud83d", "\ufffd"],
    ["\ude00\ud83d", "\ufffd\ufffd"],
    ["😀", "😀"],
    ["\ud83d\0\ude00", "\ufffd\ufffd"],
  ])("%j becomes %j", (text, cleaned) => {
    expect(cleanText(text)).toBe(cleaned);
  });
});

describe("cleanJson", () => {
  it.each([[null], [true], [0], ["x"], [[1, ["a"]]], [{ a: { b: [] } }]])("leaves %j as it is", (value) => {
    expect(cleanJson(value)).toBe(value);
  });

  it("copies only what it changes", () => {
    const clean = { x: "1" };
    const value = { clean, dirty: ["\0"] };
    const cleaned = cleanJson(value) as typeof value;
    expect(cleaned).toEqual({ clean, dirty: [""] });
    expect(cleaned.clean).toBe(clean);
    expect(value.dirty).toEqual(["\0"]);
  });

  it("keeps the places of a list", () => {
    const value = ["a", "\0b", null, ["\0"], false];
    expect(cleanJson(value)).toEqual(["a", "b", null, [""], false]);
    expect(value[1]).toBe("\0b");
  });

  it("lets the last of two keys win that clean to the same", () => {
    expect(cleanJson({ "a\0": 1, a: 2 })).toEqual({ a: 2 });
  });
});
