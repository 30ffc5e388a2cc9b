// A process of its own that promises, claims and ends pushes without end, saying on standard output what the store has
// acknowledged, one JSON array a line: to be killed. argv: file, owner.
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { createHash, randomUUID } from "node:crypto";
import { writeSync } from "node:fs";

const [file = "", owner = ""] = process.argv.slice(2);
const digestOf = (name: string): string => createHash("sha256").update(name).digest("hex");
const say = (...line: readonly string[]): void => void writeSync(1, `${JSON.stringify(line)}\n`);
const caps = { maxRows: 1e6, maxBytes: 1e9, maxAppRows: 1e6, maxAppBytes: 1e9 };
const lease = { owner, leaseMs: 60_000 };

const { outbox } = await openSqliteStore(file, {
  clock: systemClock,
  onFailure: () => process.exit(1),
  onHealth() {},
  // Killed is what it is to be: it must not end by itself where the machine is slow.
  deadlineMs: 60_000,
});
say("open");

async function promise(): Promise<void> {
  for (;;) {
    const entries = Array.from({ length: 5 }, (_, i) => {
      const id = randomUUID();
      const badge = i === 0 ? { slot: "badge", device: digestOf(`${owner} badge`) } : {};
      return {
        id,
        app: `app ${i % 2}`,
        device: digestOf(id),
        key: digestOf(`key ${id}`),
        payload: `{"id":"${id}"}`,
        attempts: 0,
        dueInMs: 0,
        expiresInMs: 3_600_000,
        receivedAtMs: systemClock.now(),
        ...badge,
      };
    });
    // Badges replace each other, so that one alone of them is there in the end: they are not in what is expected.
    const results = await outbox.put(entries, caps);
    results.forEach(({ kind }, i) => {
      const { id = "", slot } = entries[i] ?? {};
      if (kind === "stored" && slot === undefined) say("put", id);
    });
  }
}

async function work(): Promise<void> {
  for (;;) {
    const claimed = await outbox.claim({ apps: ["app 0", "app 1"], limit: 4, lease });
    for (const { id } of claimed) say("claimed", id);
    const [handed, postponed] = claimed;
    if (handed !== undefined) {
      // Said before: once it is asked for, it may be gone.
      say("ending", handed.id);
      await outbox.settle([{ id: handed.id, token: handed.token, state: "handed" }]);
      say("ended", handed.id);
    }
    if (postponed !== undefined) {
      await outbox.postpone([{ id: postponed.id, token: postponed.token, attempts: 1, dueInMs: 0 }]);
    }
  }
}

await Promise.all([promise(), promise(), promise(), work(), work()]);
