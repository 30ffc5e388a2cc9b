import { createPublicKey, randomBytes, verify } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../json.ts";
import type { Credentials } from "./credentials.ts";
import type { Exchange } from "./listener.ts";
import { readJws } from "./provider-token.ts";
import { Responder } from "./responder.ts";
import type { Verdict } from "./responder.ts";
import type { Recorder } from "./recorder.ts";
import type { Script } from "./script.ts";

/** Google's own token endpoint, which `google-auth-library` writes into `aud` whatever the file's `token_uri` says. */
const GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token";
const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES = new Set([
  "https://www.googleapis.com/auth/firebase.messaging",
  "https://www.googleapis.com/auth/cloud-platform",
]);
const MAX_LIFE_S = 3600;
const SKEW_S = 300;
const MAX_ACCESS_TOKENS = 10_000;
const BAD_TIME =
  "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.";

/** How the simulated token endpoint behaves. */
export interface OauthOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly script: Script;
  readonly recorder: Recorder;
  /** Life of an access token, seconds. */
  readonly expiresInS: number;
  /** Audiences beside its own address. */
  readonly audiences?: readonly string[];
}

/** Whether an access token is good. */
export type AccessTokenState = "good" | "expired" | "unknown";

/** The OAuth token endpoint of the FCM simulator: fcm.md section 1. */
export class Oauth {
  /** Life of the access tokens issued from now on, seconds. */
  expiresInS: number;
  readonly responder: Responder;
  readonly #options: OauthOptions;
  readonly #publicKey;
  readonly #audiences: Set<string>;
  readonly #accessTokens = new Map<string, number>();
  #requests = 0;

  constructor(options: OauthOptions) {
    this.#options = options;
    this.expiresInS = options.expiresInS;
    this.#publicKey = createPublicKey(options.credentials.serviceAccountPublicKey);
    this.#audiences = new Set([GOOGLE_AUDIENCE, ...(options.audiences ?? [])]);
    this.responder = new Responder({
      upstream: "oauth",
      script: options.script,
      recorder: options.recorder,
      clock: options.clock,
      renderError: ({ reason, status, message, retryAfter }) =>
        oauthError(status ?? 400, reason, message ?? reason, retryAfter),
    });
  }

  /** Requests to the token endpoint since the start. */
  get requests(): number {
    return this.#requests;
  }

  /** Adds what clients may write into `aud`: the endpoint's own address, once it is known. */
  addAudience(audience: string): void {
    this.#audiences.add(audience);
  }

  /** Makes every access token issued before now expired. */
  revokeAll(): void {
    for (const token of this.#accessTokens.keys()) this.#accessTokens.set(token, 0);
  }

  /** Issues an access token without asking for an assertion, for load tests that bring no OAuth client. */
  issue(): string {
    const token = `ya29.sim.${randomBytes(30).toString("base64url")}`;
    const oldest = this.#accessTokens.keys().next();
    if (this.#accessTokens.size >= MAX_ACCESS_TOKENS && oldest.done !== true)
      this.#accessTokens.delete(oldest.value);
    this.#accessTokens.set(token, this.#options.clock.now() + this.expiresInS * 1000);
    return token;
  }

  stateOf(accessToken: string): AccessTokenState {
    const expiresAtMs = this.#accessTokens.get(accessToken);
    if (expiresAtMs === undefined) return "unknown";
    return this.#options.clock.now() < expiresAtMs ? "good" : "expired";
  }

  /** Answers `POST /token`. */
  handle<S>(exchange: Exchange<S>): void {
    this.#requests += 1;
    const refusal = this.#check(exchange.method, exchange.body, exchange.truncated);
    if (refusal !== undefined) {
      this.responder.refuse(exchange, {}, refusal);
      return;
    }
    this.responder.answer(exchange, {}, () =>
      jsonVerdict(200, { access_token: this.issue(), expires_in: this.expiresInS, token_type: "Bearer" }),
    );
  }

  #check(method: string, body: Buffer, truncated: boolean): Verdict | undefined {
    if (method !== "POST") return oauthError(405, "invalid_request", "Method not allowed.");
    if (truncated) return oauthError(413, "invalid_request", "Request too large.");
    const form = new URLSearchParams(body.toString("utf8"));
    if (form.get("grant_type") !== GRANT_TYPE) {
      return oauthError(400, "unsupported_grant_type", `Invalid grant_type: ${form.get("grant_type") ?? ""}`);
    }
    const account = this.#options.credentials.serviceAccount("");
    const claims = readJws(form.get("assertion") ?? "", (header, data, signature) => {
      // Google tries all of the account's keys when the assertion names none.
      const kid = header["kid"] ?? account.private_key_id;
      if (header["alg"] !== "RS256" || kid !== account.private_key_id) return false;
      return verify("sha256", data, this.#publicKey, signature);
    });
    if (claims === undefined) return oauthError(400, "invalid_grant", "Invalid JWT Signature.");
    return this.#checkClaims(claims, account.client_email);
  }

  #checkClaims(claims: JsonObject, clientEmail: string): Verdict | undefined {
    const { iss, aud, scope, iat, exp } = claims;
    if (iss !== clientEmail) return oauthError(400, "invalid_grant", "Invalid grant: account not found");
    if (typeof aud !== "string" || !this.#audiences.has(aud)) {
      return oauthError(
        400,
        "invalid_grant",
        "Invalid JWT: Failed audience check. The right audience is the token URL.",
      );
    }
    const nowS = this.#options.clock.now() / 1000;
    if (typeof iat !== "number" || typeof exp !== "number") return oauthError(400, "invalid_grant", BAD_TIME);
    if (exp - iat > MAX_LIFE_S || exp <= iat || Math.abs(iat - nowS) > SKEW_S) {
      return oauthError(400, "invalid_grant", BAD_TIME);
    }
    const scopes = typeof scope === "string" ? scope.split(" ") : [];
    if (scopes.some((one) => SCOPES.has(one))) return undefined;
    return oauthError(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.");
  }
}

function oauthError(status: number, error: string, description: string, retryAfter?: string): Verdict {
  const verdict = jsonVerdict(status, { error, error_description: description });
  const headers = retryAfter === undefined ? {} : { "retry-after": retryAfter };
  return {
    ...verdict,
    reason: error,
    reply: { ...verdict.reply, headers: { ...verdict.reply.headers, ...headers } },
  };
}

function jsonVerdict(status: number, body: JsonObject): Verdict {
  return {
    reply: {
      status,
      headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" },
      body: JSON.stringify(body),
    },
    accepted: false,
  };
}
