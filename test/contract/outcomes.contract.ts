import { createHash } from "node:crypto";
import type { PastOutcome, Store } from "../../src/store/store.ts";

const now = Date.UTC(2026, 10, 20, 12);
const digestOf = (name: string): string => createHash("sha256").update(name).digest("hex");
const keepAll = { maxRows: 1_000, forgetBeforeMs: 0 };

let made = 0;

function outcomeOf(overrides: Partial<PastOutcome> = {}): PastOutcome {
  made += 1;
  return {
    push: `00000000-0000-4000-8000-${String(made).padStart(12, "0")}`,
    atMs: now + made,
    app: "app",
    pushkin: "apns",
    device: digestOf("device"),
    kind: "delivered",
    reason: "",
    attempts: 1,
    expiresAtMs: now + 86_400_000,
    ...overrides,
  };
}

/** What every store remembers of pushes. */
export function outcomesContract(store: () => Store): void {
  describe("past outcomes", () => {
    it("finds by device, event, request and push, the latest first, with all that was written", async () => {
      const { outcomes } = store();
      const [event, device, other] = [digestOf("$e"), digestOf("one"), digestOf("two")];
      const full = outcomeOf({
        device,
        event,
        request: "r-1",
        status: 410,
        answer: "Gone",
        kind: "rejected",
      });
      const plain = outcomeOf({ device: other, request: "r-1" });
      await outcomes.put([full, plain], keepAll);
      expect(await outcomes.find({ devices: [device] }, 10)).toEqual([full]);
      expect(await outcomes.find({ devices: [device, other] }, 10)).toEqual([plain, full]);
      expect(await outcomes.find({ devices: [device, other] }, 1)).toEqual([plain]);
      expect(await outcomes.find({ event }, 10)).toEqual([full]);
      expect(await outcomes.find({ id: "r-1" }, 10)).toEqual([plain, full]);
      expect(await outcomes.find({ id: plain.push }, 10)).toEqual([plain]);
      expect(await outcomes.find({ devices: [] }, 10)).toEqual([]);
      expect(await outcomes.find({ id: "' OR 1 = 1 --" }, 10)).toEqual([]);
    });

    it("keeps one row a push: the latest state, with the event and request that an earlier one knew", async () => {
      const { outcomes } = store();
      const first = outcomeOf({ kind: "accepted", reason: "timeout", event: digestOf("$f"), request: "r-2" });
      await outcomes.put([first], keepAll);
      const { event: _event, request: _request, ...known } = first;
      const ended: PastOutcome = {
        ...known,
        atMs: first.atMs + 5,
        kind: "delivered",
        reason: "",
        attempts: 3,
      };
      await outcomes.put([ended], keepAll);
      await outcomes.put([{ ...first, reason: "connect" }], keepAll);
      expect(await outcomes.find({ id: "r-2" }, 10)).toEqual([
        { ...ended, event: first.event, request: "r-2" },
      ]);
    });

    it("forgets the oldest beyond the bound, and those of before a time", async () => {
      const { outcomes } = store();
      const device = digestOf("many");
      const many = Array.from({ length: 20 }, () => outcomeOf({ device }));
      await outcomes.put(many, { maxRows: 5, forgetBeforeMs: 0 });
      expect(await outcomes.find({ devices: [device] }, 100)).toEqual(many.slice(-5).reverse());
      await outcomes.put([], { maxRows: 5, forgetBeforeMs: many.at(-2)?.atMs ?? 0 });
      expect(await outcomes.find({ devices: [device] }, 100)).toEqual(many.slice(-2).reverse());
    });

    it("refuses what is no digest", async () => {
      const { outcomes } = store();
      await expect(outcomes.put([outcomeOf({ device: "a-pushkey" })], keepAll)).rejects.toThrow("digest");
      await expect(outcomes.find({ devices: ["a-pushkey"] }, 1)).rejects.toThrow("digest");
    });
  });
}
