import { Canceller, signalOf } from "../src/cancellation.ts";

describe("Canceller", () => {
  it("tells each listener once, function or object", () => {
    const canceller = new Canceller();
    const told: string[] = [];
    const listener = { handleEvent: () => told.push("object") };
    canceller.addEventListener("abort", () => told.push("function"));
    canceller.addEventListener("abort", listener);
    canceller.addEventListener("abort", listener);
    expect(canceller.aborted).toBe(false);
    canceller.abort();
    canceller.abort();
    expect(canceller.aborted).toBe(true);
    expect(told).toEqual(["function", "object"]);
  });

  it("does not tell who does not listen any more", () => {
    const canceller = new Canceller();
    let told = 0;
    const listener = (): void => void (told += 1);
    canceller.addEventListener("abort", listener);
    canceller.removeEventListener("abort", listener);
    canceller.removeEventListener("abort", listener);
    canceller.abort();
    expect(told).toBe(0);
  });
});

describe("signalOf", () => {
  it("gives a real signal as it is", () => {
    const { signal } = new AbortController();
    expect(signalOf(signal)).toBe(signal);
  });

  it("makes a real one that aborts with the cancellation, or has been", () => {
    const canceller = new Canceller();
    const signal = signalOf(canceller);
    expect(signal).toBeInstanceOf(AbortSignal);
    expect(signal.aborted).toBe(false);
    canceller.abort();
    expect(signal.aborted).toBe(true);
    expect(signalOf(canceller).aborted).toBe(true);
  });
});
