import { Hosts, type NoPlace, type Place } from "../../../src/pushkins/push-service/hosts.ts";
import type { GuardedOrigin } from "../../../src/upstream/guarded-origin.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const patient = new AbortController().signal;

function make(options: { readonly perHost?: number; readonly maxHosts?: number } = {}) {
  const destroyed: string[] = [];
  const hosts = new Hosts({ clock: createFakeClock(), perHost: options.perHost ?? 2, ...options });
  const open = (key: string) => (): GuardedOrigin => ({
    send: () => Promise.resolve({ kind: "refused" }),
    destroy: () => void destroyed.push(key),
  });
  const enter = (key: string, signal = patient): Promise<Place | NoPlace> =>
    hosts.enter(key, open(key), signal);
  const place = async (key: string): Promise<Place> => {
    const got = await enter(key);
    if (got.kind !== "place") throw new Error(got.kind);
    return got;
  };
  return { hosts, enter, place, destroyed };
}

describe("the places at push services", () => {
  it("are bounded for each host, and given in turn", async () => {
    const { hosts, enter, place } = make();
    const first = await place("a");
    await place("a");
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (each) => {
      const got = await enter("a");
      order.push(each);
      return got;
    });
    expect(hosts.waiting).toBe(3);
    // Another host's are its own.
    (await place("b")).leave(true);
    first.leave(true);
    const second = await waiting[0];
    expect(order).toEqual([1]);
    if (second?.kind !== "place") throw new Error("no place");
    second.leave(true);
    await waiting[1];
    expect(order).toEqual([1, 2]);
    expect(hosts.waiting).toBe(1);
  });

  it("are refused at once when too many wait", async () => {
    const { enter, place, hosts } = make();
    await place("a");
    await place("a");
    for (let i = 0; i < 8; i += 1) void enter("a");
    expect(hosts.waiting).toBe(8);
    expect(await enter("a")).toEqual({ kind: "overloaded" });
    expect((await enter("b")).kind).toBe("place");
  });

  it("are not waited for after an abort, and the turn goes to the next", async () => {
    const { enter, place, hosts } = make({ perHost: 1 });
    const held = await place("a");
    const abort = new AbortController();
    const called = enter("a", abort.signal);
    const next = enter("a");
    abort.abort();
    expect(await called).toEqual({ kind: "aborted" });
    held.leave(false);
    expect((await next).kind).toBe("place");
    expect(hosts.waiting).toBe(0);
  });

  it("hosts that never took a push hold 128 together, however many they are; proven ones are not counted", async () => {
    const { enter, place } = make();
    (await place("proven")).leave(true);
    const places = await Promise.all(Array.from({ length: 128 }, (_, i) => place(`h${i}`)));
    expect(await enter("one-more")).toEqual({ kind: "overloaded" });
    expect((await enter("proven")).kind).toBe("place");
    places[0]?.leave(false);
    expect((await enter("one-more")).kind).toBe("place");
  });

  it("a turn that comes with an abort is not lost", async () => {
    const { enter, place } = make({ perHost: 1 });
    const held = await place("a");
    const abort = new AbortController();
    const called = enter("a", abort.signal);
    const next = enter("a");
    held.leave(true);
    abort.abort();
    expect(await called).toEqual({ kind: "aborted" });
    expect((await next).kind).toBe("place");
  });

  it("know whether a host has taken a push", async () => {
    const { place } = make();
    const first = await place("a");
    expect(first.isProven).toBe(false);
    first.leave(true);
    expect((await place("a")).isProven).toBe(true);
  });

  it("of very many hosts the least used is forgotten with its connections, never one at work", async () => {
    const { hosts, place, destroyed } = make({ maxHosts: 3 });
    const busy = await place("busy");
    (await place("old")).leave(true);
    (await place("newer")).leave(true);
    (await place("newest")).leave(true);
    expect(destroyed).toEqual(["old"]);
    for (let i = 0; i < 50; i += 1) (await place(`x${i}`)).leave(false);
    expect(hosts.size).toBe(3);
    expect(destroyed).not.toContain("busy");
    busy.leave(true);
    hosts.destroy();
    expect(destroyed).toContain("busy");
  });
});
