import { openMemoryStore } from "../../src/store/memory.ts";
import { storeContract } from "../contract/store.contract.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const clock = createFakeClock();
storeContract("memory", async () => openMemoryStore(clock), {
  advance: (ms) => clock.advance(ms),
  oneProcess: true,
});

it("promises nothing", () => {
  expect(openMemoryStore().durable).toBe(false);
});
