import { createHash, randomUUID } from "node:crypto";
import type {
  ClaimedEntry,
  FinalState,
  Lease,
  OutboxCaps,
  OutboxCounts,
  OutboxEntry,
  Store,
} from "../../src/store/store.ts";

/** How time passes for a store, and what it is meant for. */
export interface StoreTraits {
  /** Lets the store's own clock go on by this much. Asked for some 200 ms at most: it may be real waiting. */
  readonly advance: (ms: number) => Promise<void>;
  /** One process at a time uses it, so that what a former one held is known to be abandoned. */
  readonly oneProcess: boolean;
}

const digestOf = (name: string): string => createHash("sha256").update(name).digest("hex");
const start = Date.UTC(2026, 10, 20, 12);
const minute = 60_000;
const noCaps: OutboxCaps = { maxRows: 1e6, maxBytes: 1e9, maxAppRows: 1e6, maxAppBytes: 1e9 };
const mine: Lease = { owner: "this process", leaseMs: minute };
const short: Lease = { owner: "another process", leaseMs: 100 };
const pastShort = 150;

/** An entry that is due at once; `name` makes it its own device's and gives it no key. */
export function entryOf(name: string, change: Partial<OutboxEntry> = {}): OutboxEntry {
  return {
    id: randomUUID(),
    app: "app",
    device: digestOf(name),
    payload: JSON.stringify({ name }),
    attempts: 0,
    dueInMs: 0,
    expiresInMs: minute,
    receivedAtMs: start,
    ...change,
  };
}

/** Fails when the states of an app's pushes do not add up to what was accepted (reliability G24). */
export function expectClosedSum(counts: ReadonlyMap<string, OutboxCounts>): void {
  for (const { accepted, handed, rejected, expired, dropped, pending } of counts.values()) {
    expect(handed + rejected + expired + dropped + pending).toBe(accepted);
  }
}

