import { createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";

/** A signing key that the simulated APNs knows. */
export interface ApnsKey {
  /** 10 characters. */
  readonly keyId: string;
  /** 10 characters. */
  readonly teamId: string;
  /** PEM of the public key, or of the private one (the `.p8`). */
  readonly keyPem: string;
  /** Scoped to one environment; absent: good for both. */
  readonly environment?: "production" | "sandbox";
  /** Scoped to these topics; absent: all of the team's. */
  readonly topics?: readonly string[];
}

/** What a provider token with a good signature says. */
export interface ProviderToken {
  readonly key: ApnsKey;
  readonly issuedAtMs: number;
}

const MAX_TOKEN_LENGTH = 4096;
const MAX_CACHED = 1000;

/** Splits and verifies a JWS in compact form; undefined when its form or its signature is bad. */
export function readJws(
  jws: string,
  check: (header: JsonObject, data: Buffer, signature: Buffer) => boolean,
): JsonObject | undefined {
  const parts = jws.split(".");
  const [header, claims, signature] = parts;
  if (parts.length !== 3 || header === undefined || claims === undefined || signature === undefined)
    return undefined;
  const head = parseObject(header);
  const body = parseObject(claims);
  if (head === undefined || body === undefined) return undefined;
  const data = Buffer.from(`${header}.${claims}`, "ascii");
  return check(head, data, Buffer.from(signature, "base64url")) ? body : undefined;
}

function parseObject(base64url: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64url, "base64url").toString("utf8"));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Verifies provider tokens (apns.md section 4), each different one once. */
export class ProviderTokenVerifier {
  readonly #keys = new Map<string, { readonly key: ApnsKey; readonly publicKey: KeyObject }>();
  readonly #known = new Map<string, ProviderToken | undefined>();

  constructor(keys: readonly ApnsKey[]) {
    for (const key of keys) this.add(key);
  }

  add(key: ApnsKey): void {
    this.#keys.set(key.keyId, { key, publicKey: createPublicKey(key.keyPem) });
    this.#known.clear();
  }

  /** Revokes a key: its tokens are invalid from now on. */
  remove(keyId: string): void {
    this.#keys.delete(keyId);
    this.#known.clear();
  }

  /** The token's meaning, whatever its age; undefined when key, signature, issuer or form is wrong. */
  verify(jwt: string): ProviderToken | undefined {
    const known = this.#known.get(jwt);
    if (known !== undefined || this.#known.has(jwt)) return known;
    const token = jwt.length > MAX_TOKEN_LENGTH ? undefined : this.#read(jwt);
    if (this.#known.size >= MAX_CACHED) this.#known.clear();
    this.#known.set(jwt, token);
    return token;
  }

  #read(jwt: string): ProviderToken | undefined {
    let found: ApnsKey | undefined;
    const claims = readJws(jwt, (header, data, signature) => {
      const entry = typeof header["kid"] === "string" ? this.#keys.get(header["kid"]) : undefined;
      if (header["alg"] !== "ES256" || entry === undefined || signature.length !== 64) return false;
      found = entry.key;
      return verify("sha256", data, { key: entry.publicKey, dsaEncoding: "ieee-p1363" }, signature);
    });
    if (claims === undefined || found === undefined || claims["iss"] !== found.teamId) return undefined;
    const issuedAt = claims["iat"];
    return typeof issuedAt === "number" ? { key: found, issuedAtMs: issuedAt * 1000 } : undefined;
  }
}
