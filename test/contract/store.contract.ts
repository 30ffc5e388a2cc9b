import { createHash } from "node:crypto";
import type { Store } from "../../src/store/store.ts";
import { deviceOf, devicesContract, reportOf } from "./devices.contract.ts";
import { entryOf, outboxContract } from "./outbox.contract.ts";
import { outcomesContract } from "./outcomes.contract.ts";
import type { StoreTraits } from "./outbox.contract.ts";

/** A digest as the core makes them: uniformly random, always the same for the same name. */
export function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}

const now = Date.UTC(2026, 10, 20, 12);
const day = 86_400_000;

/** What every store does, whatever it is made of. `open` gives a fresh and empty one. */
export function storeContract(name: string, open: () => Promise<Store>, traits: StoreTraits): void {
  describe(`the ${name} store`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    it("has an installation key of 32 bytes that no other installation has", async () => {
      const other = await open();
      expect(store.installationKey).toHaveLength(32);
      expect(Buffer.from(store.installationKey).equals(other.installationKey)).toBe(false);
      await other.close();
    });

    outcomesContract(() => store);

    describe("rejections", () => {
      const device = digestOf("device");
      const verdict = { sinceMs: now - 5, keepUntilMs: now + day };

      it("knows nothing at first, and says so without waiting when nobody else writes", async () => {
        const found = store.rejections.find("app", device, now);
        expect(traits.oneProcess ? found : await found).toBeUndefined();
      });

      it("finds the verdict of the app and device that it was given for", async () => {
        await store.rejections.put("app", device, verdict);
        expect(await store.rejections.find("app", device, now)).toEqual(verdict);
        expect(await store.rejections.find("other app", device, now)).toBeUndefined();
        expect(await store.rejections.find("app", digestOf("other"), now)).toBeUndefined();
      });

      it("keeps a verdict up to its last instant and by the caller's time alone", async () => {
        await store.rejections.put("app", device, verdict);
        expect(await store.rejections.find("app", device, verdict.keepUntilMs)).toEqual(verdict);
        expect(await store.rejections.find("app", device, verdict.keepUntilMs + 1)).toBeUndefined();
        expect(await store.rejections.find("app", device, 0)).toEqual(verdict);
      });

      it("replaces an earlier verdict", async () => {
        await store.rejections.put("app", device, verdict);
        const later = { sinceMs: now, keepUntilMs: now + 10 };
        await store.rejections.put("app", device, later);
        expect(await store.rejections.find("app", device, now)).toEqual(later);
        expect(await store.rejections.count(now)).toEqual(new Map([["app", 1]]));
      });

      it("forgets the removed one only", async () => {
        await store.rejections.put("app", device, verdict);
        await store.rejections.put("other app", device, verdict);
        await store.rejections.remove("app", device);
        await store.rejections.remove("app", digestOf("never there"));
        expect(await store.rejections.find("app", device, now)).toBeUndefined();
        expect(await store.rejections.find("other app", device, now)).toEqual(verdict);
      });

      it("counts the live ones of each app", async () => {
        await store.rejections.put("a", digestOf("1"), verdict);
        await store.rejections.put("a", digestOf("2"), verdict);
        await store.rejections.put("b", digestOf("1"), verdict);
        await store.rejections.put("c", digestOf("3"), { sinceMs: now, keepUntilMs: now - 1 });
        const counts = await store.rejections.count(now);
        expect([...counts].sort()).toEqual([
          ["a", 2],
          ["b", 1],
        ]);
      });

      it("holds a thousand that were put at the same time", async () => {
        const devices = Array.from({ length: 1000 }, (_, i) => digestOf(`device ${i}`));
        await Promise.all(devices.map((each) => store.rejections.put("app", each, verdict)));
        const found = await Promise.all(devices.map(async (each) => store.rejections.find("app", each, now)));
        expect(found.every((each) => each?.sinceMs === verdict.sinceMs)).toBe(true);
        expect(await store.rejections.count(now)).toEqual(new Map([["app", 1000]]));
      });

      it.each(["", "pushkey", digestOf("x").toUpperCase(), `${digestOf("x")}0`])(
        "refuses what is no digest: %p",
        async (wrong) => {
          const refusal = { name: "StoreError", code: "internal" };
          await expect(Promise.resolve(store.rejections.find("app", wrong, now))).rejects.toMatchObject(
            refusal,
          );
          await expect(store.rejections.put("app", wrong, verdict)).rejects.toMatchObject(refusal);
          await expect(store.rejections.remove("app", wrong)).rejects.toMatchObject(refusal);
          await expect(Promise.resolve(store.dedupe.has(wrong, now))).rejects.toMatchObject(refusal);
          await expect(store.dedupe.put([digestOf("fine"), wrong], now)).rejects.toMatchObject(refusal);
          expect(await store.dedupe.has(digestOf("fine"), now)).toBe(false);
        },
      );
    });

    describe("dedupe", () => {
      it("says that it has not what it never had, at once when nobody else writes", async () => {
        const has = store.dedupe.has(digestOf("push"), now);
        expect(traits.oneProcess ? has : await has).toBe(false);
      });

      it("has what was put, up to its last instant and by the caller's time alone", async () => {
        await store.dedupe.put([digestOf("one"), digestOf("two")], now + 10);
        expect(await store.dedupe.has(digestOf("one"), now + 10)).toBe(true);
        expect(await store.dedupe.has(digestOf("two"), 0)).toBe(true);
        expect(await store.dedupe.has(digestOf("two"), now + 11)).toBe(false);
        expect(await store.dedupe.has(digestOf("three"), now)).toBe(false);
      });

      it("keeps the longer time when a key is put again", async () => {
        await store.dedupe.put([digestOf("one")], now + 10);
        await store.dedupe.put([digestOf("one")], now + 5);
        expect(await store.dedupe.has(digestOf("one"), now + 10)).toBe(true);
        await store.dedupe.put([digestOf("one")], now + 20);
        expect(await store.dedupe.has(digestOf("one"), now + 20)).toBe(true);
      });

      it("takes an empty list", async () => {
        await store.dedupe.put([], now);
        expect(await store.dedupe.has(digestOf("one"), now)).toBe(false);
      });
    });

    describe("known apps", () => {
      it("starts with none", async () => {
        expect(await store.knownApps.all()).toEqual([]);
      });

      it("creates an app with what is given", async () => {
        await store.knownApps.update("com.example.*", { lastConfiguredAtMs: now });
        await store.knownApps.update("b", { served: true });
        expect(await store.knownApps.all()).toEqual([
          { app: "b", lastConfiguredAtMs: 0, served: true },
          { app: "com.example.*", lastConfiguredAtMs: now, served: false },
        ]);
      });

      it("changes what is given, leaves the rest, and clears with null", async () => {
        const change = async (given: Parameters<Store["knownApps"]["update"]>[1]): Promise<unknown> => {
          await store.knownApps.update("app", given);
          return (await store.knownApps.all())[0];
        };
        const expected = { app: "app", lastConfiguredAtMs: now, served: false };
        expect(await change({ lastConfiguredAtMs: now, guardTrippedAtMs: now + 1 })).toEqual({
          ...expected,
          guardTrippedAtMs: now + 1,
        });
        expect(await change({ succeededWith: "print" })).toEqual({
          ...expected,
          guardTrippedAtMs: now + 1,
          succeededWith: "print",
        });
        expect(await change({ guardTrippedAtMs: null })).toEqual({ ...expected, succeededWith: "print" });
        expect(await change({ served: true })).toEqual({ ...expected, served: true, succeededWith: "print" });
        expect(await change({ lastConfiguredAtMs: now + 9, guardTrippedAtMs: now + 2 })).toEqual({
          app: "app",
          lastConfiguredAtMs: now + 9,
          served: true,
          succeededWith: "print",
          guardTrippedAtMs: now + 2,
        });
        expect(await change({})).toMatchObject({ lastConfiguredAtMs: now + 9, guardTrippedAtMs: now + 2 });
      });

      it("forgets those that were last configured before the given time", async () => {
        await store.knownApps.update("old", { lastConfiguredAtMs: now - 1 });
        await store.knownApps.update("new", { lastConfiguredAtMs: now });
        await store.knownApps.forget(now);
        expect((await store.knownApps.all()).map(({ app }) => app)).toEqual(["new"]);
      });
    });

    it("prunes what has expired, however much, says how much, and leaves the rest", async () => {
      const dead = Array.from({ length: 2500 }, (_, i) => digestOf(`dead ${i}`));
      await Promise.all(
        dead
          .slice(0, 1200)
          .map((each) => store.rejections.put("app", each, { sinceMs: 0, keepUntilMs: now - 1 })),
      );
      await store.dedupe.put(dead, now - 1);
      await store.rejections.put("app", digestOf("alive"), { sinceMs: now, keepUntilMs: now });
      await store.dedupe.put([digestOf("alive")], now);
      expect(await store.prune(now)).toBe(3700);
      expect(await store.prune(now)).toBe(0);
      // Asked with an earlier time, at which the pruned ones would still have lived.
      expect(await store.rejections.count(0)).toEqual(new Map([["app", 1]]));
      expect(await store.dedupe.has(digestOf("dead 7"), 0)).toBe(false);
      expect(await store.dedupe.has(digestOf("alive"), now)).toBe(true);
    });

    it("rejects every call after it is closed, and closes twice without harm", async () => {
      await store.close();
      await store.close();
      const refusal = { name: "StoreError", code: "closed" };
      const verdict = { sinceMs: now, keepUntilMs: now };
      for (const call of [
        store.rejections.find("app", digestOf("a"), now),
        store.rejections.put("app", digestOf("a"), verdict),
        store.rejections.remove("app", digestOf("a")),
        store.rejections.count(now),
        store.dedupe.has(digestOf("a"), now),
        store.dedupe.put([digestOf("a")], now),
        store.knownApps.all(),
        store.knownApps.update("app", {}),
        store.knownApps.forget(now),
        store.prune(now),
        store.outbox.put([entryOf("a")], { maxRows: 9, maxBytes: 99, maxAppRows: 9, maxAppBytes: 99 }),
        store.outbox.put([], { maxRows: 9, maxBytes: 99, maxAppRows: 9, maxAppBytes: 99 }),
        store.outbox.holds(digestOf("a")),
        store.outbox.claim({ apps: ["app"], limit: 1, lease: { owner: "me", leaseMs: 1 } }),
        store.outbox.renew([], { owner: "me", leaseMs: 1 }),
        store.outbox.settle([]),
        store.outbox.postpone([]),
        store.outbox.expire(1),
        store.outbox.nextDueInMs(["app"]),
        store.outbox.counts(),
        store.outbox.oldestReceivedAtMs(),
        store.outbox.releaseAbandoned("me"),
        store.outbox.endLeases("me"),
        store.devices.report(reportOf("alice", [deviceOf("a")])),
        store.devices.remove("alice", { selector: "s" }),
        store.devices.ofOwner("alice"),
        store.devices.ofSelector("s"),
        store.devices.removeRejected(digestOf("a"), now),
        store.devices.count(),
      ]) {
        await expect(Promise.resolve(call)).rejects.toMatchObject(refusal);
      }
    });
  });

  // Beside it rather than within: they open stores of their own.
  describe(`the ${name} store's`, () => {
    outboxContract(open, traits);
    devicesContract(open);
  });
}
