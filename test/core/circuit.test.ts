import { Circuit } from "../../src/core/circuit.ts";
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
