import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes, verify } from "node:crypto";
import type { ECDH } from "node:crypto";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";

/** A browser's side of a subscription: what it keeps to itself and what it hands out. */
export interface ClientKeys {
  readonly ecdh: ECDH;
  readonly auth: Buffer;
  /** base64url, as `PushSubscription.toJSON` has them. */
  readonly handedOut: { readonly p256dh: string; readonly auth: string };
}

/** New keys, or those of a given private one (base64url). */
export function createClientKeys(
  given: { readonly privateKey?: string; readonly auth?: string } = {},
): ClientKeys {
  const ecdh = createECDH("prime256v1");
  if (given.privateKey === undefined) ecdh.generateKeys();
  else ecdh.setPrivateKey(Buffer.from(given.privateKey, "base64url"));
  const auth = given.auth === undefined ? randomBytes(16) : Buffer.from(given.auth, "base64url");
  const p256dh = ecdh.getPublicKey().toString("base64url");
  return { ecdh, auth, handedOut: { p256dh, auth: auth.toString("base64url") } };
}

/** A message's header as RFC 8188 2.1 lays it out. */
export interface MessageHeader {
  readonly salt: Buffer;
  readonly recordSize: number;
  readonly keyId: Buffer;
  readonly ciphertext: Buffer;
}

/** Undefined when the body is too short to hold a header and a record. */
export function readHeader(body: Buffer): MessageHeader | undefined {
  if (body.length < 21) return undefined;
  const start = 21 + body.readUInt8(20);
  if (body.length < start + 17) return undefined;
  return {
    salt: body.subarray(0, 16),
    recordSize: body.readUInt32BE(16),
    keyId: body.subarray(21, start),
    ciphertext: body.subarray(start),
  };
}

/** What the body says, by RFC 8291 with Node's own primitives; or why a browser could not read it. */
export function decryptMessage(body: Buffer, { ecdh, auth }: ClientKeys): { readonly text: Buffer } | string {
  const header = readHeader(body);
  if (header === undefined) return "too short";
  const { salt, recordSize, keyId, ciphertext } = header;
  if (keyId.length !== 65) return "the key id is no public key";
  if (ciphertext.length > recordSize) return "more than one record";
  let secret: Buffer;
  try {
    secret = ecdh.computeSecret(keyId);
  } catch {
    return "the key id is no point of the curve";
  }
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), ecdh.getPublicKey(), keyId]);
  const ikm = derive(auth, secret, info, 32);
  const key = derive(salt, ikm, Buffer.from("Content-Encoding: aes128gcm\0"), 16);
  const nonce = derive(salt, ikm, Buffer.from("Content-Encoding: nonce\0"), 12);
  const decipher = createDecipheriv("aes-128-gcm", key, nonce);
  decipher.setAuthTag(ciphertext.subarray(-16));
  let padded: Buffer;
  try {
    padded = Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()]);
  } catch {
    return "the tag does not fit";
  }
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end -= 1;
  // 2 ends the last record (RFC 8188 2).
  return padded[end] === 2 ? { text: padded.subarray(0, end) } : "no delimiter of a last record";
}

function derive(salt: Buffer, ikm: Buffer, info: Buffer, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", ikm, salt, info, bytes));
}

/** A VAPID header that was understood and whose signature holds. */
export interface VapidClaims {
  readonly aud: unknown;
  readonly exp: unknown;
  readonly sub: unknown;
  /** The public key that signed: base64url of 65 bytes. */
  readonly key: string;
}

/** Reads `Authorization: vapid t=…, k=…` (RFC 8292 3); a string says what is wrong with it. */
export function readVapid(header: string | undefined): VapidClaims | string {
  if (header === undefined) return "missing";
  const match = /^vapid\s+(.+)$/i.exec(header);
  const parameters = new Map(
    (match?.[1] ?? "").split(",").map((part) => {
      const [name = "", value = ""] = part.trim().split(/=(.*)/s);
      return [name, value] as const;
    }),
  );
  const key = parameters.get("k") ?? "";
  const [head = "", claims = "", signature = "", ...more] = (parameters.get("t") ?? "").split(".");
  if (key.length !== 87 || signature === "" || more.length > 0) return "not of the form vapid t=…, k=…";
  const protectedHeader = parseSegment(head);
  const payload = parseSegment(claims);
  if (protectedHeader?.["alg"] !== "ES256" || payload === undefined) return "no ES256 token";
  const point = Buffer.from(key, "base64url");
  const jwk = {
    kty: "EC",
    crv: "P-256",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
  };
  try {
    const holds = verify(
      "sha256",
      Buffer.from(`${head}.${claims}`),
      { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64url"),
    );
    return holds
      ? { aud: payload["aud"], exp: payload["exp"], sub: payload["sub"], key }
      : "the signature does not hold";
  } catch {
    return "the key is no point of the curve";
  }
}

function parseSegment(text: string): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return isJsonObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
