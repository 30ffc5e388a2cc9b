import { Circuit, policyForOneOf, type SharedProbe } from "../../src/core/circuit.ts";
import { createFakeClock } from "../support/fake-clock.ts";

function setUp() {
  const clock = createFakeClock();
  return { clock, circuit: new Circuit(clock, () => 0.5) };
}

describe("Circuit", () => {
  it("opens after five failures in a row, not after four", () => {
    const { circuit } = setUp();
    for (let i = 0; i < 4; i += 1) circuit.failed();
    expect(circuit.ask()).toBe("closed");
    circuit.succeeded();
    for (let i = 0; i < 4; i += 1) circuit.failed();
    expect(circuit.isOpen).toBe(false);
    circuit.failed();
    expect(circuit.ask()).toBe("open");
  });

  it("opens when half of at least twenty failed within ten seconds", async () => {
    const { circuit, clock } = setUp();
    for (let i = 0; i < 9; i += 1) {
      circuit.failed();
      circuit.succeeded();
    }
    expect(circuit.isOpen).toBe(false);
    circuit.succeeded();
    circuit.failed();
    expect(circuit.isOpen).toBe(true);

    const old = new Circuit(clock, () => 0.5);
    for (let i = 0; i < 9; i += 1) {
      old.failed();
      old.succeeded();
    }
    await clock.advance(10_001);
    for (let i = 0; i < 4; i += 1) old.failed();
    expect(old.isOpen).toBe(false);
  });

  it("lets one probe through every five seconds, and no second one beside it", async () => {
    const { circuit, clock } = setUp();
    circuit.trip();
    expect(circuit.ask()).toBe("open");
    await clock.advance(4_999);
    expect(circuit.ask()).toBe("open");
    await clock.advance(1);
    expect(circuit.ask()).toBe("probe");
    expect(circuit.ask()).toBe("open");
    circuit.failed();
    expect(circuit.ask()).toBe("open");
    expect(circuit.nextProbeInMs).toBe(5_000);
    await clock.advance(5_000);
    expect(circuit.ask()).toBe("probe");
    circuit.probeIsOver();
    expect(circuit.ask()).toBe("probe");
  });

  it.each([
    [0, 4_000],
    [0.999_999, 6_000],
  ])("spreads probes by a fifth: random %d, after %d ms", (random, afterMs) => {
    const circuit = new Circuit(createFakeClock(), () => random);
    circuit.trip();
    expect(circuit.nextProbeInMs).toBeCloseTo(afterMs, 0);
  });

  it("closes with the first success, and counts anew", async () => {
    const { circuit, clock } = setUp();
    circuit.trip();
    await clock.advance(5_000);
    circuit.ask();
    circuit.succeeded();
    expect(circuit.ask()).toBe("closed");
    expect(circuit.closedAtMs).toBe(clock.monotonic());
    for (let i = 0; i < 4; i += 1) circuit.failed();
    expect(circuit.isOpen).toBe(false);
  });
});

describe("circuits of several threads for one upstream", () => {
  function twoThreads() {
    const clock = createFakeClock();
    let probeMs = -Infinity;
    let closedMs: number | undefined;
    const shared: SharedProbe = {
      take(everyMs) {
        if (clock.monotonic() < probeMs + everyMs) return false;
        probeMs = clock.monotonic();
        return true;
      },
      waitMs: () => 0,
      closed: () => (closedMs = clock.monotonic()),
      closedAgoMs: () => (closedMs === undefined ? undefined : clock.monotonic() - closedMs),
    };
    const make = (): Circuit => new Circuit(clock, () => 0.5, policyForOneOf(2), shared);
    return { clock, one: make(), other: make() };
  }

  it("open after their share of the failures that one thread allows", () => {
    const { one, other } = twoThreads();
    for (let i = 0; i < 2; i += 1) one.failed();
    expect(one.isOpen).toBe(false);
    one.failed();
    expect([one.isOpen, other.isOpen]).toEqual([true, false]);
    // One failure alone says nothing, however many threads there are.
    expect(policyForOneOf(64)).toMatchObject({ failuresInARow: 2, minimum: 2 });
  });

  it("send one probe between them", async () => {
    const { clock, one, other } = twoThreads();
    one.trip();
    other.trip();
    await clock.advance(5_000);
    expect([one.ask(), other.ask()]).toEqual(["probe", "open"]);
    await clock.advance(5_000);
    expect([other.ask(), one.ask()]).toEqual(["probe", "open"]);
  });

  it("close together when one of them is answered, and not by an answer from before they opened", async () => {
    const { clock, one, other } = twoThreads();
    one.trip();
    other.trip();
    await clock.advance(5_000);
    expect(one.ask()).toBe("probe");
    one.succeeded();
    await clock.advance(1);
    expect([one.ask(), other.ask()]).toEqual(["closed", "closed"]);
    await clock.advance(1);
    other.trip();
    expect([one.ask(), other.ask()]).toEqual(["closed", "open"]);
  });
});
