import { randomBytes } from "node:crypto";
import { deviceTokenHex, type TokenEncoding } from "../../../src/pushkins/apns/device-token.ts";

const hex = "0123456789abcdef".repeat(4);
const base64 = (digits: string): string => Buffer.from(digits, "hex").toString("base64");

describe("a pushkey becomes the device token in hex", () => {
  const rows: readonly [string, string, TokenEncoding, string][] = [
    ["base64", base64(hex), "auto", hex],
    ["base64, forced", base64(hex), "base64", hex],
    ["base64 without its padding", base64(hex).replace(/=+$/, ""), "auto", hex],
    ["base64url", "-_-_", "auto", "fbffbf"],
    ["base64 of the same bytes", "+/+/", "auto", "fbffbf"],
    ["both alphabets at once", "+_-/", "auto", "fbffbf"],
    ["Sygnal's example (sygnal-compat 10.2)", "spqr", "auto", "b29aab"],
    ["hex", hex, "auto", hex],
    ["hex in upper case (matrix-push 10.2, case 36)", hex.toUpperCase(), "auto", hex],
    ["hex that is forced to be base64", "abcd", "base64", "69b71d"],
    ["64 hex digits that are forced to be base64", hex, "base64", Buffer.from(hex, "base64").toString("hex")],
    ["hex of two bytes, forced", "00FF", "hex", "00ff"],
    ["a short text of hex digits, as likely base64", "abcdef12", "auto", "69b71d79fd76"],
    ["80 bytes, as live activities have", base64("ab".repeat(80)), "auto", "ab".repeat(80)],
    ["80 bytes in hex", "ab".repeat(80), "auto", "ab".repeat(80)],
  ];
  it.each(rows)("%s", (_what, pushkey, encoding, expected) => {
    expect(deviceTokenHex(pushkey, encoding)).toBe(expected);
  });

  it("whatever its length, written with and without padding and in either alphabet", () => {
    for (let length = 2; length < 120; length += 1) {
      const bytes = randomBytes(length);
      const expected = bytes.toString("hex");
      for (const text of [bytes.toString("base64"), bytes.toString("base64url")]) {
        expect(deviceTokenHex(text, "base64")).toBe(expected);
        expect(deviceTokenHex(text.replace(/=+$/, ""), "base64")).toBe(expected);
      }
      expect(deviceTokenHex(expected, "hex")).toBe(expected);
    }
  });
});

describe("a pushkey that can be no device token (matrix-push 10.2, case 37; B19, H20)", () => {
  const rows: readonly [string, string, TokenEncoding][] = [
    ["nothing", "", "auto"],
    ["nothing but padding", "==", "auto"],
    ["one byte", "AA==", "auto"],
    ["one byte of hex", "ab", "hex"],
    ["half a byte left over", "AAAAA", "auto"],
    ["padding that completes nothing", "AAAA=", "auto"],
    ["too much padding", "AAA==", "auto"],
    ["padding in the middle", "AA==AAAA", "auto"],
    ["a space", "AAAA AAAA", "auto"],
    ["a line end", "AAAA\r\nAAAA", "auto"],
    ["a line end behind it", "AAAAAAAA\n", "auto"],
    ["a way out of the path", "../../secret", "auto"],
    ["an escaped NUL", "%00AA", "auto"],
    ["a query", "AAAA?x=1", "auto"],
    ["letters of another script", "АААА", "auto"],
    ["a registration token of FCM", "fXk2Qw9eTsu:APA91bGh0Rk3NvLpYtUoZxCqWmJd", "auto"],
    ["a URL", "https://push.example.net/UP?token=1", "auto"],
    ["base64, when it must be hex", base64(hex), "hex"],
    ["an odd number of hex digits, when it must be hex", hex.slice(1), "hex"],
  ];
  it.each(rows)("%s", (_what, pushkey, encoding) => {
    expect(deviceTokenHex(pushkey, encoding)).toBeUndefined();
  });

  it("is found out in time that grows with its length alone", () => {
    const startedMs = performance.now();
    for (const text of ["a".repeat(1_000_001), "=".repeat(1_000_000), `${"A".repeat(1_000_000)}=A`]) {
      deviceTokenHex(text, "auto");
    }
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});
