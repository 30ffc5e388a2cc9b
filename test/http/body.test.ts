import { parseJson } from "../../src/http/body.ts";
import { HttpError } from "../../src/http/errors.ts";

function codeOf(text: string, maxDepth = 3): string | undefined {
  const result: unknown = parseJson(text, maxDepth);
  return result instanceof HttpError ? result.code : undefined;
}

describe("parseJson", () => {
  it("gives the value", () => {
    expect(parseJson('{"a":[1,"x",null]}', 3)).toEqual({ a: [1, "x", null] });
  });

  it.each([
    ["[[[1]]]", undefined],
    ["[[[[1]]]]", "too-deep"],
    ['{"a":{"b":[{}]}}', "too-deep"],
    ["[[],[],[],[[]],[]]", undefined],
    ['["[[[[[[", "]]", "{{{{"]', undefined],
    [String.raw`["\"[[[[", "\\", [["\\\""]]]`, undefined],
    [String.raw`["\\",[[[1]]]]`, "too-deep"],
    ['["unfinished', "not-json"],
    ["]]]]", "not-json"],
    ["", "not-json"],
    ['{"a":1,}', "not-json"],
  ])("%s at depth 3: %s", (text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it("counts keys, not colons in strings", () => {
    const object = (n: number): string =>
      `{${Array.from({ length: n }, (_, i) => `"${i}":":::::::"`).join(",")}}`;
    expect(codeOf(object(20_000))).toBeUndefined();
    expect(codeOf(object(20_001))).toBe("too-many-keys");
  });

  it("counts what stands in lists, not commas in strings", () => {
    const list = (items: number): string => `[${'",,,",'.repeat(items - 1)}0]`;
    expect(codeOf(list(60_001))).toBeUndefined();
    expect(codeOf(list(60_002))).toBe("too-many-items");
  });
});
