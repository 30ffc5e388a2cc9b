import { silentObserver } from "../../src/core/observer.ts";
import type { Settled } from "../../src/core/outcome.ts";
import { History } from "../../src/explain/history.ts";
import type { Outcomes, PastOutcome } from "../../src/store/store.ts";
import { push } from "../support/builders.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const DEVICE = "ab".repeat(32);

function setUp(options: { shared?: boolean } = {}) {
  const clock = createFakeClock();
  const puts: (readonly PastOutcome[])[] = [];
  const outcomes: Outcomes = {
    shared: options.shared ?? false,
    async put(rows) {
      puts.push(rows);
    },
    find: async () => [],
  };
  const history = new History({
    outcomes,
    digests: { device: (app, pushkey) => `${app}/${pushkey}`, event: (id) => `event ${id}` },
    clock,
    bounds: () => ({ keepMs: 1_000, maxRows: 10 }),
  });
  const settle = (settled: Settled, attempts = 1, made = push()): string => {
    history.observer.settled({
      app: "app",
      pushkin: "apns",
      push: made,
      requestId: "request",
      device: DEVICE,
      settled,
      durationMs: 1,
      attempts,
    });
    return made.id;
  };
  return { clock, history, puts, settle, rows: () => puts.flat() };
}

describe("History", () => {
  it("writes nothing at all for ten thousand delivered pushes, and knows them", async () => {
    const { clock, history, puts, settle } = setUp();
    let last = "";
    for (let i = 0; i < 10_000; i += 1) last = settle({ kind: "delivered" });
    await clock.advance(60_000);
    expect(puts).toEqual([]);
    expect(await history.find({ id: last }, 5)).toMatchObject([
      { push: last, kind: "delivered", device: DEVICE, request: "request", event: "event $e" },
    ]);
    expect(await history.find({ devices: [DEVICE] }, 5)).toHaveLength(5);
    await history.stop();
  });

  it("writes deliveries at an orderly stop", async () => {
    const { history, rows, settle } = setUp();
    const ids = [settle({ kind: "delivered" }), settle({ kind: "delivered" })];
    await history.stop();
    expect(rows().map((row) => row.push)).toEqual(ids);
  });

  it("writes the delivery of what a process before it had promised", async () => {
    const { clock, history, rows } = setUp();
    const made = push();
    const told = { app: "app", pushkin: "apns", facts: made, device: DEVICE, attempts: 3 };
    history.observer.concluded({ ...told, outcome: { kind: "delivered" } });
    await clock.advance(5_000);
    expect(rows()).toMatchObject([{ push: made.id, kind: "delivered", attempts: 3 }]);
  });

  it("writes deliveries in batches where replicas share a store", async () => {
    const { clock, puts, settle } = setUp({ shared: true });
    for (let i = 0; i < 1_500; i += 1) settle({ kind: "delivered" });
    expect(puts).toEqual([]);
    await clock.advance(5_000);
    expect(puts.map((rows) => rows.length)).toEqual([1_000, 500]);
  });

  it("writes what did not go well within five seconds, the state of a push once", async () => {
    const { clock, history, rows, settle } = setUp();
    const rejected = settle({
      kind: "rejected",
      reason: "unregistered",
      answer: { status: 410, reason: "Unregistered" },
    });
    const made = push();
    const promised = settle({ kind: "accepted", because: { kind: "retryable", reason: "timeout" } }, 1, made);
    const told = { app: "app", pushkin: "apns", facts: made, device: DEVICE };
    history.observer.postponed({ ...told, outcome: { kind: "retryable", reason: "connect" }, attempts: 2 });
    expect(rows()).toEqual([]);
    await clock.advance(5_000);
    expect(rows()).toMatchObject([
      { push: rejected, kind: "rejected", reason: "unregistered", status: 410, answer: "Unregistered" },
      {
        push: promised,
        kind: "accepted",
        reason: "connect",
        attempts: 2,
        request: "request",
        event: "event $e",
      },
    ]);
    history.observer.concluded({ ...told, outcome: { kind: "delivered" }, attempts: 3 });
    await clock.advance(5_000);
    expect(rows().at(-1)).toMatchObject({ push: promised, kind: "delivered", request: "request" });
    await history.stop();
  });

  it("writes no more than a hundred of a kind in five seconds of what strangers can make by the thousand", async () => {
    const { clock, history, rows, settle } = setUp();
    for (let i = 0; i < 5_000; i += 1) settle({ kind: "rejected", reason: "unknown-app" }, 0);
    for (let i = 0; i < 100; i += 1) settle({ kind: "dropped", reason: "duplicate" }, 0);
    for (let i = 0; i < 101; i += 1) settle({ kind: "rejected", reason: "known-dead" }, 0);
    settle({ kind: "rejected", reason: "bad-token" }, 1);
    await clock.advance(5_000);
    expect(rows().map(({ reason }) => reason)).toEqual([
      ...Array<string>(100).fill("unknown-app"),
      ...Array<string>(100).fill("known-dead"),
      "bad-token",
    ]);
    await history.stop();
  });

  it("remembers a bounded number of pushes, deliveries not pushed out by what strangers make", async () => {
    const { history, settle } = setUp();
    const kept = settle({ kind: "delivered" });
    for (let i = 0; i < 40_000; i += 1) settle({ kind: "rejected", reason: "unknown-app" }, 0);
    expect(await history.find({ id: kept }, 1)).toHaveLength(1);
    expect(await history.find({ devices: [DEVICE] }, 100_000)).toHaveLength(32_768 + 1);
    await history.stop();
  });

  it("goes on when the store does not take it", async () => {
    const clock = createFakeClock();
    const history = new History({
      outcomes: { shared: false, put: () => Promise.reject(new Error("full")), find: async () => [] },
      digests: { device: () => DEVICE, event: () => DEVICE },
      clock,
      bounds: () => ({ keepMs: 1, maxRows: 1 }),
    });
    const made = push();
    history.observer.settled({
      ...silentObserver,
      push: made,
      device: "",
      settled: { kind: "rejected", reason: "unknown-app" },
      durationMs: 0,
      attempts: 0,
    });
    await clock.advance(10_000);
    expect(await history.find({ id: made.id }, 1)).toHaveLength(1);
    await history.stop();
  });

  it("notes of a promised push that a newer one took its place, with the event and request that it had", async () => {
    const { clock, history, rows, settle } = setUp();
    const ids = Array.from({ length: 150 }, () =>
      settle({ kind: "accepted", because: { kind: "retryable", reason: "overloaded" } }, 0),
    );
    await clock.advance(5_000);
    for (const id of ids)
      history.observer.superseded({ app: "app", pushkin: "apns", device: DEVICE, push: id, attempts: 0 });
    const [first = ""] = ids;
    expect(await history.find({ id: first }, 5)).toMatchObject([
      { kind: "dropped", reason: "superseded", request: "request", event: "event $e" },
    ]);
    await clock.advance(5_000);
    expect(rows().filter(({ reason }) => reason === "superseded")).toHaveLength(150);
    await history.stop();
  });
});
