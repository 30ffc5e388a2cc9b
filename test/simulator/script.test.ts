import { Script, tokenPrefixes } from "../../src/simulator/script.ts";
import type { Rule, ScriptedRequest } from "../../src/simulator/script.ts";

const push: ScriptedRequest = { upstream: "apns", token: "aabbcc", topic: "com.example.app" };
const hang = { answer: { kind: "hang" } } as const;

/** Which of the first requests the rule answers, by number. */
function answered(rule: Rule, count = 10, random = () => 0): number[] {
  const script = new Script({ random });
  script.add(rule);
  return Array.from({ length: count }, (_, i) => i + 1).filter(() => script.match(push) !== undefined);
}

describe("Script", () => {
  it.each<[string, Rule, boolean]>([
    ["nothing", {}, true],
    ["its upstream", { upstream: "apns" }, true],
    ["another upstream", { upstream: "fcm" }, false],
    ["the token", { token: "aabbcc" }, true],
    ["another token", { token: "aabb" }, false],
    ["the beginning of the token", { tokenPrefix: "aabb" }, true],
    ["another beginning", { tokenPrefix: "bb" }, false],
    ["the topic", { topic: "com.example.app" }, true],
    ["another topic", { topic: "com.example" }, false],
    ["the token but another topic", { token: "aabbcc", topic: "com.example" }, false],
  ])("a rule that names %s: matches %#", (_name, condition, expected) => {
    expect(answered({ ...condition, ...hang }, 1).length === 1).toBe(expected);
  });

  it.each<[string, Rule, number[]]>([
    ["skip", { skip: 8 }, [9, 10]],
    ["times", { times: 3 }, [1, 2, 3]],
    ["every", { every: 4 }, [4, 8]],
    ["skip and every and times", { skip: 1, every: 3, times: 2 }, [4, 7]],
  ])("%s picks the requests by their number", (_name, condition, expected) => {
    expect(answered({ ...condition, ...hang })).toEqual(expected);
  });

  it("ratio picks by chance, and only what it picked counts as used", () => {
    const dice = [0.1, 0.9, 0.49, 0.5];
    expect(answered({ ratio: 0.5, times: 2, ...hang }, 4, () => dice.shift() ?? 1)).toEqual([1, 3]);
  });

  it("the first rule that matches answers; a used-up one makes room", () => {
    const script = new Script();
    const ids = script.add({ times: 1, answer: { kind: "close" } }, hang);
    expect(ids).toEqual([1, 2]);
    expect(script.match(push)?.answer?.kind).toBe("close");
    expect(script.match(push)?.answer?.kind).toBe("hang");
    expect(script.list()).toEqual([{ id: 2, rule: hang, used: 1 }]);
    expect(script.remove(2)).toBe(true);
    expect(script.remove(2)).toBe(false);
    expect(script.match(push)).toBeUndefined();
  });

  it("a rule without upstream leaves OAuth alone", () => {
    const script = new Script();
    script.add(hang);
    expect(script.match({ upstream: "oauth" })).toBeUndefined();
    script.add({ upstream: "oauth", answer: { kind: "close" } });
    expect(script.match({ upstream: "oauth" })?.answer?.kind).toBe("close");
  });

  it("the documented prefixes answer when they are on, behind the rules", () => {
    const dead = { upstream: "apns", token: "dead01" } as const;
    expect(new Script().match(dead)).toBeUndefined();
    const script = new Script({ tokenPrefixes: true });
    expect(script.match(dead)?.answer).toEqual({ kind: "error", reason: "Unregistered" });
    expect(script.match({ upstream: "fcm", token: "dead-phone" })?.answer).toEqual({
      kind: "error",
      reason: "UNREGISTERED",
    });
    expect(script.match({ upstream: "fcm", token: "alive" })).toBeUndefined();
    script.add(hang);
    expect(script.match(dead)?.answer?.kind).toBe("hang");
  });

  it("every documented APNs prefix is whole bytes of hex, and no prefix hides another", () => {
    for (const upstream of ["apns", "fcm"] as const) {
      const all = tokenPrefixes.map((prefix) => prefix[upstream]);
      for (const one of all) expect(all.filter((other) => other.startsWith(one))).toEqual([one]);
    }
    for (const { apns } of tokenPrefixes) expect(apns).toMatch(/^(?:[0-9a-f]{2})+$/);
  });

  it("delays are fixed, even, or log-normal", () => {
    const script = new Script({ random: () => 0.5 });
    expect(script.delayMs(20)).toBe(20);
    expect(script.delayMs({ minMs: 10, maxMs: 30 })).toBe(20);
    expect(script.delayMs({ medianMs: 0, p99Ms: 10 })).toBe(0);
    const spread = new Script();
    const sample = Array.from({ length: 4000 }, () => spread.delayMs({ medianMs: 50, p99Ms: 500 })).sort(
      (a, b) => a - b,
    );
    expect(sample[2000]).toBeGreaterThan(40);
    expect(sample[2000]).toBeLessThan(63);
    expect(sample[3960]).toBeGreaterThan(300);
    expect(sample[3960]).toBeLessThan(850);
  });
});
