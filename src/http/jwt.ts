import type * as Jose from "jose";
import type { Clock } from "../clock.ts";

/** The `sub` of a token; that it is not one of the issuer's; or that the issuer's keys cannot be had. */
export type JwtCheck = { readonly subject: string } | "wrong" | "unavailable";

/** Checks JWTs. */
export type JwtVerifier = (token: string) => Promise<JwtCheck>;

/** Where the issuer's keys come from. */
export type KeySource =
  | { readonly keys: Jose.JSONWebKeySet }
  | {
      readonly url: string;
      /** The answer's body when it was 200; bounded in size and time. Rejects or gives undefined otherwise. */
      readonly fetch: (url: string) => Promise<string | undefined>;
    };

/** Public keys only: with a shared secret, whoever can check a token could make one. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const CLOCK_TOLERANCE_S = 30;
const KEYS_FOR_MS = 10 * 60_000;
/** An unknown key id makes us look for new keys, this often at most. */
const COOLDOWN_MS = 30_000;
/** How soon an issuer that did not answer is asked again, and how long its old keys stand in for it. */
const AGAIN_AFTER_MS = 5_000;
const STALE_FOR_MS = 24 * 60 * 60_000;
const LONGEST_TOKEN = 8192;

class KeysUnavailable extends Error {}

/** A verifier of one issuer's tokens for one audience. They must expire. */
export function createJwtVerifier(options: {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: KeySource;
  readonly clock: Clock;
}): JwtVerifier {
  const { issuer, audience, keys, clock } = options;
  // The library is loaded with the first token.
  const load = async () => {
    const library = await import("jose");
    const getKey = "keys" in keys ? library.createLocalJWKSet(keys.keys) : remoteKeys(library, keys, clock);
    return { getKey, jwtVerify: library.jwtVerify };
  };
  let loaded: ReturnType<typeof load> | undefined;
  return async (token) => {
    if (token.length > LONGEST_TOKEN) return "wrong";
    const { getKey, jwtVerify } = await (loaded ??= load());
    try {
      const { payload } = await jwtVerify(token, getKey, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "exp"],
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(clock.now()),
      });
      const { sub } = payload;
      return sub !== undefined && /^[!-~]{1,255}$/.test(sub) ? { subject: sub } : "wrong";
    } catch (error) {
      return error instanceof KeysUnavailable ? "unavailable" : "wrong";
    }
  };
}

function remoteKeys(
  library: Pick<typeof Jose, "createRemoteJWKSet" | "customFetch">,
  source: Extract<KeySource, { readonly url: string }>,
  clock: Clock,
): ReturnType<typeof Jose.createRemoteJWKSet> {
  let last: { readonly body: string; readonly atMs: number } | undefined;
  let failedAtMs: number | undefined;
  const load = async (): Promise<string> => {
    const nowMs = clock.monotonic();
    if (failedAtMs === undefined || nowMs - failedAtMs >= AGAIN_AFTER_MS) {
      const body = await source.fetch(source.url).catch(() => undefined);
      failedAtMs = body === undefined ? clock.monotonic() : undefined;
      if (body !== undefined) last = { body, atMs: nowMs };
    }
    if (last === undefined || nowMs - last.atMs > STALE_FOR_MS) throw new KeysUnavailable();
    return last.body;
  };
  return library.createRemoteJWKSet(new URL(source.url), {
    cacheMaxAge: KEYS_FOR_MS,
    cooldownDuration: COOLDOWN_MS,
    timeoutDuration: 12_000,
    [library.customFetch]: async () => new Response(await load(), { status: 200 }),
  });
}
