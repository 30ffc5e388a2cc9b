import { systemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { openStore } from "../../src/store/open.ts";
import { parseStoreUrl } from "../../src/store/store-url.ts";

describe("store.url", () => {
  it.each([
    ["memory:", { kind: "memory" }],
    ["sqlite:signalbox.db", { kind: "sqlite", file: "signalbox.db" }],
    ["sqlite:/var/lib/signalbox/a b.db", { kind: "sqlite", file: "/var/lib/signalbox/a b.db" }],
  ])("%s is understood", (url, expected) => {
    expect(parseStoreUrl(url)).toEqual(expected);
  });

  it.each([
    "",
    "sqlite:",
    "sqlite:/var/lib/",
    "sqlite::memory:",
    "sqlite:a\0b",
    "memory",
    "mysql://h/d",
    "signalbox.db",
    "postgresql:db",
    "postgresql://user:secret@host",
    "postgresql://user:secret@host/db?sslmode=secret",
    "postgresql://user:secret@host,other/db",
    "postgresql://user:%secret@host/db",
  ])("%j is refused with a sentence that repeats no password", async (url) => {
    const opening = openStore(url, { clock: systemClock, log: silentLog });
    await expect(opening).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    await expect(opening).rejects.toThrow(/^store\.url: (?!.*secret)/);
  });

  it("names a PostgreSQL server in either spelling", () => {
    for (const scheme of ["postgres", "postgresql"]) {
      expect(parseStoreUrl(`${scheme}://user:secret@host/db`)).toMatchObject({
        kind: "postgresql",
        server: { label: "host:5432/db" },
      });
    }
  });

  it("opens a store in memory", async () => {
    const store = await openStore("memory:", { clock: systemClock, log: silentLog });
    expect(store.durable).toBe(false);
    await store.close();
  });
});
