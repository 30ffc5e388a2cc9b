import { bloomBytes, bloomMemory, createBloom } from "../../src/store/bloom.ts";
import { digestOf } from "../contract/store.contract.ts";

describe("the Bloom filter", () => {
  it("never denies what was added, whole or its beginning, on the same memory", () => {
    const memory = bloomMemory();
    const filter = createBloom(memory);
    filter.add(digestOf("text"));
    filter.add(
      digestOf("beginning")
        .slice(0, 2 * bloomBytes)
        .toUpperCase(),
    );
    const other = createBloom(memory);
    expect(other.mayHave(digestOf("text"))).toBe(true);
    expect(other.mayHave(digestOf("beginning"))).toBe(true);
  });

  it("sets the same bits for a digest and for its beginning as the database prints it", () => {
    const whole = bloomMemory();
    const beginning = bloomMemory();
    for (let i = 0; i < 100; i += 1) {
      createBloom(whole).add(digestOf(`${i}`));
      createBloom(beginning).add(
        digestOf(`${i}`)
          .slice(0, 2 * bloomBytes)
          .toUpperCase(),
      );
    }
    expect(Buffer.from(whole).equals(Buffer.from(beginning))).toBe(true);
  });

  it("denies nearly every stranger with a hundred thousand in it", () => {
    const filter = createBloom(bloomMemory());
    for (let i = 0; i < 100_000; i += 1) filter.add(digestOf(`member ${i}`));
    let wrong = 0;
    for (let i = 0; i < 10_000; i += 1) if (filter.mayHave(digestOf(`stranger ${i}`))) wrong += 1;
    expect(wrong).toBeLessThan(5);
  });
});
