import { DedupeMemory } from "../../src/core/dedupe.ts";
import { Digests } from "../../src/core/digest.ts";
import { jsonAnswer, type Answer } from "../../src/http/answer.ts";
import { HttpError } from "../../src/http/errors.ts";
import { Idempotency, type Concluded, type KeyedRequest } from "../../src/http/idempotency.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const HOUR_MS = 3_600_000;
const clock = createFakeClock();

/** A memory over a store that outlives it, as after a restart. */
function open(store = openMemoryStore()) {
  const dedupe = new DedupeMemory(store.dedupe, clock, 24 * HOUR_MS);
  const digests = new Digests(store.installationKey);
  return { store, dedupe, memory: new Idempotency(dedupe, digests, clock, 24 * HOUR_MS) };
}

const request = (overrides: Partial<KeyedRequest> = {}): KeyedRequest => ({
  credential: "key-of-a-pbx",
  path: "/pnm2/send",
  key: "order-17",
  body: "{}",
  ...overrides,
});

/** Work that counts how often it is done. */
function counting(isFinal = true): { work: () => Promise<Concluded>; done: () => number } {
  let done = 0;
  return {
    done: () => done,
    work: () => {
      done += 1;
      return Promise.resolve({ answer: jsonAnswer(200, { n: done }), isFinal });
    },
  };
}
const said = (answer: Answer | HttpError): string =>
  answer instanceof HttpError ? answer.code : answer.body;

describe("an Idempotency-Key", () => {
  it("makes the same request once, and answers the repeat alike with a header that says so", async () => {
    const { memory } = open();
    const { work, done } = counting();
    const first = await memory.run(request(), work);
    const second = await memory.run(request(), work);
    expect([said(first), said(second), done()]).toEqual(['{"n":1}', '{"n":1}', 1]);
    expect(first).not.toHaveProperty("headers");
    expect(second).toMatchObject({ headers: { "Idempotent-Replayed": "true" } });
  });

  it("is shared while the first is under way", async () => {
    const { memory } = open();
    const { work, done } = counting();
    const all = await Promise.all(Array.from({ length: 50 }, () => memory.run(request(), work)));
    expect(new Set(all.map(said))).toEqual(new Set(['{"n":1}']));
    expect(done()).toBe(1);
  });

  it.each<[string, Partial<KeyedRequest>, string]>([
    ["another body is refused", { body: '{"a":1}' }, "idempotency-key-reused"],
    ["another credential is another request", { credential: "another" }, '{"n":2}'],
    ["another path is another request", { path: "/api/push/events" }, '{"n":2}'],
    ["another key is another request", { key: "order-18" }, '{"n":2}'],
  ])("with %s", async (_what, change, expected) => {
    const { memory } = open();
    const { work } = counting();
    await memory.run(request(), work);
    expect(said(await memory.run(request(change), work))).toBe(expected);
    expect(said(await memory.run(request(), work))).toBe('{"n":1}');
  });

  it("with another body is refused also while the first is under way", async () => {
    const { memory } = open();
    const { work } = counting();
    const first = memory.run(request(), work);
    expect(said(await memory.run(request({ body: "[]" }), work))).toBe("idempotency-key-reused");
    expect(said(await first)).toBe('{"n":1}');
  });

  it("of a request that was not final is tried again, and still bound to its body", async () => {
    const { memory } = open();
    const { work } = counting(false);
    expect(said(await memory.run(request(), work))).toBe('{"n":1}');
    expect(said(await memory.run(request(), work))).toBe('{"n":2}');
    expect(said(await memory.run(request({ body: "[]" }), work))).toBe("idempotency-key-reused");
  });

  it("of a refused request binds nothing", async () => {
    const { memory } = open();
    const { work } = counting();
    const refusing = (): Promise<HttpError> => Promise.resolve(new HttpError("not-json"));
    expect(said(await memory.run(request(), refusing))).toBe("not-json");
    expect(said(await memory.run(request({ body: "[]" }), work))).toBe('{"n":1}');
  });

  it("is bound to its body over an orderly restart", async () => {
    const { dedupe, memory, store } = open();
    const { work, done } = counting();
    await memory.run(request(), work);
    await dedupe.keepAll();
    const after = open(store).memory;
    expect(said(await after.run(request({ body: "[]" }), work))).toBe("idempotency-key-reused");
    expect(said(await after.run(request(), work))).toBe('{"n":2}');
    expect(done()).toBe(2);
  });

  it("is forgotten after a day", async () => {
    const { memory } = open();
    const { work } = counting();
    await memory.run(request(), work);
    await clock.advance(24 * HOUR_MS + 1);
    expect(said(await memory.run(request({ body: "[]" }), work))).toBe('{"n":2}');
  });

  it("takes bounded memory: the oldest answers go", async () => {
    const { memory } = open();
    const body = "x".repeat(1024 * 1024);
    let done = 0;
    const work = (): Promise<Concluded> => {
      done += 1;
      return Promise.resolve({ answer: { status: 200, body }, isFinal: true });
    };
    for (let i = 0; i < 9; i += 1) await memory.run(request({ key: `k${i}` }), work);
    await memory.run(request({ key: "k8" }), work);
    expect(done).toBe(9);
    await memory.run(request({ key: "k0" }), work);
    expect(done).toBe(10);
  });
});
