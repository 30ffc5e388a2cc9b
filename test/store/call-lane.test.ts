import { createGate } from "../../src/store/call-gate.ts";
import type { Gate } from "../../src/store/call-gate.ts";
import { createLane } from "../../src/store/call-lane.ts";
import { StoreError } from "../../src/store/store.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const clock = createFakeClock();
let refusal: StoreError | undefined;
let silences: number;
let gate: Gate;
/** The batches in the order in which they ran, and what lets the next ones end. */
let batches: string[][];
let letGo: (() => void)[];

beforeEach(() => {
  refusal = undefined;
  silences = 0;
  batches = [];
  letGo = [];
  gate = createGate({
    clock,
    deadlineMs: 2000,
    maxWaiting: 5,
    refusal: () => refusal,
    onSilence: () => (silences += 1),
  });
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const unavailable = { name: "StoreError", code: "unavailable" };

/** Answers in capitals; what starts with "bad" fails its batch. */
function lane(hold: boolean): (text: string) => Promise<string> {
  return createLane<string, string>({
    gate,
    maxBatch: 3,
    touches: (text) => [text.slice(-1)],
    async run(batch) {
      batches.push([...batch]);
      if (hold) await new Promise<void>((resolve) => letGo.push(resolve));
      if (batch.some((text) => text.startsWith("bad"))) throw new StoreError("internal", "bad");
      return batch.map((text) => text.toUpperCase());
    },
  });
}

it("runs the calls of one turn together, in their order, and gives each its own result", async () => {
  const ask = lane(false);
  expect(await Promise.all(["a", "b", "c", "d"].map(ask))).toEqual(["A", "B", "C", "D"]);
  expect(batches).toEqual([["a", "b", "c"], ["d"]]);
});

it("collects what comes while a batch is under way", async () => {
  const ask = lane(true);
  const first = ask("a");
  await turn();
  const rest = [ask("b"), ask("c")];
  await turn();
  expect(batches).toEqual([["a"]]);
  letGo.shift()?.();
  expect(await first).toBe("A");
  await turn();
  letGo.shift()?.();
  expect(await Promise.all(rest)).toEqual(["B", "C"]);
  expect(batches).toEqual([["a"], ["b", "c"]]);
});

it("keeps two that touch the same apart, and does not overtake", async () => {
  const ask = lane(false);
  await Promise.all(["1a", "2a", "b"].map(ask));
  expect(batches).toEqual([["1a"], ["2a", "b"]]);
});

it("fails the bad one alone", async () => {
  const ask = lane(false);
  const results = await Promise.allSettled(["a", "bad b", "c"].map(ask));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

it("ends a call at its deadline, forgets it when it has not begun, and says that it was silent", async () => {
  const ask = lane(true);
  const first = ask("a");
  await turn();
  await clock.advance(1500);
  const second = ask("b");
  const [one] = await Promise.allSettled([first, clock.advance(500)]);
  expect(one).toMatchObject({ status: "rejected", reason: unavailable });
  expect(silences).toBe(1);
  const [two] = await Promise.allSettled([second, clock.advance(1500)]);
  expect(two).toMatchObject({ status: "rejected", reason: unavailable });
  letGo.shift()?.();
  await turn();
  expect(batches).toEqual([["a"]]);
});

it("lets no more wait than it may, and none in while it would be in vain", async () => {
  const ask = lane(false);
  const calls = Array.from({ length: 5 }, (_, i) => ask(`${i}`));
  await expect(ask("x")).rejects.toMatchObject(unavailable);
  await Promise.all(calls);
  refusal = new StoreError("unavailable", "away");
  await expect(ask("x")).rejects.toBe(refusal);
});

it("closes when the last call is settled, and lets none in meanwhile", async () => {
  const ask = lane(true);
  const last = ask("a");
  let closed = false;
  const closing = gate.close().then(() => (closed = true));
  await expect(ask("b")).rejects.toMatchObject({ code: "closed" });
  await turn();
  expect(closed).toBe(false);
  letGo.shift()?.();
  expect(await last).toBe("A");
  await closing;
});
