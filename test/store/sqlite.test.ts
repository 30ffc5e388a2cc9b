import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { storeContract } from "../contract/store.contract.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

const clock = createFakeClock();

async function open(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  folders.push(folder);
  return openSqliteStore(join(folder, "s.db"), {
    clock,
    onFailure: () => expect("the store's thread").toBe("alive"),
    onHealth: (trouble) => expect(trouble).toBeUndefined(),
  });
}

storeContract("sqlite", open, { advance: (ms) => clock.advance(ms), oneProcess: true });
