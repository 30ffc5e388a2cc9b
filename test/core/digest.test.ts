import { createHmac, randomBytes } from "node:crypto";
import { Digests } from "../../src/core/digest.ts";

/** As digests have been made ever since, and as stores hold them. */
function stored(key: Uint8Array, ...parts: readonly string[]): string {
  const text = `${parts.map((part) => part.length).join(",")}:${parts.join("")}`;
  return createHmac("sha256", key).update(text).digest("hex");
}

describe("Digests", () => {
  it.each([
    ["a usual key and pushkey", 32, "com.example.ios", "m0Jt3wq8V2nX5kZrYc1uTgHfSdLpAoEiBvNxQyWzRk4="],
    ["a short key", 1, "com.example.ios", "pushkey"],
    ["a key as long as a block", 64, "com.example.ios", "pushkey"],
    ["a key longer than a block", 65, "com.example.ios", "pushkey"],
    ["what is no ASCII", 32, "фэ.example", "ключ 🔑 \u0000"],
    ["a lone surrogate", 32, "com.example", "\ud800"],
    ["nothing at all", 32, "", ""],
    ["the longest pushkey of three-byte characters", 32, "com.example", "ก".repeat(1365)],
    ["more than the scratch room holds", 32, "com.example", "é".repeat(5000)],
  ])("are HMAC-SHA256 of the parts with their lengths: %s", (_what, keyBytes, app, pushkey) => {
    const key = randomBytes(keyBytes);
    const digests = new Digests(key);
    // Longer and shorter ones in turn: nothing of the one before may be left over.
    for (let i = 0; i < 2; i += 1) {
      expect(digests.push(app, pushkey, "$event {}")).toBe(stored(key, "push", app, pushkey, "$event {}"));
      expect(digests.device(app, pushkey)).toBe(stored(key, "device", app, pushkey));
      expect(digests.request(app, "/send", pushkey)).toBe(stored(key, "request", app, "/send", pushkey));
      expect(digests.event(pushkey)).toBe(stored(key, "event", pushkey));
    }
  });

  it("tell lists of parts apart that read the same", () => {
    const digests = new Digests(randomBytes(32));
    expect(digests.device("ab", "c")).not.toBe(digests.device("a", "bc"));
  });
});
