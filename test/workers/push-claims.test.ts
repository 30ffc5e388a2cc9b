import { SharedPushClaims } from "../../src/workers/push-claims.ts";
import { digestOf, SharedTable, tableMemory } from "../../src/workers/shared-table.ts";

const key = digestOf("a push");

/** The claims of two threads at a time that can be moved. */
function claims(): {
  one: SharedPushClaims;
  other: SharedPushClaims;
  time: { ms: number };
  readonly end: () => void;
} {
  const memory = tableMemory(1_024);
  const time = { ms: 1_000 };
  const of = (thread: number): SharedPushClaims =>
    new SharedPushClaims(
      new SharedTable(memory, thread),
      () => time.ms,
      () => Promise.resolve(undefined),
    );
  return { one: of(0), other: of(1), time, end: () => new SharedTable(memory, 0).abandon(1) };
}

describe("the claim to a push", () => {
  it("is one thread's until it gives it back as often as it took it", () => {
    const { one, other } = claims();
    expect(one.take(key)).toBe("ours");
    expect(other.take(key)).toBe(0);
    expect(one.take(key)).toBe("ours");
    one.release(key);
    expect(other.take(key)).toBe(0);
    expect([one.isOurs(key), other.isOurs(key)]).toEqual([true, false]);
    one.release(key);
    expect(one.isOurs(key)).toBe(false);
    expect(other.take(key)).toBe("ours");
    expect(one.take(key)).toBe(1);
  });

  it("is not taken away by a release of another thread, or by one too many", () => {
    const { one, other } = claims();
    one.take(key);
    other.release(key);
    other.release(key);
    expect(other.take(key)).toBe(0);
  });

  it("is free when the thread that has it ends", () => {
    const { end, one, other } = claims();
    other.take(key);
    expect(one.take(key)).toBe(1);
    end();
    expect(one.take(key)).toBe("ours");
  });
});

describe("what has become of a push", () => {
  it("is known to every thread while it is remembered", () => {
    const { one, other, time } = claims();
    one.take(key);
    one.delivered(key, 5_000);
    one.release(key);
    expect(other.take(key)).toBe("delivered");
    expect([one.isDelivered(key), other.isDelivered(key)]).toEqual([true, true]);
    time.ms = 5_000;
    expect(other.isDelivered(key)).toBe(false);
    expect(other.take(key)).toBe("ours");
  });

  it("is a promise for whoever asks, and a promise kept is a delivery", () => {
    const { one, other } = claims();
    expect(other.isPromised(key)).toBe(false);
    one.promised(key);
    expect(other.isPromised(key)).toBe(true);
    expect(other.isDelivered(key)).toBe(false);
    expect(other.take(key)).toBe("ours");
    other.delivered(key, 9_000);
    expect(one.isDelivered(key)).toBe(true);
  });
});