/** What every outbox does (design D6, D11; reliability P1, P2, P8, P9, P14, G24). Called by the store's contract. */
export function outboxContract(open: () => Promise<Store>, { advance, oneProcess }: StoreTraits): void {
  describe("outbox", () => {
    let store: Store;
    let outbox: Store["outbox"];
    beforeEach(async () => {
      store = await open();
      outbox = store.outbox;
    });
    afterEach(async () => {
      expectClosedSum(await outbox.counts());
      await store.close();
    });

    const put = (...entries: OutboxEntry[]): Promise<readonly unknown[]> => outbox.put(entries, noCaps);
    const kinds = async (
      entries: readonly OutboxEntry[],
      caps: OutboxCaps = noCaps,
      lease?: Lease,
    ): Promise<string[]> => (await outbox.put(entries, caps, lease)).map(({ kind }) => kind);
    const claim = (
      options: Partial<Parameters<Store["outbox"]["claim"]>[0]> = {},
    ): Promise<readonly ClaimedEntry[]> =>
      outbox.claim({ apps: ["app"], limit: 100, lease: mine, ...options });
    const claimOne = async (options: Parameters<typeof claim>[0] = {}): Promise<ClaimedEntry> => {
      const [claimed] = await claim({ limit: 1, ...options });
      if (claimed === undefined) throw new Error("nothing to claim");
      return claimed;
    };
    const countsOf = async (app = "app"): Promise<Partial<OutboxCounts>> => {
      const counts = (await outbox.counts()).get(app) ?? {};
      return Object.fromEntries(
        Object.entries(counts).filter(([name, n]) => n !== 0 && name !== "pendingBytes"),
      );
    };
    const named = (entries: readonly ClaimedEntry[]): string[] =>
      entries.map(({ payload }) => (JSON.parse(payload) as { name: string }).name);

    it("starts empty and takes empty lists", async () => {
      expect(await outbox.counts()).toEqual(new Map());
      expect(await put()).toEqual([]);
      expect(await claim()).toEqual([]);
      expect(await claim({ apps: [] })).toEqual([]);
      expect(await outbox.settle([])).toEqual([]);
      expect(await outbox.postpone([])).toEqual([]);
      expect(await outbox.renew([], mine)).toEqual([]);
      expect(await outbox.expire(10)).toEqual(new Map());
      expect(await outbox.nextDueInMs([])).toBeUndefined();
      expect(await outbox.nextDueInMs(["app"])).toBeUndefined();
      expect(await outbox.releaseAbandoned("this process")).toBe(0);
    });

    describe("put and claim", () => {
      it("gives back what was put", async () => {
        const whole = entryOf("ü €", {
          key: digestOf("key"),
          slot: "badge",
          attempts: 3,
          receivedAtMs: start + 1,
          payload: JSON.stringify({ name: "ü €", control: "\u0000", lone: "\ud800" }),
        });
        const plain = entryOf("plain");
        await put(whole, plain);
        const claimed = await claim();
        expect(claimed).toHaveLength(2);
        for (const [i, { dueInMs: _due, expiresInMs, ...expected }] of [whole, plain].entries()) {
          const { token, crashes, waitedMs, expiresInMs: remains, ...given } = claimed[i] ?? { token: 0 };
          expect(given).toEqual(expected);
          expect(token).toBeGreaterThan(0);
          expect(crashes).toBe(0);
          expect(waitedMs).toBeGreaterThanOrEqual(0);
          expect(remains).toBeLessThanOrEqual(expiresInMs);
          expect(remains).toBeGreaterThan(expiresInMs - 5000);
        }
      });

      it("counts entries and the bytes of their content, by app", async () => {
        await put(entryOf("1", { payload: '"€"' }), entryOf("2", { payload: "12" }));
        await put(entryOf("3", { app: "other", payload: "{}" }));
        const none = { handed: 0, rejected: 0, expired: 0, dropped: 0 };
        expect([...(await outbox.counts())].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([
          ["app", { ...none, accepted: 2, pending: 2, pendingBytes: 7 }],
          ["other", { ...none, accepted: 1, pending: 1, pendingBytes: 2 }],
        ]);
      });

      it("hands out the freshest first, of the asked apps alone, up to the limit", async () => {
        const at = (name: string, seconds: number, app: string): OutboxEntry =>
          entryOf(name, { app, receivedAtMs: start + seconds * 1000 });
        await put(at("1", 1, "a"), at("4", 4, "b"), at("3", 3, "a"), at("5", 5, "c"), at("2", 2, "b"));
        expect(named(await claim({ apps: ["a", "b", "unknown"], limit: 3 }))).toEqual(["4", "3", "2"]);
        expect(named(await claim({ apps: ["a", "b"], limit: 3 }))).toEqual(["1"]);
        expect(named(await claim({ apps: ["c"], limit: 0 }))).toEqual([]);
        await put(at("6", 6, "d"), at("8", 8, "d"), at("7", 7, "d"));
        expect(named(await claim({ apps: ["d"], limit: 1 }))).toEqual(["8"]);
      });

      it("hands out nothing before it is due", async () => {
        await put(entryOf("later", { dueInMs: 150 }), entryOf("now"));
        expect(named(await claim())).toEqual(["now"]);
        await advance(200);
        const [later] = await claim();
        expect(later?.waitedMs).toBeGreaterThanOrEqual(150);
        expect(later?.expiresInMs).toBeLessThanOrEqual(minute - 150);
      });

      it("hands out nothing twice, however many ask at once", async () => {
        await put(...Array.from({ length: 60 }, (_, i) => entryOf(`${i}`)));
        const claims = await Promise.all(
          Array.from({ length: 5 }, (_, i) => claim({ limit: 20, lease: { ...mine, owner: `${i}` } })),
        );
        const ids = claims.flat().map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        const rest = await claim();
        expect(ids.length + rest.length).toBe(60);
      });

      it("leaves what is put with a lease to its owner until the lease runs out", async () => {
        const [stored] = await outbox.put([entryOf("running")], noCaps, short);
        const id = expect.any(String);
        expect(stored).toEqual({ kind: "stored", token: expect.any(Number) });
        expect(await claim()).toEqual([]);
        expect(await claim({ suspects: true })).toEqual([]);
        await advance(pastShort);
        expect(await claim()).toEqual([]);
        expect(await claim({ suspects: true })).toMatchObject([{ id, crashes: 1 }]);
      });

      it("lets the token of a leased put settle it", async () => {
        const entry = entryOf("running");
        const [stored] = await outbox.put([entry], noCaps, mine);
        if (stored?.kind !== "stored") throw new Error("not stored");
        expect(await outbox.settle([{ id: entry.id, token: stored.token, state: "handed" }])).toEqual([true]);
        expect(await countsOf()).toEqual({ accepted: 1, handed: 1 });
      });

      it.each(["", "pushkey", digestOf("x").toUpperCase()])(
        "refuses what is no digest: %p",
        async (wrong) => {
          const refusal = { name: "StoreError", code: "internal" };
          await expect(put(entryOf("fine"), entryOf("x", { device: wrong }))).rejects.toMatchObject(refusal);
          await expect(put(entryOf("x", { key: wrong }))).rejects.toMatchObject(refusal);
          await expect(Promise.resolve(outbox.holds(wrong))).rejects.toMatchObject(refusal);
          expect(await outbox.counts()).toEqual(new Map());
        },
      );
    });

    describe("keys", () => {
      const key = digestOf("key");

      it("are held from the put to the end, in somebody's hands too", async () => {
        expect(await outbox.holds(key)).toBe(false);
        await put(entryOf("1", { key }));
        expect(await outbox.holds(key)).toBe(true);
        expect(await outbox.holds(digestOf("other"))).toBe(false);
        const { id, token } = await claimOne();
        expect(await outbox.holds(key)).toBe(true);
        expect(await kinds([entryOf("1", { key })])).toEqual(["already-held"]);
        await outbox.settle([{ id, token, state: "handed" }]);
        expect(await outbox.holds(key)).toBe(false);
        expect(await kinds([entryOf("1", { key })])).toEqual(["stored"]);
        expect(await countsOf()).toEqual({ accepted: 2, handed: 1, pending: 1 });
      });

      it("are unique in one call, among the apps, and with a lease", async () => {
        expect(await kinds([entryOf("1", { key }), entryOf("2", { key }), entryOf("3")])).toEqual([
          "stored",
          "already-held",
          "stored",
        ]);
        expect(await kinds([entryOf("4", { key, app: "other" })], noCaps, mine)).toEqual(["already-held"]);
        expect(await countsOf()).toEqual({ accepted: 2, pending: 2 });
        expect(await countsOf("other")).toEqual({});
      });

      it("are unique among calls at the same time", async () => {
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, i) => kinds([entryOf(`${i}`, { key })])),
        );
        expect(results.flat().sort()).toEqual([...Array(19).fill("already-held"), "stored"]);
        expect(await countsOf()).toEqual({ accepted: 1, pending: 1 });
      });
    });

    describe("caps", () => {
      const ten = JSON.stringify("12345678");

      it.each<[string, Partial<OutboxCaps>, string[]]>([
        ["rows in all", { maxRows: 3 }, ["stored", "stored", "stored", "refused", "refused"]],
        ["bytes in all", { maxBytes: 39 }, ["stored", "stored", "stored", "refused", "refused"]],
        ["rows of one app", { maxAppRows: 2 }, ["stored", "stored", "refused", "stored", "stored"]],
        ["bytes of one app", { maxAppBytes: 29 }, ["stored", "stored", "refused", "stored", "stored"]],
      ])("of %s refuse what is beyond, each entry on its own", async (_name, caps, expected) => {
        const entries = ["a", "a", "a", "b", "b"].map((app, i) => entryOf(`${i}`, { app, payload: ten }));
        expect(await kinds(entries, { ...noCaps, ...caps })).toEqual(expected);
        const stored = expected.filter((kind) => kind === "stored").length;
        const counts = [...(await outbox.counts()).values()];
        expect(counts.reduce((sum, { pending }) => sum + pending, 0)).toBe(stored);
        expect(counts.reduce((sum, { pendingBytes }) => sum + pendingBytes, 0)).toBe(stored * 10);
        expect(counts.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(stored);
      });

      it("let a smaller one in where a larger one is refused, and again once something ended", async () => {
        const caps = { ...noCaps, maxBytes: 25 };
        const large = (name: string): OutboxEntry => entryOf(name, { payload: `${ten}${ten}` });
        expect(await kinds([large("1"), large("2"), entryOf("3", { payload: "1" })], caps)).toEqual([
          "stored",
          "refused",
          "stored",
        ]);
        const claimed = await claim();
        expect(await kinds([large("4")], caps)).toEqual(["refused"]);
        await outbox.settle(claimed.map(({ id, token }) => ({ id, token, state: "dropped" })));
        expect(await kinds([large("5")], caps)).toEqual(["stored"]);
        expect(await countsOf()).toEqual({ accepted: 3, dropped: 2, pending: 1 });
      });

      it("hold among calls at the same time", async () => {
        const results = await Promise.all(
          Array.from({ length: 10 }, (_, i) =>
            kinds(
              Array.from({ length: 10 }, (_each, k) => entryOf(`${i} ${k}`)),
              { ...noCaps, maxAppRows: 33 },
            ),
          ),
        );
        expect(results.flat().filter((kind) => kind === "stored")).toHaveLength(33);
        expect(await countsOf()).toEqual({ accepted: 33, pending: 33 });
      });
    });

    describe("slots", () => {
      const badge = (name: string, seconds = 0, change: Partial<OutboxEntry> = {}): OutboxEntry =>
        entryOf(name, {
          device: digestOf("device"),
          slot: "badge",
          receivedAtMs: start + seconds * 1000,
          ...change,
        });

      it("hold one waiting entry, the one put last, and the replaced one is dropped", async () => {
        await put(badge("1", 1, { key: digestOf("key") }));
        await put(badge("2", 2), badge("3", 3));
        expect(await outbox.holds(digestOf("key"))).toBe(false);
        expect(await countsOf()).toEqual({ accepted: 3, dropped: 2, pending: 1 });
        expect(named(await claim())).toEqual(["3"]);
      });

      it("of another device, app or name are others, and an entry without one is never replaced", async () => {
        const device = digestOf("device");
        await put(badge("badge", 0), entryOf("none", { device }));
        await put(
          badge("device", 1, { device: digestOf("other") }),
          badge("app", 1, { app: "other" }),
          badge("slot", 1, { slot: "other" }),
          entryOf("none too", { device, receivedAtMs: start + 1000 }),
        );
        expect(named(await claim({ apps: ["app", "other"] })).sort()).toEqual([
          "app",
          "badge",
          "device",
          "none",
          "none too",
          "slot",
        ]);
      });

      it("leave an entry in somebody's hands alone", async () => {
        await put(badge("1"));
        const { id, token } = await claimOne();
        await put(badge("2", 1));
        expect(await countsOf()).toEqual({ accepted: 2, pending: 2 });
        expect(await outbox.settle([{ id, token, state: "handed" }])).toEqual([true]);
        expect(named(await claim())).toEqual(["2"]);
      });

      it("are replaced by a leased entry too", async () => {
        await put(badge("1"));
        await outbox.put([badge("2", 1)], noCaps, mine);
        expect(await claim()).toEqual([]);
        expect(await countsOf()).toEqual({ accepted: 2, dropped: 1, pending: 1 });
      });

      it("are replaced where the caps allow no other entry, and kept where they refuse the new one", async () => {
        const caps = { ...noCaps, maxRows: 1, maxBytes: 20 };
        await put(badge("1"));
        expect(await kinds([entryOf("other")], caps)).toEqual(["refused"]);
        expect(await kinds([badge("2", 1, { payload: JSON.stringify("long".repeat(10)) })], caps)).toEqual([
          "refused",
        ]);
        expect(await countsOf()).toEqual({ accepted: 1, pending: 1 });
        expect(await kinds([badge("3", 2)], caps)).toEqual(["stored"]);
        expect(await countsOf()).toEqual({ accepted: 2, dropped: 1, pending: 1 });
      });

      it.each([false, true])(
        "keep the newer entry when an older one comes late (in hand: %p)",
        async (inHand) => {
          await put(badge("new", 5));
          if (inHand) await claim();
          expect(await kinds([badge("old", 4)])).toEqual(["superseded"]);
          expect(await countsOf()).toEqual({ accepted: 1, pending: 1 });
        },
      );

      it("drop an older entry that is given back while a newer one is there", async () => {
        await put(badge("old", 1));
        const { id, token } = await claimOne();
        await put(badge("new", 2));
        expect(await outbox.postpone([{ id, token, attempts: 1, dueInMs: 0 }])).toEqual(["superseded"]);
        expect(await countsOf()).toEqual({ accepted: 2, dropped: 1, pending: 1 });
        expect(named(await claim())).toEqual(["new"]);
      });

      const handedOver = async (seconds: number, change: { slot?: string; app?: string } = {}) =>
        (await outbox.supersede({
          app: "app",
          device: digestOf("device"),
          slot: "badge",
          receivedAtMs: start + seconds * 1000,
          ...change,
        })) ?? [];

      it("tell what they have ended: what a newer entry replaces, also one of the same call", async () => {
        const [one, two, three] = [badge("1", 1, { attempts: 4 }), badge("2", 2), badge("3", 3)];
        const stored = { kind: "stored", token: expect.any(Number) };
        expect(await put(one, badge("other", 1, { device: digestOf("other") }))).toEqual([stored, stored]);
        expect(await put(two, three)).toEqual([
          { ...stored, superseded: [{ id: one.id, attempts: 4 }] },
          { ...stored, superseded: [{ id: two.id, attempts: 0 }] },
        ]);
        await claimOne();
        expect(await put(badge("4", 4))).toEqual([stored]);
      });

      it("tell what a newer one that was handed over has ended, and not what is in somebody's hands", async () => {
        const [inHand, waiting] = [badge("1", 1), badge("2", 2, { attempts: 3 })];
        await put(inHand);
        await claimOne();
        await put(waiting, badge("other", 1, { device: digestOf("other") }));
        expect(await handedOver(3)).toEqual([{ id: waiting.id, attempts: 3 }]);
        expect(await handedOver(3)).toEqual([]);
      });

      it("drop what waits when a newer one has been handed over, due or not, of this place alone", async () => {
        await put(badge("old", 1, { dueInMs: minute, key: digestOf("key") }));
        await put(
          badge("device", 1, { device: digestOf("other") }),
          badge("app", 1, { app: "other" }),
          badge("slot", 1, { slot: "other" }),
          entryOf("none", { device: digestOf("device"), receivedAtMs: start }),
        );
        expect(await handedOver(2)).toEqual([{ id: expect.any(String), attempts: 0 }]);
        expect(await outbox.holds(digestOf("key"))).toBe(false);
        expect(await countsOf()).toEqual({ accepted: 4, dropped: 1, pending: 3 });
        expect(await countsOf("other")).toEqual({ accepted: 1, pending: 1 });
        await handedOver(2, { app: "unheard of" });
        expect(named(await claim({ apps: ["app", "other"] })).sort()).toEqual([
          "app",
          "device",
          "none",
          "slot",
        ]);
      });

      it.each([0, 1])(
        "keep what came at the same time or later (%i s) than what was handed over",
        async (s) => {
          await put(badge("newer", s));
          await handedOver(0);
          expect(named(await claim())).toEqual(["newer"]);
        },
      );

      it("hand nothing out again that a newer one overtook in somebody's hands", async () => {
        await put(badge("old", 1));
        const { id, token } = await claimOne();
        await handedOver(2);
        expect(await countsOf()).toEqual({ accepted: 1, pending: 1 });
        expect(await outbox.renew([{ id, token }], mine)).toEqual([]);
        expect(await outbox.postpone([{ id, token, attempts: 2, dueInMs: 0 }])).toEqual(["superseded"]);
        await advance(5);
        expect(await claim()).toEqual([]);
        expect(await outbox.nextDueInMs(["app"])).toBeUndefined();
        expect(await outbox.expire(10)).toEqual(new Map());
        expect(await countsOf()).toEqual({ accepted: 1, dropped: 1 });
      });

      it("hand nothing out again that a newer one overtook in the hands of a process that is gone", async () => {
        await put(badge("old", 1));
        await claimOne({ lease: short });
        await handedOver(2);
        await advance(pastShort);
        expect(await claim({ suspects: true })).toEqual([]);
        expect(await outbox.expire(10)).toEqual(new Map([["app", 1]]));
      });

      it("let whoever holds an overtaken one say what became of it", async () => {
        await put(badge("old", 1));
        const { id, token } = await claimOne();
        await handedOver(2);
        expect(await outbox.settle([{ id, token, state: "handed" }])).toEqual([true]);
        expect(await countsOf()).toEqual({ accepted: 1, handed: 1 });
      });

      it("find what was put just before, though nobody has heard of it yet", async () => {
        const putting = put(badge("old", 1));
        await Promise.all([putting, handedOver(2)]);
        // Replicas' calls may overtake each other.
        if (!oneProcess) await handedOver(2);
        expect(await claim()).toEqual([]);
      });
    });

    describe("tokens", () => {
      /** One entry that was claimed with a lease that ran out, and then claimed by another process. */
      async function takenOver(): Promise<{ old: ClaimedEntry; now: ClaimedEntry }> {
        await put(entryOf("1"));
        const old = await claimOne({ lease: short });
        await advance(pastShort);
        return { old, now: await claimOne({ suspects: true }) };
      }

      it("grow with each claim, and an old one changes nothing", async () => {
        const { old, now } = await takenOver();
        expect(now.id).toBe(old.id);
        expect(now.token).toBeGreaterThan(old.token);
        const { id, token } = old;
        expect(await outbox.settle([{ id, token, state: "handed" }])).toEqual([false]);
        expect(await outbox.postpone([{ id, token, attempts: 9, dueInMs: 0 }])).toEqual([false]);
        expect(await outbox.renew([{ id, token }], short)).toEqual([id]);
        expect(await countsOf()).toEqual({ accepted: 1, pending: 1 });
        expect(await outbox.settle([{ id, token: now.token, state: "rejected" }])).toEqual([true]);
        expect(await countsOf()).toEqual({ accepted: 1, rejected: 1 });
      });

      it("stay good after the lease ran out while nobody else has claimed", async () => {
        await put(entryOf("1"), entryOf("2"));
        const [first, second] = await claim({ lease: short });
        await advance(pastShort);
        if (first === undefined || second === undefined) throw new Error("nothing claimed");
        expect(await outbox.settle([{ id: first.id, token: first.token, state: "handed" }])).toEqual([true]);
        expect(await outbox.renew([second], { ...short, leaseMs: minute })).toEqual([]);
        expect(await claim({ suspects: true })).toEqual([]);
      });

      it("are no good for an unknown entry, one that nobody holds, one that ended, or one given back", async () => {
        const entry = entryOf("1");
        const [stored] = await outbox.put([entry], noCaps);
        const unclaimed = stored?.kind === "stored" ? stored.token : 0;
        const settle = async (id: string, token: number): Promise<readonly boolean[]> =>
          outbox.settle([{ id, token, state: "handed" }]);
        for (const token of [unclaimed, 0, 1]) expect(await settle(entry.id, token)).toEqual([false]);
        expect(await settle(randomUUID(), 1)).toEqual([false]);
        expect(await outbox.renew([{ id: entry.id, token: unclaimed }], mine)).toEqual([entry.id]);
        const first = await claimOne();
        await outbox.postpone([{ id: entry.id, token: first.token, attempts: 1, dueInMs: 0 }]);
        expect(await settle(entry.id, first.token)).toEqual([false]);
        const second = await claimOne();
        expect(await settle(entry.id, second.token)).toEqual([true]);
        expect(await settle(entry.id, second.token)).toEqual([false]);
        expect(await countsOf()).toEqual({ accepted: 1, handed: 1 });
      });
    });

    it.each<FinalState>(["handed", "rejected", "expired", "dropped"])(
      "settles as %s, once",
      async (state) => {
        await put(entryOf("1"), entryOf("2"), entryOf("3"));
        const [first, second] = await claim({ limit: 2 });
        if (first === undefined || second === undefined) throw new Error("nothing claimed");
        expect(
          await outbox.settle([
            { id: first.id, token: first.token, state },
            { id: second.id, token: second.token + 1, state },
            { id: first.id, token: first.token, state },
          ]),
        ).toEqual([true, false, false]);
        expect(await countsOf()).toEqual({ accepted: 3, [state]: 1, pending: 2 });
      },
    );

    it("postpones: later, with the tries so far, and waiting anew", async () => {
      await put(entryOf("1"), entryOf("2"));
      await advance(1000);
      const claimed = await claim();
      const later = claimed.map(({ id, token }, i) => ({ id, token, attempts: i + 4, dueInMs: i * 1500 }));
      expect(await outbox.postpone(later)).toEqual([true, true]);
      const again = await claim();
      expect(again).toMatchObject([{ id: claimed[0]?.id, attempts: 4, crashes: 0 }]);
      expect(again[0]?.waitedMs).toBeLessThan(1000);
      await advance(1600);
      expect(await claim()).toMatchObject([{ id: claimed[1]?.id, attempts: 5, crashes: 0 }]);
      expect(await countsOf()).toEqual({ accepted: 2, pending: 2 });
    });

    it("keeps what is renewed", async () => {
      await put(entryOf("1"), entryOf("2"));
      const [first, second] = await claim({ lease: short });
      if (first === undefined || second === undefined) throw new Error("nothing claimed");
      const unknown = { id: randomUUID(), token: 1 };
      expect(await outbox.renew([first, unknown], { ...short, leaseMs: minute })).toEqual([unknown.id]);
      await advance(pastShort);
      expect(await claim({ suspects: true })).toMatchObject([{ id: second.id, crashes: 1 }]);
      expect(await claim({ suspects: true })).toEqual([]);
    });

    it("hands out suspects only when asked, one at a time, the freshest first, and counts every crash", async () => {
      const at = (i: number): OutboxEntry => entryOf(`${i}`, { receivedAtMs: start + i });
      await put(at(1), at(2), at(3));
      await claim({ lease: short });
      await put(at(0));
      await advance(pastShort);
      expect(named(await claim())).toEqual(["0"]);
      expect(await claim()).toEqual([]);
      const taken = [
        await claimOne({ suspects: true, limit: 100 }),
        await claimOne({ suspects: true, lease: { ...short, owner: "a third process" } }),
      ];
      expect(named(taken)).toEqual(["3", "2"]);
      expect(taken.map(({ crashes }) => crashes)).toEqual([1, 1]);
      const [third] = taken;
      if (third === undefined) throw new Error("nothing claimed");
      await outbox.postpone([{ id: third.id, token: third.token, attempts: 1, dueInMs: 0 }]);
      // An attempt that ended well clears it of suspicion.
      expect(await claim()).toMatchObject([{ payload: '{"name":"3"}', crashes: 0 }]);
      await advance(pastShort);
      const rest = [await claimOne({ suspects: true }), await claimOne({ suspects: true })];
      expect(rest.map(({ payload, crashes }) => [payload, crashes]).sort()).toEqual([
        ['{"name":"1"}', 1],
        ['{"name":"2"}', 2],
      ]);
      expect(await claim({ suspects: true })).toEqual([]);
    });

    it("hands out only suspects with so few crashes as are asked for, and leaves the others as they are", async () => {
      const at = (i: number): OutboxEntry => entryOf(`${i}`, { receivedAtMs: start + i });
      await put(at(2));
      await claim({ lease: short });
      await advance(pastShort);
      await claimOne({ suspects: true, lease: { ...short, owner: "a third process" } });
      await put(at(1));
      await claim({ lease: short });
      await advance(pastShort);
      // The fresher one has been in hand at two crashes, the second found out by whoever claims next.
      expect(await claim({ suspects: true, maxCrashes: 1 })).toMatchObject([
        { payload: '{"name":"1"}', crashes: 1 },
      ]);
      expect(await claim({ suspects: true, maxCrashes: 1 })).toEqual([]);
      expect(await claim({ suspects: true })).toMatchObject([{ payload: '{"name":"2"}', crashes: 2 }]);
    });

    it("counts no crash where a process lost its own lease, as to a slow store", async () => {
      await put(entryOf("1"));
      for (let i = 0; i < 3; i += 1) {
        const [claimed] = await claim({ lease: { ...mine, leaseMs: 100 }, suspects: i > 0 });
        expect(claimed).toMatchObject({ crashes: 0 });
        await advance(pastShort);
      }
    });

    describe("expiry", () => {
      it("keeps what has expired from being claimed, and ends it, so many at a time", async () => {
        const soon = { expiresInMs: 100 };
        await put(...["1", "2", "3"].map((name) => entryOf(name, soon)), entryOf("alive"));
        await put(entryOf("4", { ...soon, app: "other", dueInMs: minute, key: digestOf("4") }));
        expect(await outbox.expire(10)).toEqual(new Map());
        await advance(150);
        expect(named(await claim())).toEqual(["alive"]);
        const first = await outbox.expire(2);
        const second = await outbox.expire(10);
        expect(await outbox.expire(10)).toEqual(new Map());
        const sum = new Map<string, number>();
        for (const [app, entries] of [...first, ...second]) sum.set(app, (sum.get(app) ?? 0) + entries);
        expect([...first.values()].reduce((a, b) => a + b, 0)).toBe(2);
        expect([...sum].sort()).toEqual([
          ["app", 3],
          ["other", 1],
        ]);
        expect(await outbox.holds(digestOf("4"))).toBe(false);
        expect(await countsOf()).toEqual({ accepted: 4, expired: 3, pending: 1 });
        expect(await countsOf("other")).toEqual({ accepted: 1, expired: 1 });
      });

      it("leaves an entry to its holder, who may still settle it, until the lease has run out", async () => {
        await put(entryOf("held", { expiresInMs: 50 }), entryOf("lost", { expiresInMs: 50 }));
        const [held, lost] = await claim({ lease: short });
        if (held === undefined || lost === undefined) throw new Error("nothing claimed");
        await outbox.renew([held], { ...short, leaseMs: minute });
        await advance(pastShort);
        expect(await claim({ suspects: true })).toEqual([]);
        expect(await outbox.expire(10)).toEqual(new Map([["app", 1]]));
        expect(await outbox.settle([{ id: lost.id, token: lost.token, state: "handed" }])).toEqual([false]);
        expect(await outbox.settle([{ id: held.id, token: held.token, state: "handed" }])).toEqual([true]);
        expect(await countsOf()).toEqual({ accepted: 2, expired: 1, handed: 1 });
      });
    });

    it("knows when the next entry falls due", async () => {
      const next = (apps = ["app"]): Promise<number | undefined> => outbox.nextDueInMs(apps);
      await put(entryOf("1", { dueInMs: 40_000 }), entryOf("2", { dueInMs: 20_000 }));
      await put(entryOf("3", { app: "other", dueInMs: 5000 }));
      for (const [apps, expected] of [
        [["app"], 20_000],
        [["app", "other"], 5000],
      ] as const) {
        const dueInMs = await next([...apps]);
        expect(dueInMs).toBeLessThanOrEqual(expected);
        expect(dueInMs).toBeGreaterThan(expected - 5000);
      }
      expect(await next(["unknown"])).toBeUndefined();
      await put(entryOf("4", { app: "now" }));
      expect(await next(["app", "now"])).toBe(0);
      await claim({ apps: ["now"], lease: short });
      expect(await next(["now"])).toBeUndefined();
      await advance(pastShort);
      expect(await next(["now"])).toBe(0);
    });

    it("knows since when the oldest entry waits", async () => {
      expect(await outbox.oldestReceivedAtMs()).toBeUndefined();
      await put(entryOf("1", { receivedAtMs: start - 5000 }));
      await put(entryOf("2", { app: "other", receivedAtMs: start }), entryOf("3", { receivedAtMs: start }));
      expect(await outbox.oldestReceivedAtMs()).toBe(start - 5000);
      const [oldest] = (await claim()).filter(({ receivedAtMs }) => receivedAtMs < start);
      if (oldest === undefined) throw new Error("the oldest was not claimed");
      await outbox.settle([{ id: oldest.id, token: oldest.token, state: "handed" }]);
      expect(await outbox.oldestReceivedAtMs()).toBe(start);
    });

    it("leaves promised pushes alone when it prunes", async () => {
      await put(entryOf("1", { expiresInMs: 10, key: digestOf("key") }));
      expect(await store.prune(start + 1000 * minute)).toBe(0);
      expect(await countsOf()).toEqual({ accepted: 1, pending: 1 });
    });

    if (oneProcess) {
      it("frees what a former process held, counts a crash, and leaves its own", async () => {
        const slot = { device: digestOf("device"), slot: "badge" };
        await put(entryOf("former"), entryOf("badge", { ...slot, receivedAtMs: start - 1 }));
        await claim({ lease: { owner: "former", leaseMs: minute } });
        await outbox.put([entryOf("own")], noCaps, mine);
        await put(entryOf("newer badge", slot), entryOf("free"));
        expect(await outbox.releaseAbandoned(mine.owner)).toBe(2);
        expect(await outbox.releaseAbandoned(mine.owner)).toBe(0);
        // The older badge must not follow the newer one.
        expect(await countsOf()).toEqual({ accepted: 5, dropped: 1, pending: 4 });
        expect(named(await claim()).sort()).toEqual(["free", "newer badge"]);
        expect(await claim({ suspects: true })).toMatchObject([{ payload: '{"name":"former"}', crashes: 1 }]);
        expect(await claim({ suspects: true })).toEqual([]);
      });
    }

    it("ends the leases of an owner that is gone, which counts a crash, and leaves the others'", async () => {
      const gone: Lease = { owner: "a thread", leaseMs: minute };
      await outbox.put([entryOf("held", { key: digestOf("held") })], noCaps, gone);
      await outbox.put([entryOf("mine")], noCaps, mine);
      await outbox.endLeases("nobody");
      const suspects = { apps: ["app"], limit: 10, lease: mine, suspects: true };
      expect(await outbox.claim(suspects)).toEqual([]);
      await outbox.endLeases(gone.owner);
      expect(await outbox.claim({ ...suspects, suspects: false })).toEqual([]);
      const [taken] = await outbox.claim(suspects);
      expect(taken).toMatchObject({ payload: JSON.stringify({ name: "held" }), crashes: 1 });
      expect(await outbox.claim(suspects)).toEqual([]);
    });

    it("adds up after every one of many calls", async () => {
      // Always the same, so that a failure can be seen again.
      let seed = 7;
      const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
      const states: readonly FinalState[] = ["handed", "rejected", "expired", "dropped"];
      const caps = { ...noCaps, maxAppRows: 12 };
      let held: ClaimedEntry[] = [];
      let seen = 0;
      for (let step = 0; step < 150; step += 1) {
        const many = 1 + random(4);
        const work = random(6);
        if (work < 2) {
          const entries = Array.from({ length: many }, () =>
            entryOf(`${random(4)}`, {
              app: `app ${random(2)}`,
              receivedAtMs: start + random(50),
              ...(random(2) === 0 ? { slot: "badge" } : {}),
              ...(random(2) === 0 ? { key: digestOf(`${random(20)}`) } : {}),
              ...(random(5) === 0 ? { expiresInMs: 1 } : {}),
            }),
          );
          seen += (await kinds(entries, caps)).filter((kind) => kind === "stored").length;
        } else if (work === 2) {
          held.push(...(await claim({ apps: ["app 0", "app 1"], limit: many })));
        } else if (work === 3) {
          const ended = held
            .slice(0, many)
            .map((each) => ({ ...each, state: states[random(4)] ?? "handed" }));
          expect(await outbox.settle(ended)).toEqual(ended.map(() => true));
          held = held.slice(many);
        } else if (work === 4) {
          const later = held.slice(0, many).map((each) => ({ ...each, attempts: 1, dueInMs: random(3) }));
          expect(await outbox.postpone(later)).toEqual(later.map(() => true));
          held = held.slice(many);
        } else {
          await outbox.expire(many);
        }
        const counts = await outbox.counts();
        expectClosedSum(counts);
        expect([...counts.values()].reduce((sum, { accepted }) => sum + accepted, 0)).toBe(seen);
        for (const { pending } of counts.values()) expect(pending).toBeLessThanOrEqual(12);
      }
      expect(seen).toBeGreaterThan(40);
      await outbox.settle(held.map((each) => ({ ...each, state: "handed" as const })));
      await advance(5);
      await outbox.expire(100);
      for (const [app, { pending, pendingBytes }] of await outbox.counts()) {
        expect(pending > 0).toBe(pendingBytes > 0);
        const rest = await claim({ apps: [app] });
        expect(rest).toHaveLength(pending);
        await outbox.settle(rest.map((each) => ({ ...each, state: "handed" as const })));
        expect((await outbox.counts()).get(app)).toMatchObject({ pending: 0, pendingBytes: 0 });
      }
    }, 20_000);
  });
}
