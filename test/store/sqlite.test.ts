import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { storeContract } from "../contract/store.contract.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

storeContract("sqlite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  folders.push(folder);
  return openSqliteStore(join(folder, "s.db"), {
    clock: systemClock,
    onFailure: () => expect("the store's thread").toBe("alive"),
    onHealth: (trouble) => expect(trouble).toBeUndefined(),
  });
});
