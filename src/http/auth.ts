import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { HttpError } from "./errors.ts";

/** The keys that open a door. */
export interface ApiKeys {
  /** Why the request may not, or undefined when it may: the same for no key and for a wrong one, in the same time. */
  refusal(req: IncomingMessage): HttpError | undefined;
}

/**
 * API and service keys: `Authorization: Bearer KEY` or `X-Api-Key: KEY`. Compared as keyed hashes of equal length and
 * all of them each time, so that the time tells nothing of any.
 */
export function createApiKeys(keys: readonly string[]): ApiKeys {
  const hashKey = randomBytes(32);
  const hash = (text: string): Buffer => createHmac("sha256", hashKey).update(text).digest();
  const known = keys.map(hash);
  return {
    refusal(req) {
      const given = hash(givenKey(req) ?? "");
      let isKnown = false;
      for (const each of known) isKnown = timingSafeEqual(each, given) || isKnown;
      return isKnown ? undefined : new HttpError("unauthorized", { challenge: "Bearer" });
    },
  };
}

/** The key that a request shows, whether it is known or not. Secret. */
export function givenKey(req: IncomingMessage): string | undefined {
  return bearerToken(req) ?? singleHeader(req, "x-api-key");
}

/** The token of `Authorization: Bearer`, the scheme in any case (RFC 9110 section 11.1). */
export function bearerToken(req: IncomingMessage): string | undefined {
  return credentialsOf(req, "bearer");
}

/** Name and password of `Authorization: Basic` (RFC 7617), UTF-8; undefined when it is not that. */
export function basicCredentials(
  req: IncomingMessage,
): { readonly username: string; readonly password: string } | undefined {
  const encoded = credentialsOf(req, "basic");
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function credentialsOf(req: IncomingMessage, scheme: string): string | undefined {
  const header = singleHeader(req, "authorization");
  const match = header === undefined ? null : /^([!-~]+) +([!-~]+) *$/.exec(header);
  return match?.[1]?.toLowerCase() === scheme ? match[2] : undefined;
}

/** A header that was sent once; one that was sent twice says nothing. */
export function singleHeader(req: IncomingMessage, name: string): string | undefined {
  const values = req.headersDistinct[name];
  return values?.length === 1 ? values[0] : undefined;
}
