import { createECDH, createPrivateKey, createPublicKey, type ECDH, type KeyObject } from "node:crypto";
import { isP256, parsePrivateKey } from "../../config/pem.ts";
import { readSmallFile } from "../../config/read-file.ts";

/** A VAPID key pair as RFC 8292 writes it: base64url, 32 and 65 bytes. */
export interface VapidKey {
  readonly privateKey: string;
  /** What an app passes as `applicationServerKey`. */
  readonly publicKey: string;
}

const WRONG_KIND = "holds a private key of another kind; VAPID keys are EC, P-256";
const NOTHING = "holds no private key: PEM, or base64url of the key's 32 bytes or of its DER form";

/**
 * The VAPID key of a file: PEM (PKCS#8 or SEC1), or in base64url the 32 bytes alone or DER, as the usual tools write
 * it. Else the rest of a sentence that begins with the option's name.
 */
export async function readVapidKey(path: string): Promise<VapidKey | { readonly problem: string }> {
  const file = await readSmallFile(path);
  return "problem" in file ? file : parseVapidKey(file.text);
}

/** The same for a file's text. */
export function parseVapidKey(text: string): VapidKey | { readonly problem: string } {
  if (text.includes("-----BEGIN")) {
    const parsed = parsePrivateKey(text);
    return "problem" in parsed ? parsed : fromKeyObject(parsed.key);
  }
  const compact = text.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9_+/-]+={0,2}$/.test(compact)) return { problem: NOTHING };
  const bytes = Buffer.from(compact, "base64url");
  if (bytes.length === 32) return fromScalar(bytes);
  const key = derKey(bytes);
  return key === undefined ? { problem: NOTHING } : fromKeyObject(key);
}

function derKey(der: Buffer): KeyObject | undefined {
  for (const type of ["pkcs8", "sec1"] as const) {
    try {
      return createPrivateKey({ key: der, format: "der", type });
    } catch {
      // The other form, then.
    }
  }
  return undefined;
}

function fromKeyObject(key: KeyObject): VapidKey | { readonly problem: string } {
  if (!isP256(key)) return { problem: WRONG_KIND };
  const { d } = key.export({ format: "jwk" });
  const { x, y } = createPublicKey(key).export({ format: "jwk" });
  if (d === undefined || x === undefined || y === undefined) return { problem: NOTHING };
  const point = [Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")];
  return { privateKey: d, publicKey: Buffer.concat(point).toString("base64url") };
}

function fromScalar(scalar: Buffer): VapidKey | { readonly problem: string } {
  try {
    const ecdh = createEcdh(scalar);
    return { privateKey: scalar.toString("base64url"), publicKey: ecdh.getPublicKey().toString("base64url") };
  } catch {
    return { problem: NOTHING };
  }
}

function createEcdh(scalar: Buffer): ECDH {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(scalar);
  return ecdh;
}
