import { gaxios, GoogleAuth, JWT, type AuthClient } from "google-auth-library";
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../json.ts";
import { CachedToken, TokenError, type ExpiringToken } from "../../upstream/cached-token.ts";
import type { HttpClient } from "../../upstream/http-client.ts";

const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";
/** Where the library sends a service account's assertion, whatever the file says. */
const GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token";

/**
 * The access token of one credentials file, through google-auth-library (fcm.md 1).
 *
 * @param credentials the parsed file: `service_account`, `authorized_user` or `external_account`; undefined for what
 *   the machine provides (application default credentials)
 */
export function createAccessToken(
  credentials: JsonObject | undefined,
  http: HttpClient,
  clock: Clock,
): CachedToken {
  return new CachedToken(() => fetchToken(credentials, http, clock), clock);
}

async function fetchToken(
  credentials: JsonObject | undefined,
  http: HttpClient,
  clock: Clock,
): Promise<ExpiringToken> {
  let client: AuthClient;
  try {
    client = await createClient(credentials, http);
    const { token } = await client.getAccessToken();
    const expiresAtMs = client.credentials.expiry_date;
    if (typeof token !== "string" || token === "")
      throw new TokenError("unavailable", "no access token in the answer");
    // The library counts by the machine's clock; what it says is only used as a life from now on.
    const lifeMs = typeof expiresAtMs === "number" ? expiresAtMs - Date.now() : 0;
    return { token, expiresAtMs: clock.now() + Math.max(0, lifeMs) };
  } catch (error) {
    throw tokenError(error);
  }
}

/** A client of its own for every fetch: it is asked once, and keeps nothing that could go stale. */
async function createClient(credentials: JsonObject | undefined, http: HttpClient): Promise<AuthClient> {
  const tokenUri = credentials?.["token_uri"];
  const target = typeof tokenUri === "string" && tokenUri !== "" ? tokenUri : GOOGLE_TOKEN_URI;
  const transporter = new gaxios.Gaxios({
    retryConfig: { retry: 0 },
    fetchImplementation: async (input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      return asFetch(http, url === GOOGLE_TOKEN_URI ? target : url, init);
    },
  });
  if (credentials?.["type"] === "service_account") {
    return new JWT({
      email: text(credentials["client_email"]),
      key: text(credentials["private_key"]),
      keyId: text(credentials["private_key_id"]),
      scopes: [SCOPE],
      // The assertion is for the address that it is sent to (fcm.md 1); the library would always name Google's.
      ...(target === GOOGLE_TOKEN_URI ? {} : { additionalClaims: { aud: target } }),
      transporter,
    });
  }
  const auth = new GoogleAuth({
    credentials: { ...credentials },
    scopes: [SCOPE],
    clientOptions: { transporter },
  });
  return auth.getClient();
}

async function asFetch(http: HttpClient, url: string, init: RequestInit | undefined): Promise<Response> {
  const body = init?.body;
  const result = await http({
    method: init?.method === "POST" ? "POST" : "GET",
    url,
    headers: Object.fromEntries(new Headers(init?.headers)),
    ...(typeof body === "string"
      ? { body }
      : body instanceof URLSearchParams
        ? { body: body.toString() }
        : {}),
  });
  if (result.kind === "failed") throw new TokenError("unavailable", `no answer (${result.failure.class})`);
  const type = result.headers["content-type"];
  return new Response(result.body, {
    status: result.status,
    headers: typeof type === "string" ? { "content-type": type } : {},
  });
}

/** What a failed fetch means (fcm.md 1): only closed words of Google's get into the message. */
function tokenError(error: unknown): TokenError {
  if (error instanceof TokenError) return error;
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof TokenError) return cause;
  const response = (
    error as { response?: { status?: number; data?: { error?: unknown; error_description?: unknown } } }
  ).response;
  const status = response?.status;
  if (status === undefined) return new TokenError("unavailable", "no answer");
  if (status === 429 || status >= 500)
    return new TokenError("unavailable", `the token endpoint answered ${status}`);
  const code = response?.data?.error;
  const description = response?.data?.error_description;
  const word = typeof code === "string" && /^[a-z_]{1,40}$/.test(code) ? ` ${code}` : "";
  const clock = typeof description === "string" && description.includes("short-lived token");
  return new TokenError(
    "refused",
    `the token endpoint answered ${status}${word}${clock ? ": this machine's clock is wrong" : ""}`,
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
