import { bloomMemory, createBloom } from "../../src/store/bloom.ts";
import { digestOf } from "../contract/store.contract.ts";

describe("the Bloom filter", () => {
  it("never denies what was added, in either form, on the same memory", () => {
    const memory = bloomMemory();
    const filter = createBloom(memory);
    filter.add(digestOf("text"));
    filter.addBytes(Buffer.from(digestOf("bytes"), "hex"));
    const other = createBloom(memory);
    expect(other.mayHave(digestOf("text"))).toBe(true);
    expect(other.mayHave(digestOf("bytes"))).toBe(true);
  });

  it("sets the same bits for both forms of a digest", () => {
    const asText = bloomMemory();
    const asBytes = bloomMemory();
    for (let i = 0; i < 100; i += 1) {
      createBloom(asText).add(digestOf(`${i}`));
      createBloom(asBytes).addBytes(Buffer.from(digestOf(`${i}`), "hex"));
    }
    expect(Buffer.from(asText).equals(Buffer.from(asBytes))).toBe(true);
  });

  it("denies nearly every stranger with a hundred thousand in it", () => {
    const filter = createBloom(bloomMemory());
    for (let i = 0; i < 100_000; i += 1) filter.add(digestOf(`member ${i}`));
    let wrong = 0;
    for (let i = 0; i < 10_000; i += 1) if (filter.mayHave(digestOf(`stranger ${i}`))) wrong += 1;
    expect(wrong).toBeLessThan(5);
  });
});
