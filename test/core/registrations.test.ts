import { createEngine, type Engine } from "../../src/core/engine.ts";
import { Guard } from "../../src/core/guard.ts";
import { InFlight } from "../../src/core/in-flight.ts";
import { silentObserver } from "../../src/core/observer.ts";
import type { Outcome, Settled } from "../../src/core/outcome.ts";
import type { Pushkin } from "../../src/core/pushkin.ts";
import type { Reported } from "../../src/core/registrations.ts";
import { silentLog } from "../../src/log.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { push } from "../support/builders.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const messages: Reported = { kind: "messages", appId: "com.example.app", pushkey: "token" };
const calls: Reported = { kind: "calls", appId: "com.example.app.pushkit", pushkey: "call token" };

let clock: FakeClock;
let store: Store;
let engine: Engine;
/** What the upstream says of every push. */
let outcome: Outcome;
let alarms: string[];

function start(maxDevices?: number): void {
  const pushkin: Pushkin = {
    name: "com.example.*",
    type: "apns",
    fingerprint: "f",
    render: ({ pushkey }) => ({ body: "{}", to: pushkey }),
    attempt: async () => ({ outcome }),
    waiting: () => 0,
    upstreamOf: () => "api.push.example",
    async close() {},
  };
  const guard = new Guard({
    app: pushkin.name,
    fingerprint: "f",
    policy: undefined,
    known: undefined,
    clock,
    store: store.knownApps,
    onStoreError: () => {},
  });
  engine = createEngine({
    apps: new Map([[pushkin.name, { name: pushkin.name, pushkin, guard, inFlight: new InFlight(512) }]]),
    store,
    known: [],
    observer: { ...silentObserver, alarm: ({ alarm }) => void alarms.push(alarm) },
    clock,
    log: silentLog,
    random: () => 0.5,
    keepRejectionsMs: 30 * DAY_MS,
    dedupeForMs: DAY_MS,
    caps: { maxRows: 9, maxBytes: 9999, maxAppRows: 9, maxAppBytes: 9999 },
    ...(maxDevices === undefined ? {} : { maxDevices }),
  });
}

beforeEach(() => {
  clock = createFakeClock();
  store = openMemoryStore();
  outcome = { kind: "delivered" };
  alarms = [];
  start();
});

const report = (owner: string, selector: string, ...devices: readonly Reported[]): Promise<string> =>
  engine.registrations.report({ owner, selector, devices });
const pushkeysOf = async (owner: string): Promise<readonly string[]> =>
  (await engine.audience.ofOwner(owner)).map(({ pushkey }) => pushkey);

/** Sends to all of an owner's devices, or to a token whose last report the sender does not know. */
async function send(owner: string): Promise<readonly Settled[]> {
  const devices = await engine.audience.ofOwner(owner);
  const pushes = devices.map((device) =>
    push({ ...device, receivedAtMs: clock.now(), expiresAtMs: clock.now() + 1e6 }),
  );
  return dispatch(pushes);
}
const dispatch = (pushes: readonly ReturnType<typeof push>[]): Promise<readonly Settled[]> =>
  engine.dispatcher.dispatch(pushes, {
    requestId: "r",
    answerByMs: clock.monotonic() + 5000,
    callerGone: new AbortController().signal,
  });

describe("the audience", () => {
  it("is the messages pair of each selector where there is one, else the calls pair", async () => {
    await report("alice", "S:1", messages, calls);
    await report("alice", "S:2", { ...calls, pushkey: "other phone" });
    expect(await pushkeysOf("alice")).toEqual(["token", "other phone"]);
    expect(await engine.audience.ofSelector("S:2")).toEqual([
      {
        owner: "alice",
        selector: "S:2",
        appId: "com.example.app.pushkit",
        pushkey: "other phone",
        pushkeyTsMs: clock.now(),
      },
    ]);
  });

  it("is every device of the registry, with its environment", async () => {
    await report("alice", "S:1", messages);
    const devices: readonly Reported[] = [
      { kind: "registry", appId: "com.example.app", pushkey: "a", sandbox: true },
      { kind: "registry", appId: "com.example.app", pushkey: "b", sandbox: false },
    ];
    await engine.registrations.report({ owner: "alice", devices });
    expect(await engine.audience.ofOwner("alice")).toMatchObject([
      { pushkey: "token" },
      { pushkey: "a", environment: "sandbox" },
      { pushkey: "b", environment: "production" },
    ]);
    expect((await engine.audience.ofOwner("alice"))[0]).not.toHaveProperty("environment");
  });

  it("has one phone once, as its latest report knows it", async () => {
    await report("alice", "S:1", messages);
    await clock.advance(5);
    await report("alice", "S:2", messages);
    await clock.advance(5);
    const devices: readonly Reported[] = [{ ...messages, kind: "registry", sandbox: true }];
    await engine.registrations.report({ owner: "alice", devices });
    expect(await engine.audience.ofOwner("alice")).toMatchObject([
      { environment: "sandbox", pushkeyTsMs: clock.now() },
    ]);
  });

  it("leaves out what nobody serves, then the calls pair stands in", async () => {
    await report("alice", "S:1", messages, calls);
    const removed = { ...messages, appId: "org.example.removed", device: "ab".repeat(32) };
    await store.devices.report({
      owner: "alice",
      selector: "S:1",
      nowMs: clock.now(),
      devices: [removed],
      mayTakeSelector: false,
      maxPerOwner: 9,
    });
    expect(await pushkeysOf("alice")).toEqual(["call token"]);
  });

  it.each([
    ["a bundle id", "T000000000.com.example.*", undefined, "com.example.*"],
    ["its topic for calls", "T000000000.com.example.*", "com.example.*.voip", "com.example.*.voip"],
    ["a topic that is another bundle's", "T000000000.com.example.*", "com.example.bank", "com.example.*"],
    ["a topic that Apple does not know", "T000000000.com.example.*", "com.example.*.x", "com.example.*"],
    ["no bundle id", undefined, "com.example.*.voip", undefined],
  ])("of %s gives the topic that can be its own", async (_what, applicationId, apnsTopic, expected) => {
    const device: Reported = {
      kind: "registry",
      // The key itself: for a name that a glob matches the app's own topic counts.
      appId: "com.example.*",
      pushkey: "a",
      ...(applicationId === undefined ? {} : { applicationId }),
      ...(apnsTopic === undefined ? {} : { apnsTopic }),
    };
    await engine.registrations.report({ owner: "alice", devices: [device] });
    await engine.registrations.report({
      owner: "alice",
      devices: [{ ...device, appId: "com.example.b", pushkey: "b" }],
    });
    const found = await engine.audience.ofOwner("alice");
    expect(found.map((each) => each.apnsTopic)).toEqual([expected, undefined]);
  });

  it("of a selector may be asked for one owner's alone", async () => {
    await report("alice", "S:1", messages);
    expect(await engine.audience.ofSelector("S:1", "alice")).toHaveLength(1);
    expect(await engine.audience.ofSelector("S:1", "bob")).toEqual([]);
  });
});

