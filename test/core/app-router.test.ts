import { AppRouter, findTiedGlobs } from "../../src/core/app-router.ts";
import { compileGlob, globsIntersect } from "../../src/core/glob.ts";

describe("compileGlob", () => {
  // sygnal-compat 3, and the worst cases of reliability H10.
  const cases: readonly [pattern: string, text: string, matches: boolean][] = [
    ["com.x.*", "com.x.", true],
    ["com.x.*", "com.x.ios.dev", true],
    ["com.x.*", "com.x", false],
    ["com.x.*", "COM.X.a", false],
    ["com.x.*", "com.x.\n", false],
    ["com.x.*", "com.x.\r", true],
    ["a?", "ab", true],
    ["a?", "a💥", true],
    ["a?", "a", false],
    ["a?", "abc", false],
    ["a?", "a\n", false],
    ["a**?b", "axb", true],
    ["a**?b", "ab", false],
    ["a?*?b", "axyzb", true],
    ["a?*?b", "axb", false],
    ["[a-z]", "[a-z]", true],
    ["[a-z]", "b", false],
    ["a.c", "abc", false],
    ["*", "", true],
    ["*a*b", "xaxbxb", true],
    ["*a*b", "xaxbx", false],
    ["", "", true],
  ];
  it.each(cases)("%j on %j: %s", (pattern, text, matches) => {
    expect(compileGlob(pattern).matches(text)).toBe(matches);
  });

  it("takes steps in proportion to pattern times text, however the stars stand", () => {
    const glob = compileGlob("*a*a*a*a*a*a*a*a*b");
    const started = performance.now();
    expect(glob.matches("a".repeat(4096))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe("globsIntersect", () => {
  const cases: readonly [left: string, right: string, meet: boolean][] = [
    ["*.ios.prod", "*.ios.dev", false],
    ["a*", "*b", true],
    ["a*c", "a?c", true],
    ["a?c", "a??c", false],
    ["*x*", "*y*", true],
    ["ab*", "ac*", false],
    ["a*\n", "a?\n", true],
    ["*", "\n", false],
    ["?*", "", false],
    ["*", "", true],
  ];
  it.each(cases)("%j and %j: %s", (left, right, meet) => {
    expect(globsIntersect(left, right)).toBe(meet);
    expect(globsIntersect(right, left)).toBe(meet);
  });
});

describe("AppRouter", () => {
  const router = new AppRouter(
    ["com.*", "com.example.*", "*.example.ios", "com.example.ios", "org.*.dev", "org.*", "lit*eral"].map(
      (key) => [key, key] as const,
    ),
  );
  it.each([
    ["com.example.ios", "com.example.ios"],
    ["com.example.android", "com.example.*"],
    ["com.other", "com.*"],
    ["net.example.ios", "*.example.ios"],
    // The longer literal prefix beats the longer suffix.
    ["com.a.example.ios", "com.*"],
    // Equal prefixes: the longer literal suffix.
    ["org.x.dev", "org.*.dev"],
    // A key is first of all a name, even with a star in it.
    ["lit*eral", "lit*eral"],
    ["nowhere", undefined],
    ["COM.EXAMPLE.IOS", undefined],
  ])("%s belongs to %s", (appId, key) => {
    expect(router.find(appId)).toBe(key);
    expect(router.find(appId)).toBe(key);
  });

  it("stays right when flooded with made-up app ids", () => {
    for (let i = 0; i < 10_000; i += 1) router.find(`com.example.${i}`);
    expect(router.find("com.example.5")).toBe("com.example.*");
    expect(router.find("unknown")).toBeUndefined();
  });
});

describe("findTiedGlobs", () => {
  it("names globs that are equally specific and meet", () => {
    expect(findTiedGlobs(["a*x*c", "a*y*c", "b"])).toEqual([["a*x*c", "a*y*c"]]);
  });
  it("lets disjoint ones be, and those of which one is more particular", () => {
    expect(findTiedGlobs(["*.ios.prod", "*.ios.devl", "com.*", "com.example.*", "*"])).toEqual([]);
  });
});
