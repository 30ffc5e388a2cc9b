import { createHash } from "node:crypto";
import type { DeviceReport, DeviceReports, RegisteredDevice, Store } from "../../src/store/store.ts";

const now = Date.UTC(2026, 10, 20, 12);
const digest = (name: string): string => createHash("sha256").update(name).digest("hex");

/** A token for messages of an app, named by its text. */
export function deviceOf(pushkey: string, more: Partial<DeviceReport> = {}): DeviceReport {
  const appId = more.appId ?? "com.example.app";
  return { kind: "messages", appId, pushkey, device: digest(appId + pushkey), ...more };
}

/** What one request registers: `messages` under the selector, or what `more` says. */
export function reportOf(
  owner: string,
  devices: readonly DeviceReport[],
  more: Partial<DeviceReports> = {},
): DeviceReports {
  const selector = devices.some(({ kind }) => kind === "registry") ? {} : { selector: `${owner}'s:1` };
  return { owner, nowMs: now, devices, mayTakeSelector: false, maxPerOwner: 10, ...selector, ...more };
}

const registry = { kind: "registry" } as const;
const keys = (devices: readonly RegisteredDevice[]): readonly string[] =>
  devices.map(({ pushkey }) => pushkey);

/** What every store does for registered devices. `open` gives a fresh and empty one. */
export function devicesContract(open: () => Promise<Store>): void {
  describe("devices", () => {
    let store: Store;
    const of = async (owner: string): Promise<readonly string[]> => keys(await store.devices.ofOwner(owner));
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    it("has none at first", async () => {
      expect(await store.devices.ofOwner("alice")).toEqual([]);
      expect(await store.devices.ofSelector("s")).toEqual([]);
      expect(await store.devices.count()).toBe(0);
    });

    it("gives back all that was reported, by owner and by selector", async () => {
      const both = [
        deviceOf("for messages", { sandbox: false }),
        deviceOf("for calls", { kind: "calls", appId: "com.example.app.pushkit" }),
      ];
      const registered = deviceOf("ab".repeat(32), {
        ...registry,
        sandbox: true,
        applicationId: "39JSDKGJ38.com.example.app",
        apnsTopic: "com.example.app.voip",
      });
      expect(
        await store.devices.report(reportOf("alice", both, { selector: "S:1", userAgent: "Phone/1 \u00fc" })),
      ).toBe("stored");
      await store.devices.report(reportOf("alice", [registered], { nowMs: now + 1 }));
      const times = { firstSeenMs: now, lastSeenMs: now };
      const phone = both.map((each) => ({
        ...each,
        ...times,
        owner: "alice",
        selector: "S:1",
        userAgent: "Phone/1 \u00fc",
      }));
      expect(await store.devices.ofOwner("alice")).toEqual([
        ...phone,
        { ...registered, owner: "alice", firstSeenMs: now + 1, lastSeenMs: now + 1 },
      ]);
      expect(await store.devices.ofSelector("S:1")).toEqual(phone);
      expect(await store.devices.ofSelector("s:1")).toEqual([]);
      expect(await store.devices.ofOwner("Alice")).toEqual([]);
      expect(await store.devices.count()).toBe(3);
    });

    it("replaces a selector's token of the same kind, in its place, and keeps that of the other kind", async () => {
      const calls = deviceOf("calls", { kind: "calls" });
      await store.devices.report(reportOf("alice", [deviceOf("old"), calls], { userAgent: "Phone/1" }));
      await store.devices.report(reportOf("alice", [deviceOf("new")], { nowMs: now + 5 }));
      expect(await store.devices.ofOwner("alice")).toEqual([
        expect.objectContaining({ pushkey: "new", firstSeenMs: now, lastSeenMs: now + 5 }),
        expect.objectContaining({
          pushkey: "calls",
          firstSeenMs: now,
          lastSeenMs: now,
          userAgent: "Phone/1",
        }),
      ]);
      expect((await store.devices.ofOwner("alice"))[0]).not.toHaveProperty("userAgent");
    });

    it("keeps several selectors of one owner on one phone, and one token for both kinds", async () => {
      const both = [deviceOf("token"), deviceOf("token", { kind: "calls" })];
      await store.devices.report(reportOf("alice", both, { selector: "S:1" }));
      await store.devices.report(reportOf("alice", both, { selector: "S:2" }));
      expect(await of("alice")).toEqual(["token", "token", "token", "token"]);
    });

    it("updates a registered token in its place", async () => {
      await store.devices.report(reportOf("alice", [deviceOf("one", { ...registry, sandbox: true })]));
      await store.devices.report(reportOf("alice", [deviceOf("two", registry)], { nowMs: now + 1 }));
      await store.devices.report(reportOf("alice", [deviceOf("one", registry)], { nowMs: now + 2 }));
      const [one, two] = await store.devices.ofOwner("alice");
      expect(one).toEqual({
        ...deviceOf("one", registry),
        owner: "alice",
        firstSeenMs: now,
        lastSeenMs: now + 2,
      });
      expect(two?.pushkey).toBe("two");
    });

    it("moves a token to whoever registers it last, wherever it stood", async () => {
      await store.devices.report(reportOf("alice", [deviceOf("a"), deviceOf("b", { kind: "calls" })]));
      await store.devices.report(reportOf("alice", [deviceOf("a", registry), deviceOf("c", registry)]));
      await store.devices.report(reportOf("bob", [deviceOf("a", registry)]));
      expect(await of("alice")).toEqual(["b", "c"]);
      expect(await of("bob")).toEqual(["a"]);
      await store.devices.report(reportOf("alice", [deviceOf("a", { kind: "calls" })]));
      expect(await of("alice")).toEqual(["a", "c"]);
      expect(await of("bob")).toEqual([]);
    });

    it("takes the same text of two apps for two tokens", async () => {
      await store.devices.report(reportOf("alice", [deviceOf("a", registry)]));
      await store.devices.report(
        reportOf("bob", [deviceOf("a", { ...registry, appId: "com.example.other" })]),
      );
      expect([await of("alice"), await of("bob")]).toEqual([["a"], ["a"]]);
    });

    it("leaves a token with exactly one of many owners who register it at the same time", async () => {
      const owners = Array.from({ length: 12 }, (_, i) => `owner ${i}`);
      await Promise.all(
        owners.map((owner, i) =>
          store.devices.report(reportOf(owner, [deviceOf("token", i % 2 === 0 ? registry : {})])),
        ),
      );
      const found = await Promise.all(owners.map((owner) => store.devices.ofOwner(owner)));
      expect(found.flat()).toHaveLength(1);
    });

    it("refuses a selector of another owner's whole, or takes it where that is allowed", async () => {
      await store.devices.report(reportOf("alice", [deviceOf("a")], { selector: "S:1" }));
      const foreign = reportOf("bob", [deviceOf("a"), deviceOf("b", { kind: "calls" })], { selector: "S:1" });
      expect(await store.devices.report(foreign)).toBe("foreign-selector");
      expect([await of("alice"), await of("bob")]).toEqual([["a"], []]);
      expect(await store.devices.report({ ...foreign, mayTakeSelector: true })).toBe("stored");
      expect([await of("alice"), await of("bob")]).toEqual([[], ["a", "b"]]);
      const owners = Array.from({ length: 6 }, (_, i) => `owner ${i}`);
      const answers = await Promise.all(
        owners.map((owner) =>
          store.devices.report(reportOf(owner, [deviceOf(owner)], { selector: "contended" })),
        ),
      );
      expect(answers.filter((answer) => answer === "stored")).toHaveLength(1);
      expect(await store.devices.ofSelector("contended")).toHaveLength(1);
    });

    it("lets go of those registered the longest ago beyond an owner's bound, and of nobody else's", async () => {
      await store.devices.report(reportOf("bob", [deviceOf("bob's", registry)]));
      for (const [i, name] of ["a", "b", "c", "a", "d"].entries()) {
        await store.devices.report(
          reportOf("alice", [deviceOf(name, registry)], { nowMs: now + i, maxPerOwner: 3 }),
        );
      }
      expect(await of("alice")).toEqual(["a", "c", "d"]);
      expect(await of("bob")).toEqual(["bob's"]);
    });

    it("removes an owner's by selector, by token or by both, and nobody else's", async () => {
      const fill = async (): Promise<void> => {
        const two = [deviceOf("a"), deviceOf("b", { kind: "calls" })];
        await store.devices.report(reportOf("alice", two, { selector: "S:1" }));
        await store.devices.report(reportOf("alice", [deviceOf("a")], { selector: "S:2" }));
        await store.devices.report(reportOf("alice", [deviceOf("a", registry)]));
        await store.devices.report(reportOf("bob", [deviceOf("c", registry)]));
      };
      const a = deviceOf("a").device;
      await fill();
      expect(await store.devices.remove("bob", { selector: "S:1" })).toBe(0);
      expect(await store.devices.remove("bob", { devices: [a] })).toBe(0);
      expect(await store.devices.remove("alice", {})).toBe(0);
      expect(await store.devices.remove("alice", { devices: [] })).toBe(0);
      expect(await store.devices.count()).toBe(5);
      expect(await store.devices.remove("alice", { selector: "S:1", devices: [a] })).toBe(1);
      expect(await of("alice")).toEqual(["b", "a", "a"]);
      expect(await store.devices.remove("alice", { selector: "S:1" })).toBe(1);
      expect(await store.devices.remove("alice", { selector: "S:1" })).toBe(0);
      await fill();
      expect(await store.devices.remove("alice", { devices: [a, deviceOf("b").device] })).toBe(4);
      expect(await of("alice")).toEqual([]);
      expect(await of("bob")).toEqual(["c"]);
    });

    it("removes a rejected token everywhere, unless it was registered since", async () => {
      await store.devices.report(reportOf("alice", [deviceOf("a"), deviceOf("b", { kind: "calls" })]));
      await store.devices.report(reportOf("alice", [deviceOf("a", registry)], { nowMs: now + 10 }));
      const { device } = deviceOf("a");
      await store.devices.removeRejected(device, now - 1);
      expect(await of("alice")).toEqual(["a", "b", "a"]);
      await store.devices.removeRejected(device, now);
      expect(await of("alice")).toEqual(["b", "a"]);
      await store.devices.removeRejected(device, now + 10);
      expect(await of("alice")).toEqual(["b"]);
      await store.devices.report(reportOf("alice", [deviceOf("a")], { nowMs: now + 11 }));
      await store.devices.removeRejected(device, now + 10);
      expect(await of("alice")).toEqual(["b", "a"]);
    });

    it("refuses what is no digest", async () => {
      const refusal = { name: "StoreError", code: "internal" };
      const wrong = deviceOf("a", { device: "pushkey" });
      await expect(store.devices.report(reportOf("alice", [wrong]))).rejects.toMatchObject(refusal);
      await expect(store.devices.remove("alice", { devices: ["x"] })).rejects.toMatchObject(refusal);
      await expect(store.devices.removeRejected("x", now)).rejects.toMatchObject(refusal);
      expect(await store.devices.count()).toBe(0);
    });
  });
}