describe("a rejected token", () => {
  const gone: Outcome = { kind: "rejected", reason: "unregistered", answer: { status: 410 } };

  it("leaves the registry, and a newer report brings it back, also for who does not know of the report", async () => {
    await report("alice", "S:1", messages, calls);
    outcome = gone;
    expect(await send("alice")).toEqual([gone]);
    expect((await engine.registrations.list("alice")).map(({ kind }) => kind)).toEqual(["calls"]);
    const direct = push({ appId: "com.example.app", pushkey: "token" });
    expect(await dispatch([direct])).toEqual([{ kind: "rejected", reason: "known-dead" }]);
    outcome = { kind: "delivered" };
    await report("alice", "S:1", messages);
    expect(await send("alice")).toEqual([outcome]);
    expect(await dispatch([{ ...direct, id: "again" }])).toEqual([outcome]);
  });

  it("stays when it was reported after the upstream's own time of the verdict", async () => {
    outcome = { ...gone, sinceMs: clock.now() - 1 };
    await report("alice", "S:1", messages);
    await send("alice");
    expect(await engine.registrations.list("alice")).toHaveLength(1);
    outcome = { ...gone, sinceMs: clock.now() };
    await report("alice", "S:1", messages);
    await send("alice");
    expect(await engine.registrations.list("alice")).toEqual([]);
  });

  it("that somebody else sent to leaves as well", async () => {
    await report("alice", "S:1", messages);
    outcome = gone;
    await dispatch([push({ appId: "com.example.app", pushkey: "token" })]);
    expect(await engine.registrations.list("alice")).toEqual([]);
  });
});

describe("registrations", () => {
  it("refuse another owner's selector, unless nobody's name is checked", async () => {
    expect(await report("alice", "S:1", messages)).toBe("stored");
    expect(await report("bob", "S:1", calls)).toBe("foreign-selector");
    const devices = [calls];
    expect(
      await engine.registrations.report({ owner: "bob", selector: "S:1", devices, isUnchecked: true }),
    ).toBe("stored");
    expect([await pushkeysOf("alice"), await pushkeysOf("bob")]).toEqual([[], ["call token"]]);
  });

  it("refuse more than there is room for, from a minute after it was filled", async () => {
    start(2);
    expect(await report("alice", "S:1", messages, calls)).toBe("stored");
    await clock.advance(60_000);
    expect(await report("bob", "S:2", messages)).toBe("full");
    expect(alarms).toEqual(["registry-full"]);
    await engine.registrations.remove("alice", { selector: "S:1" });
    await clock.advance(60_000);
    expect(await report("bob", "S:2", messages)).toBe("stored");
  });

  it("take a known device's new token where there is no room for another", async () => {
    start(2);
    const registered: Reported = { ...messages, kind: "registry" };
    await report("alice", "S:1", messages);
    await engine.registrations.report({ owner: "alice", devices: [registered] });
    await clock.advance(60_000);
    expect(await report("alice", "S:1", { ...messages, pushkey: "new" })).toBe("stored");
    expect(await engine.registrations.report({ owner: "alice", devices: [registered] })).toBe("stored");
    expect(await report("alice", "S:1", messages, calls)).toBe("full");
    expect(await report("alice", "S:2", messages)).toBe("full");
    const another: Reported = { ...registered, pushkey: "another" };
    expect(await engine.registrations.report({ owner: "alice", devices: [another] })).toBe("full");
    expect((await engine.registrations.list("alice")).map(({ pushkey }) => pushkey)).toEqual([
      "new",
      "token",
    ]);
  });

  it("are removed by the devices that were listed", async () => {
    await report("alice", "S:1", messages, calls);
    const [first] = await engine.registrations.list("alice");
    if (first === undefined) throw new Error("nothing listed");
    expect(await engine.registrations.remove("bob", { devices: [first] })).toBe(0);
    expect(await engine.registrations.remove("alice", { devices: [first] })).toBe(1);
    expect((await engine.registrations.list("alice")).map(({ kind }) => kind)).toEqual(["calls"]);
  });
});
