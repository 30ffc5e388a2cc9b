import { Refusals } from "../../src/explain/refusals.ts";
import { wordsForRefusal } from "../../src/explain/refusal-words.ts";
import type { HttpErrorCode } from "../../src/http/errors.ts";
import { createFakeClock } from "../support/fake-clock.ts";

let made = 0;

/** @param key fixed, so that the senders of these tests share no shelf by chance; none = drawn */
function setUp(...key: readonly string[]) {
  const refusals = new Refusals(createFakeClock(), ...key);
  const refuse = (source: string, code?: HttpErrorCode, status = 400): string => {
    made += 1;
    const requestId = `request-${made}`;
    refusals.observer.refused({
      requestId,
      source,
      method: "POST",
      path: "/path",
      status,
      ...(code === undefined ? {} : { code }),
    });
    return requestId;
  };
  return { refusals, refuse };
}

describe("Refusals", () => {
  it("knows a refused request by its id, and nothing of its sender", () => {
    const { refusals, refuse } = setUp("key");
    const id = refuse("192.0.2.1", "not-json");
    expect(refusals.find(id)).toEqual({
      request: id,
      atMs: expect.any(Number),
      status: 400,
      code: "not-json",
      method: "POST",
      path: "/path",
    });
    expect(refusals.find("request-0")).toBeUndefined();
  });

  it("remembers a sender's latest of each kind", () => {
    const { refusals, refuse } = setUp("key");
    const wrongKey = refuse("192.0.2.1", "unauthorized", 401);
    const [first = "", ...rest] = Array.from({ length: 33 }, () => refuse("192.0.2.1", "limited", 429));
    expect(refusals.find(first)).toBeUndefined();
    expect(rest.filter((id) => refusals.find(id) === undefined)).toEqual([]);
    expect(refusals.find(wrongKey)).toBeDefined();
  });

  it("lets no flood of one sender push out what others were refused", () => {
    const { refusals, refuse } = setUp("key");
    const others = Array.from({ length: 20 }, (_, i) => refuse(`192.0.2.${i}`, "not-json"));
    for (let i = 0; i < 20_000; i += 1) refuse("203.0.113.1", i % 2 === 0 ? "not-json" : "limited");
    expect(others.filter((id) => refusals.find(id) === undefined)).toEqual([]);
  });

  it("is bounded however many senders there are", () => {
    const { refusals, refuse } = setUp("key");
    for (let i = 0; i < 40_000; i += 1) refuse(`sender ${i}`, "not-json");
    expect(refusals.size).toBe(256 * 32);
  });

  it("draws anew at each start who shares a shelf", () => {
    const pushedOut = (...key: readonly string[]): readonly string[] => {
      const { refusals, refuse } = setUp(...key);
      const others = Array.from(
        { length: 2_000 },
        (_, i) => [`192.0.2.${i}`, refuse(`192.0.2.${i}`)] as const,
      );
      for (let i = 0; i < 100; i += 1) refuse("203.0.113.1");
      return others.flatMap(([source, id]) => (refusals.find(id) === undefined ? [source] : []));
    };
    const [one, other, drawn] = [pushedOut("one"), pushedOut("other"), pushedOut()];
    expect(one.length).toBeGreaterThan(0);
    expect(pushedOut("one")).toEqual(one);
    expect(other).not.toEqual(one);
    expect(drawn).not.toEqual(one);
  });
});

describe("the words for a refusal", () => {
  const refusal = { request: "r", atMs: 0, status: 400, method: "POST" };

  it("say what was wrong and what to do", () => {
    const { todo, what } = wordsForRefusal({ ...refusal, code: "too-many-devices" });
    expect(what).toBe(
      "The request was refused with 400 before any push was made of it: Too many devices in one request.",
    );
    expect(todo).toContain("limits.max_devices");
  });

  it("send on to the answer where a door has refused by one of its own", () => {
    expect(wordsForRefusal(refusal).what).toContain("the body of the answer told its sender why");
  });
});
