import type * as crypto from "node:crypto";
import { createRequire } from "node:module";
import { jest } from "@jest/globals";
import { encrypt, MAX_BODY_BYTES, MAX_MESSAGE_BYTES } from "../../../src/pushkins/push-service/encrypt.ts";
import { createClientKeys, decryptMessage, readHeader } from "../../../src/simulator/webpush-crypto.ts";

/** RFC 8291 section 5 and appendix A. */
const vector = {
  message: "When I grow up, I want to be a watermelon",
  serverPrivate: "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
  clientPublic: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
  clientPrivate: "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
  auth: "BTBZMqHH6r4Tts7J_aSIgg",
  salt: "DGv6ra1nlYgDCS1FRnbzlw",
  body:
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3" +
    "jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
};

describe("the encryption of messages", () => {
  afterEach(() => void jest.restoreAllMocks());

  it("makes RFC 8291's example of the keys and the salt that it was made with", () => {
    // The library's own `crypto`: only what it draws by chance is given, all else is its work.
    const libraryCrypto = createRequire(import.meta.url)("crypto") as typeof crypto;
    const serverKeys = libraryCrypto.createECDH("prime256v1");
    serverKeys.setPrivateKey(Buffer.from(vector.serverPrivate, "base64url"));
    jest.spyOn(serverKeys, "generateKeys").mockImplementation(() => serverKeys.getPublicKey() as never);
    jest.spyOn(libraryCrypto, "createECDH").mockReturnValue(serverKeys);
    jest.spyOn(libraryCrypto, "randomBytes").mockReturnValue(Buffer.from(vector.salt, "base64url") as never);
    const body = encrypt(vector.message, { p256dh: vector.clientPublic, auth: vector.auth });
    expect(Buffer.from(body).toString("base64url")).toBe(vector.body);
  });

  it("RFC 8291's example is read by the simulator's decryption, which shares no code with the library", () => {
    const keys = createClientKeys({ privateKey: vector.clientPrivate, auth: vector.auth });
    expect(keys.handedOut.p256dh).toBe(vector.clientPublic);
    const read = decryptMessage(Buffer.from(vector.body, "base64url"), keys);
    expect(typeof read === "string" ? read : read.text.toString()).toBe(vector.message);
  });

  it("a message of any size is read back, and each time it looks different", () => {
    const keys = createClientKeys();
    for (const message of ["", "x", "Þjónusta 🚢", "a".repeat(MAX_MESSAGE_BYTES)]) {
      const bodies = [encrypt(message, keys.handedOut), encrypt(message, keys.handedOut)].map((body) =>
        Buffer.from(body),
      );
      for (const body of bodies) {
        const read = decryptMessage(body, keys);
        expect(typeof read === "string" ? read : read.text.toString()).toBe(message);
      }
      expect(bodies[0]?.equals(bodies[1] ?? Buffer.alloc(0))).toBe(false);
    }
  });

  it("the largest message makes a body of exactly 4096 bytes in one record", () => {
    const keys = createClientKeys();
    const body = Buffer.from(encrypt("a".repeat(MAX_MESSAGE_BYTES), keys.handedOut));
    expect(MAX_MESSAGE_BYTES).toBe(3_993);
    expect(body.length).toBe(MAX_BODY_BYTES);
    expect(readHeader(body)).toMatchObject({ recordSize: 4_096 });
    expect(encrypt("a".repeat(MAX_MESSAGE_BYTES + 1), keys.handedOut).length).toBe(MAX_BODY_BYTES + 1);
  });

  it("nobody else's keys read it", () => {
    const body = Buffer.from(encrypt("secret", createClientKeys().handedOut));
    expect(decryptMessage(body, createClientKeys())).toBe("the tag does not fit");
    const keys = createClientKeys();
    const tampered = Buffer.from(encrypt("secret", keys.handedOut));
    tampered[tampered.length - 1] = (tampered.at(-1) ?? 0) ^ 1;
    expect(decryptMessage(tampered, keys)).toBe("the tag does not fit");
  });
});
