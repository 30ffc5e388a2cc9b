// A process of its own that opens a store and puts verdicts without end, saying which are acknowledged: to be killed.
// argv: file, prefix of the devices' names. Without a prefix it only holds the store open.
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";

const [file = "", prefix] = process.argv.slice(2);
const store = await openSqliteStore(file, {
  clock: systemClock,
  onFailure: () => process.exit(1),
  onHealth() {},
  // Killed is what it is to be: it must not end by itself where the machine is slow.
  deadlineMs: 60_000,
});
writeSync(1, "open\n");
for (let i = 0; prefix !== undefined; i += 20) {
  await Promise.all(
    Array.from({ length: 20 }, async (_, k) => {
      const name = `${prefix}${i + k}`;
      const device = createHash("sha256").update(name).digest("hex");
      await store.rejections.put("app", device, { sinceMs: i, keepUntilMs: Number.MAX_SAFE_INTEGER });
      writeSync(1, `${name}\n`);
    }),
  );
}
