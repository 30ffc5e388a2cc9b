import { HttpError } from "../../src/http/errors.ts";
import { parseForm } from "../../src/http/form.ts";

describe("a form", () => {
  it.each<[string, string, object]>([
    ["is its fields", "verb=Notify&AppId=com.example.app", { verb: "Notify", AppId: "com.example.app" }],
    [
      "has plus for a space, and percent for anything",
      "a=1+2%2B3&%C3%A4=%F0%9F%98%80",
      { a: "1 2+3", ä: "😀" },
    ],
    ["may have fields without a value", "a&b=&=c", { a: "", b: "", "": "c" }],
    ["may be empty", "", {}],
    ["takes the last of a name", "a=1&a=2&&", { a: "2" }],
    ["has equals signs in a value", "token=abc==", { token: "abc==" }],
    ["has no prototype to set", "__proto__=x", JSON.parse('{"__proto__":"x"}') as object],
  ])("%s", (_what, text, fields) => {
    expect(parseForm(text)).toEqual(fields);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it.each(["a=%", "a=%zz", "a=%E9", "%ff=1", "a=%C3"])("%j is none", (text) => {
    const result = parseForm(text);
    expect(result instanceof HttpError && result.code).toBe("not-a-form");
  });

  it("has at most a thousand fields", () => {
    expect(parseForm("a=1&".repeat(1_000))).toEqual({ a: "1" });
    const result = parseForm("a=1&".repeat(1_001));
    expect(result instanceof HttpError && result.code).toBe("too-many-keys");
  });
});
