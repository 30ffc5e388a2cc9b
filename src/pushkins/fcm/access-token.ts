import type * as GoogleLibrary from "google-auth-library";
import type {
  AuthClient,
  AwsClient,
  gaxios,
  IdentityPoolClient,
  PluggableAuthClient,
} from "google-auth-library";
import type { Clock } from "../../clock.ts";
import { isJsonObject, type JsonObject } from "../../json.ts";
import { CachedToken, TokenError, type ExpiringToken } from "../../upstream/cached-token.ts";
import type { HttpClient } from "../../upstream/http-client.ts";
import { classifyNetError } from "../../upstream/net-error.ts";

const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";
/** Where the library sends a service account's assertion, whatever the file says. */
const GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token";
/** For all that a token may take, more than one request included. */
const FETCH_LIMIT_MS = 30_000;

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
  let answered = false;
  const heard: HttpClient = async (request) => {
    const result = await http(request);
    answered = result.kind === "response";
    return result;
  };
  let cancel = (): void => {};
  // Metadata servers and executables are asked by the library, without a limit that we could set.
  const tooLate = new Promise<never>((_resolve, reject) => {
    cancel = clock.schedule(FETCH_LIMIT_MS, () =>
      reject(new TokenError("unavailable", "no answer (timeout)")),
    );
  });
  try {
    return await Promise.race([askGoogle(credentials, heard, clock), tooLate]);
  } catch (error) {
    throw tokenError(error, answered);
  } finally {
    cancel();
  }
}

async function askGoogle(
  credentials: JsonObject | undefined,
  http: HttpClient,
  clock: Clock,
): Promise<ExpiringToken> {
  const client = await createClient(credentials, http);
  const { token } = await client.getAccessToken();
  const expiresAtMs = client.credentials.expiry_date;
  if (typeof token !== "string" || token === "")
    throw new TokenError("unavailable", "no access token in the answer");
  // The library counts by the machine's clock; what it says is only used as a life from now on.
  const lifeMs = typeof expiresAtMs === "number" ? expiresAtMs - Date.now() : 0;
  return { token, expiresAtMs: clock.now() + Math.max(0, lifeMs) };
}

/** A client of its own for every fetch: it is asked once, and keeps nothing that could go stale. */
async function createClient(credentials: JsonObject | undefined, http: HttpClient): Promise<AuthClient> {
  // Loaded by the first token that is asked for: a gateway without FCM, and every start, do without it.
  const google = await import("google-auth-library");
  const tokenUri = credentials?.["token_uri"];
  const target = typeof tokenUri === "string" && tokenUri !== "" ? tokenUri : GOOGLE_TOKEN_URI;
  const transporter = new google.gaxios.Gaxios({
    retryConfig: { retry: 0 },
    fetchImplementation: async (input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      return asFetch(http, url === GOOGLE_TOKEN_URI ? target : url, init);
    },
  });
  if (credentials === undefined) {
    const machine = new google.GoogleAuth({ scopes: [SCOPE], clientOptions: { transporter } });
    return withTransporter(await machine.getClient(), transporter);
  }
  switch (text(credentials["type"])) {
    case "service_account":
      return new google.JWT({
        email: text(credentials["client_email"]),
        key: text(credentials["private_key"]),
        keyId: text(credentials["private_key_id"]),
        scopes: [SCOPE],
        // The assertion is for the address that it is sent to (fcm.md 1); the library would always name Google's.
        ...(target === GOOGLE_TOKEN_URI ? {} : { additionalClaims: { aud: target } }),
        transporter,
      });
    case "authorized_user":
      return new google.UserRefreshClient({
        clientId: text(credentials["client_id"]),
        clientSecret: text(credentials["client_secret"]),
        refreshToken: text(credentials["refresh_token"]),
        transporter,
      });
    case "external_account":
      return withTransporter(externalClient(google, credentials, transporter), transporter);
    default:
      throw new TokenError("refused", "the credentials are of an unknown type");
  }
}

/** What `ExternalAccountClient.fromJSON` does, less its warning on the console: the file is the operator's own. */
function externalClient(
  google: typeof GoogleLibrary,
  credentials: JsonObject,
  transporter: gaxios.Gaxios,
): AuthClient {
  const source = isJsonObject(credentials["credential_source"]) ? credentials["credential_source"] : {};
  // The file's keys are the options' names; the library checks what it needs of them.
  const options: unknown = { ...credentials, transporter };
  const client =
    source["environment_id"] !== undefined
      ? new google.AwsClient(options as AwsOptions)
      : source["executable"] !== undefined
        ? new google.PluggableAuthClient(options as PluggableOptions)
        : new google.IdentityPoolClient(options as IdentityPoolOptions);
  client.scopes = [SCOPE];
  return client;
}

type AwsOptions = ConstructorParameters<typeof AwsClient>[0];
type PluggableOptions = ConstructorParameters<typeof PluggableAuthClient>[0];
type IdentityPoolOptions = ConstructorParameters<typeof IdentityPoolClient>[0];

/**
 * The library's exchange of an external token has no option for a transporter: it would go past proxy, CA and time
 * limit. A client that brings its own certificate keeps its own.
 */
function withTransporter(client: AuthClient, transporter: gaxios.Gaxios): AuthClient {
  const exchange: unknown = Reflect.get(client, "stsCredential");
  if (client.transporter === transporter && typeof exchange === "object" && exchange !== null)
    Reflect.set(exchange, "transporter", transporter);
  return client;
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
  const hasNoBody = result.status === 204 || result.status === 205 || result.status === 304;
  return new Response(hasNoBody ? null : result.body, {
    status: result.status,
    headers: typeof type === "string" ? { "content-type": type } : {},
  });
}

/** What a failed fetch means (fcm.md 1): only closed words of Google's get into the message. */
function tokenError(error: unknown, answered: boolean): TokenError {
  if (error instanceof TokenError) return error;
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof TokenError) return cause;
  const response = (
    error as { response?: { status?: number; data?: { error?: unknown; error_description?: unknown } } }
  ).response;
  const status = response?.status;
  if (status === undefined) {
    // The library found nothing in an answer that it could use.
    if (answered) return new TokenError("unavailable", "no access token in the answer");
    // What the network did comes as a TokenError, or with a code where the library asks by itself (metadata servers).
    const failure = classifyNetError(error);
    return failure.class === "other"
      ? new TokenError("refused", "there are no credentials that can be used")
      : new TokenError("unavailable", `no answer (${failure.class})`);
  }
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
