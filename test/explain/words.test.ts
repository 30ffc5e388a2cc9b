import { readFileSync } from "node:fs";
import { words, wordsFor } from "../../src/explain/words.ts";
import type { PastOutcome } from "../../src/store/store.ts";

const source = readFileSync(new URL("../../src/core/outcome.ts", import.meta.url), "utf8");

/** The members of a union of words in core/outcome.ts, as it is written. */
function membersOf(type: string): readonly string[] {
  const text = new RegExp(`export type ${type} =([^]*?);\\n\\n`).exec(source)?.[1] ?? "";
  return [...text.matchAll(/\| "([a-z-]+)"/g)].map(([, member = ""]) => member);
}

const outcome: PastOutcome = {
  push: "00000000-0000-4000-8000-000000000001",
  atMs: 0,
  app: "com.example.ios",
  pushkin: "apns",
  device: "ab".repeat(32),
  kind: "delivered",
  reason: "",
  attempts: 1,
  expiresAtMs: 1_000,
};

describe("the words of explain", () => {
  it.each([
    ["RejectReason", words.rejected],
    ["RetryReason", words.retryable],
    ["DropReason", words.dropped],
  ])("have a sentence for each %s of the core, and for nothing else", (type, table) => {
    expect(membersOf(type).length).toBeGreaterThan(5);
    expect(Object.keys(table).sort()).toEqual([...membersOf(type)].sort());
  });

  const rows = (["rejected", "retryable", "dropped"] as const).flatMap((kind) =>
    Object.keys(words[kind]).map((reason) => [kind, reason] as const),
  );

  it.each(rows)("say of %s %s what happened, with every name filled in", (kind, reason) => {
    for (const pushkin of ["apns", "gcm", "webpush", "unifiedpush", ""]) {
      const { what, todo = "" } = wordsFor({ ...outcome, pushkin, kind, reason }, 0);
      expect(`${what} ${todo}`).not.toMatch(/[{}]|undefined|  /);
      expect(what).toMatch(/^[A-Z].*[.)]$/);
    }
  });

  it("name the upstream and the app, and what it answered", () => {
    const gone = wordsFor(
      { ...outcome, kind: "rejected", reason: "unregistered", status: 410, answer: "Gone" },
      0,
    );
    expect(gone.what).toMatch(/^Apple said .*\(It answered 410 Gone\.\)$/);
    const held = wordsFor({ ...outcome, kind: "accepted", reason: "held", pushkin: "gcm" }, 0);
    expect(held.what).toContain("Google said");
    expect(held.todo).toContain("com.example.ios");
  });

  it("tell a promise that waits from one whose time is over", () => {
    const promised = { ...outcome, kind: "accepted", reason: "timeout" } as const;
    expect(wordsFor(promised, 999).what).toContain("tried again by itself until 1970-01-01T00:00:01.000Z");
    expect(wordsFor(promised, 1_001).what).toContain("too old to be useful");
  });

  it("say so of a reason that another version wrote", () => {
    expect(wordsFor({ ...outcome, kind: "dropped", reason: "of-the-future" }, 0).what).toContain(
      "this version does not know",
    );
  });
});
