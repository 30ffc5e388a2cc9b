import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { readKeys } from "../../../src/pushkins/push-service/subscription-keys.ts";
import { parseVapidKey } from "../../../src/pushkins/push-service/vapid-key.ts";
import { createClientKeys } from "../../../src/simulator/webpush-crypto.ts";
import { vapidKeyPair } from "./fixture.ts";

describe("a subscription's keys", () => {
  const { p256dh, auth } = createClientKeys().handedOut;
  const standard = (text: string): string => Buffer.from(text, "base64url").toString("base64");

  it("are taken in either alphabet, padded or not", () => {
    for (const [key, secret] of [
      [p256dh, auth],
      [standard(p256dh), standard(auth)],
      [`${p256dh}=`, `${auth}==`],
    ] as const) {
      expect(readKeys(key, secret)).toEqual({ p256dh, auth });
    }
  });

  it.each([
    ["an empty key", "", auth],
    ["a key that is no base64", "not a key!", auth],
    ["a key that is too short", p256dh.slice(0, -2), auth],
    ["a key that is too long", `${p256dh}AAAA`, auth],
    [
      "a compressed point",
      Buffer.concat([Buffer.from([2]), Buffer.alloc(32, 7)]).toString("base64url"),
      auth,
    ],
    // The example of matrix-push 9.19: right length, no point of the curve.
    [
      "no point",
      "BKpuA0y1dZkq5Q3nV7XcLh2tRwYmS9oEiGfJbNxTzUaHcQvWlPdKsMrOeIyBgZt4uFxCnAqVjXhLwTkRmYpSdE8",
      auth,
    ],
    ["the point at infinity", Buffer.from([4, ...new Array<number>(64).fill(0)]).toString("base64url"), auth],
    ["an empty auth", p256dh, ""],
    ["an auth of 15 bytes", p256dh, Buffer.alloc(15, 1).toString("base64url")],
    ["an auth of 17 bytes", p256dh, Buffer.alloc(17, 1).toString("base64url")],
    ["an auth that is no base64", p256dh, "********************"],
    ["a megabyte", "B".repeat(1_000_000), auth],
  ])("%s can never work", (_what, key, secret) => {
    expect(readKeys(key, secret)).toBeUndefined();
  });
});

describe("a VAPID key file", () => {
  const { privateKey, publicKey } = vapidKeyPair();
  const ecdh = (): ReturnType<typeof createPrivateKey> => {
    const point = Buffer.from(publicKey, "base64url");
    const jwk = {
      kty: "EC",
      crv: "P-256",
      d: privateKey,
      x: point.subarray(1, 33).toString("base64url"),
      y: point.subarray(33).toString("base64url"),
    };
    return createPrivateKey({ key: jwk, format: "jwk" });
  };
  const der = (type: "pkcs8" | "sec1"): string =>
    ecdh().export({ format: "der", type }).toString("base64url");
  const pem = (type: "pkcs8" | "sec1"): string => ecdh().export({ format: "pem", type }).toString();

  it.each<[string, () => string]>([
    ["PKCS#8 in PEM", () => pem("pkcs8")],
    ["SEC1 in PEM", () => pem("sec1")],
    ["PEM with text before it", () => `a comment\n${pem("sec1")}`],
    ["PKCS#8 in base64url", () => der("pkcs8")],
    ["SEC1 in base64url", () => `${der("sec1")}\n`],
    ["the 32 bytes in base64url", () => privateKey],
    ["… padded, with a line break", () => `${privateKey}=\n`],
    ["… in the standard alphabet", () => Buffer.from(privateKey, "base64url").toString("base64")],
  ])("may be %s", (_what, text) => {
    expect(parseVapidKey(text())).toEqual({ privateKey, publicKey });
  });

  it.each<[string, () => string, RegExp]>([
    ["is empty", () => "", /no private key/],
    ["holds a public key", () => publicKey, /no private key/],
    ["holds rubbish", () => "this is no key", /no private key/],
    ["holds zero", () => Buffer.alloc(32).toString("base64url"), /no private key/],
    ["holds more than the curve has", () => Buffer.alloc(32, 0xff).toString("base64url"), /no private key/],
    [
      "holds a key of another curve",
      () =>
        generateKeyPairSync("ec", { namedCurve: "P-384" })
          .privateKey.export({ type: "pkcs8", format: "pem" })
          .toString(),
      /another kind/,
    ],
    [
      "holds a key of another curve as DER",
      () =>
        generateKeyPairSync("ec", { namedCurve: "P-384" })
          .privateKey.export({ type: "pkcs8", format: "der" })
          .toString("base64url"),
      /another kind/,
    ],
  ])("that %s is refused in a sentence", (_what, text, problem) => {
    expect(parseVapidKey(text())).toEqual({ problem: expect.stringMatching(problem) });
  });
});
