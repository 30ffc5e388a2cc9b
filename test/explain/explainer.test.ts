import { silentObserver } from "../../src/core/observer.ts";
import type { Settled } from "../../src/core/outcome.ts";
import { explain } from "../../src/explain/explainer.ts";
import { History } from "../../src/explain/history.ts";
import { Refusals } from "../../src/explain/refusals.ts";
import { words } from "../../src/explain/words.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { push } from "../support/builders.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const APP = "com.example.ios";

/** Tells a history how a push ended, and gives what is explained of it. */
async function explained(settled: Settled, laterMs = 0): Promise<string> {
  const clock = createFakeClock();
  const store = openMemoryStore(clock);
  const digests = {
    device: (app: string, pushkey: string) =>
      Buffer.from(`${app} ${pushkey}`).toString("hex").padEnd(64, "0").slice(0, 64),
    event: (eventId: string) => Buffer.from(eventId).toString("hex").padEnd(64, "0").slice(0, 64),
  };
  const bounds = () => ({ keepMs: 60_000, maxRows: 100 });
  const history = new History({ outcomes: store.outcomes, digests, clock, bounds });
  const observer = { ...silentObserver, ...history.observer };
  const made = push();
  observer.settled({
    app: APP,
    pushkin: "apns",
    push: made,
    requestId: "the-request",
    device: digests.device(APP, made.pushkey),
    settled,
    durationMs: 1,
    attempts: 1,
  });
  await clock.advance(laterMs);
  const { text } = await explain("the-request", {
    history,
    refusals: new Refusals(clock),
    store,
    digests,
    clock,
    apps: () => new Map(),
    circuits: () => [],
  });
  await history.stop();
  await store.close();
  return text;
}

const reasonsOf = <Reason extends string>(table: Readonly<Record<Reason, unknown>>): readonly Reason[] =>
  Object.keys(table) as Reason[];

/** Every way in which a push can end or wait; the tables of words have every reason of the core, which the types hold. */
const ends: readonly (readonly [string, Settled, string])[] = [
  ["delivered", { kind: "delivered" }, "delivered"],
  ["accepted beside an equal one", { kind: "accepted" }, "waiting"],
  ...reasonsOf(words.rejected).map(
    (reason) => [`rejected: ${reason}`, { kind: "rejected", reason }, "rejected"] as const,
  ),
  ...reasonsOf(words.dropped).map(
    (reason) => [`dropped: ${reason}`, { kind: "dropped", reason }, "not sent"] as const,
  ),
  ...reasonsOf(words.retryable).flatMap((reason) => [
    [`sent back: ${reason}`, { kind: "retryable", reason }, "sent back"] as const,
    [`promised: ${reason}`, { kind: "accepted", because: { kind: "retryable", reason } }, "waiting"] as const,
  ]),
];

describe("explain", () => {
  it.each(ends)(
    "says of a push that was %s when it was, what happened, and what to do",
    async (_end, settled, name) => {
      const [head, what, todo, ...rest] = (await explained(settled)).split("\n");
      expect(head).toMatch(
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}[a-z ]+ {2}\(com\.example\.ios, Apple, device [0-9a-f]{8}\)$/,
      );
      expect(head).toContain(`  ${name}  `);
      expect(what).toMatch(/^ {2}[A-Z][^{}]{20,}\.$/);
      expect(what).not.toContain("this version does not know");
      expect(todo).toMatch(/^ {2}What to do: [A-Z][^{}]{8,}\.$/);
      expect(rest).toEqual([]);
    },
  );

  it("calls what waited until it was too old not sent, and says why", async () => {
    const because = { kind: "retryable", reason: "connect" } as const;
    const text = await explained({ kind: "accepted", because }, 25 * 60 * 60 * 1_000);
    expect(text).toMatch(/Z {2}not sent {2}\(.*\)\n {2}No connection to Apple.*and was given up\.\n/);
    expect(text).not.toContain("waiting");
  });

  it("has no two ends with the same words", async () => {
    const texts = await Promise.all(
      ends.map(async ([, settled]) => (await explained(settled)).split("\n")[1]),
    );
    expect(new Set(texts).size).toBe(ends.length);
  });
});
