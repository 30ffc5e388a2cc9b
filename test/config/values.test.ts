import { isLoopback, normaliseCidr } from "../../src/config/cidr.ts";
import { parseDuration } from "../../src/config/durations.ts";
import { readers } from "../../src/config/readers.ts";
import { expandVariables } from "../../src/config/secrets.ts";
import { suggest } from "../../src/config/suggest.ts";
import { weakness } from "../../src/config/weak-secret.ts";

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["5s", 5000],
    ["10m", 600_000],
    ["24h", 86_400_000],
    ["30d", 2_592_000_000],
    ["1.5s", 1500],
    [" 5s ", 5000],
    [5, 5000],
    [0.25, 250],
    [0, 0],
    ["0", 0],
    ["7", 7000],
  ])("%p is %p ms", (value, ms) => {
    expect(parseDuration(value)).toBe(ms);
  });

  it.each(["", "s", "-5s", "5 s", "5w", "5sec", "1e9", "99999d", -1, NaN, Infinity, null, true, [], {}])(
    "%p is none",
    (value) => {
      expect(parseDuration(value)).toBeUndefined();
    },
  );
});

describe("blocks of addresses", () => {
  it.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["127.0.0.1", "127.0.0.1/32"],
    ["::1", "::1/128"],
    ["fd00::/8", "fd00::/8"],
    ["10.0.0.0/08", "10.0.0.0/8"],
  ])("%s is %s", (text, cidr) => {
    expect(normaliseCidr(text)).toBe(cidr);
  });

  it.each([
    "",
    "10.0.0.0/33",
    "::/129",
    "10.0.0/8",
    "localhost",
    "10.0.0.0/8/8",
    "10.0.0.0/",
    "fe80::1%eth0",
  ])("%p is none", (text) => {
    expect(normaliseCidr(text)).toBeUndefined();
  });

  it.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["localhost", true],
    ["0.0.0.0", false],
    ["::", false],
    ["10.0.0.1", false],
    ["127.example.com", false],
  ])("loopback or not: %s, %s", (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});

describe("readers", () => {
  it.each([
    ["port", "5000", 5000],
    ["port", 0, 0],
    ["bind_address", "", "0.0.0.0"],
    ["bind_address", "::1", "::1"],
    ["bind_address", "localhost", "localhost"],
    ["base_url", "https://localhost:2197/", "https://localhost:2197"],
    ["base_url", "http://127.0.0.1/v1/", "http://127.0.0.1/v1"],
    ["proxy_url", "http://user:p%40ss@proxy:3128", "http://user:p%40ss@proxy:3128"],
    ["store_url", "sqlite:/var/lib/x.db", "sqlite:/var/lib/x.db"],
    ["store_url", "postgresql://u:p@h/db", "postgresql://u:p@h/db"],
    ["store_url", "memory:", "memory:"],
    ["store_url", "memory", "memory:"],
    ["rate", "600/m", { count: 600, window: 60_000 }],
    ["rate", false, null],
    ["rate", "off", null],
    ["exactly_true", "true", false],
    ["exactly_true", true, true],
    ["truthy", "no", true],
    ["truthy", [], false],
    ["truthy", {}, false],
    ["truthy", 0, false],
  ])("%s takes %p as %p", (reader, value, expected) => {
    expect(readers.get(reader)?.read(value)).toEqual({ value: expected });
  });

  it.each([
    ["port", "65536"],
    ["port", 1.5],
    ["port", true],
    ["port", "http"],
    ["bind_address", "256.1.1.1"],
    ["bind_address", "a b"],
    ["base_url", "localhost:2197"],
    ["base_url", "ftp://localhost"],
    ["base_url", "https://user:secret-word@localhost"],
    ["proxy_url", "proxy:3128"],
    ["proxy_url", "proxy.example.com"],
    ["proxy_url", "http://"],
    ["proxy_url", "http://:3128"],
    ["proxy_url", "http://user:secret-word@"],
    ["proxy_url", "//proxy:3128"],
    ["proxy_url", "https://secret-word@proxy"],
    ["proxy_url", "socks5://proxy"],
    ["store_url", "sqlite:"],
    ["store_url", "mysql://u:secret-word@h/db"],
    ["rate", "0/s"],
    ["rate", 5],
    ["strong_secret", "secret-word"],
  ])("%s refuses %p without repeating it", (reader, value) => {
    const reading = readers.get(reader)?.read(value);
    expect(reading).toHaveProperty("problem");
    expect(JSON.stringify(reading)).not.toContain("secret-word");
  });
});

describe("secrets", () => {
  it.each([
    ["${A}", "x", []],
    ["pre-${A}-${B}", "pre-x-y", []],
    ["$A and $(A) and ${a-b} and $", "$A and $(A) and ${a-b} and $", []],
    ["$${A}", "${A}", []],
    ["${NONE}${EMPTY}", "", ["NONE", "EMPTY"]],
  ])("%s is expanded to %p", (text, expanded, missing) => {
    expect(expandVariables(text, { A: "x", B: "y", EMPTY: "" })).toEqual({ text: expanded, missing });
  });

  it.each([
    ["short", "at least 32 bytes"],
    ["0123456789012345678901234567890", "at least 32 bytes"],
    ["please-change-me-please-change-me-please", "example"],
    ["a-key-of-32-characters-or-more-and-more", "example"],
    ["a".repeat(64), "easy to guess"],
    ["abababababababababababababababababab", "easy to guess"],
  ])("%s is too weak", (secret, message) => {
    expect(weakness(secret, 32)).toContain(message);
  });

  it("32 random bytes are strong enough", () => {
    expect(weakness("qL3v0Xw9ZbT1mKcYh7RfUd2sNpE5gAjO", 32)).toBeUndefined();
  });
});

describe("did you mean", () => {
  const keys = ["answer_within", "expire_after", "dedupe_for", "port", "http"];
  it.each([
    ["answer_whitin", "answer_within"],
    ["answerWithin", "answer_within"],
    ["expires_after", "expire_after"],
    ["prot", "port"],
    ["htp", "http"],
    ["completely_other", undefined],
    ["", undefined],
  ])("%s: %s", (word, expected) => {
    expect(suggest(word, keys)).toBe(expected);
  });
});
