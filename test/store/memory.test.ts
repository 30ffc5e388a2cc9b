import { openMemoryStore } from "../../src/store/memory.ts";
import { storeContract } from "../contract/store.contract.ts";

storeContract("memory", async () => openMemoryStore());

it("promises nothing", () => {
  expect(openMemoryStore().durable).toBe(false);
});
