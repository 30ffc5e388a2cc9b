import type { Static } from "@sinclair/typebox";
import { baseUrl, cidrs, doorKeys, doorPath, secret } from "../../config/fields.ts";
import type { Finding } from "../../config/problem.ts";
import { readSmallFile } from "../../config/read-file.ts";
import { Type } from "../../json-schema.ts";
import type { JsonObject } from "../../json.ts";

const Account = Type.Object(
  {
    id: Type.String({
      pattern: "^[!-~]{1,255}$",
      description: "Whose devices they are: what events name as owner, a JWT as sub.",
    }),
    username: Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: "For Basic and the reporter." }),
    ),
    password_hash: Type.Optional(
      secret({ reads: "password_hash", description: "What `signalbox hash-password` prints." }),
    ),
    token_hash: Type.Optional(
      secret({
        reads: "token_hash",
        description: "sha256: and the hash of the account's Bearer token in hex.",
      }),
    ),
  },
  { additionalProperties: false },
);

const Jwt = Type.Object(
  {
    issuer: Type.String({ minLength: 1, description: "What `iss` must be." }),
    audience: Type.String({ minLength: 1, description: "What `aud` must be or have." }),
    jwks_file: Type.Optional(
      Type.String({ minLength: 1, description: "The issuer's public keys, a JWK set." }),
    ),
    jwks_url: Type.Optional(
      baseUrl({ description: "Where the issuer publishes them; https, or http on loopback." }),
    ),
  },
  {
    additionalProperties: false,
    description: "Bearer tokens of an issuer, whose `sub` is the account's id.",
  },
);

/** `registry`: the doors of the device registry, of the token reporter and of push events. */
export const RegistryConfig = Type.Object(
  {
    token_path: doorPath({
      default: "/token",
      description: "Where apps report their tokens; /remove below it.",
    }),
    push_token_path: doorPath({
      default: "/pushToken",
      description: "The same for templates without a query.",
    }),
    push_path: doorPath({
      default: "/api/push",
      description: "Where back ends register devices; /events below it.",
    }),
    accounts: Type.Array(Account, { default: [], description: "Who has devices." }),
    jwt: Type.Optional(Jwt),
    trusted_header: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9-]{1,64}$",
        description: "The header in which a reverse proxy names the account's id.",
      }),
    ),
    trusted_proxies: cidrs({ description: "Who may set it; empty: http.trusted_proxies." }),
    allow_anonymous: Type.Boolean({
      default: false,
      description: "The token reporter takes any username unchecked.",
    }),
    event_keys: doorKeys({ description: "Who may send events: Bearer or X-Api-Key." }),
    events: Type.Unsafe<Readonly<Record<string, JsonObject>>>({
      type: "object",
      additionalProperties: { type: "object" },
      default: {},
      verbatim: true,
      description: "Events of your own: a JSON Schema of each one's fields.",
    }),
    fcm_app: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The entry of apps that FCM tokens of push_path belong to; absent: the only one of type gcm.",
      }),
    ),
    max_devices: Type.Integer({ default: 1_000_000, minimum: 1, description: "Devices in all." }),
  },
  {
    additionalProperties: false,
    description: "The doors of the device registry, the token reporter and push events. Absent: closed.",
  },
);

/** CIDRs as `address/prefix`; secrets as text. */
export type RegistrySettings = Static<typeof RegistryConfig>;

/** What the schema cannot say about `registry`. */
export async function checkRegistry(
  registry: RegistrySettings,
  trustedProxies: readonly string[],
): Promise<readonly Finding[]> {
  const { accounts, allow_anonymous: isOpen, event_keys: eventKeys, jwt, trusted_header: header } = registry;
  const findings: Finding[] = [];
  const find = (message: string, ...path: readonly string[]): void =>
    void findings.push({ path: ["registry", ...path], message });
  if (
    accounts.length === 0 &&
    jwt === undefined &&
    header === undefined &&
    !isOpen &&
    eventKeys.length === 0
  ) {
    find("opens no door: it needs accounts, jwt, trusted_header, event_keys or allow_anonymous: true");
  }
  if (header !== undefined && registry.trusted_proxies.length === 0 && trustedProxies.length === 0) {
    find(
      "needs registry.trusted_proxies or http.trusted_proxies: anybody else could set it",
      "trusted_header",
    );
  }
  accounts.forEach((account, index) => {
    const at = ["accounts", String(index)];
    if (account.password_hash !== undefined && account.username === undefined) {
      find("is missing, and required by password_hash", ...at, "username");
    }
    const canProve = account.password_hash !== undefined || account.token_hash !== undefined;
    if (!canProve && jwt === undefined && header === undefined && !isOpen) {
      find("has neither password_hash nor token_hash: nobody could use it", ...at);
    }
    for (const key of ["id", "username", "token_hash"] as const) {
      const isTaken = accounts.slice(0, index).some((other) => other[key] === account[key]);
      if (account[key] !== undefined && isTaken) find("is another account's too", ...at, key);
    }
  });
  const paths = [registry.token_path, registry.push_token_path, registry.push_path];
  if (new Set(paths).size < paths.length) find("must differ from the other paths", "push_path");
  if (jwt !== undefined) findings.push(...(await checkJwt(jwt)));
  return findings;
}

async function checkJwt(jwt: Static<typeof Jwt>): Promise<readonly Finding[]> {
  const { jwks_file: file, jwks_url: url } = jwt;
  const at = (key: string, message: string): readonly Finding[] => [
    { path: ["registry", "jwt", key], message },
  ];
  if ((file === undefined) === (url === undefined)) {
    return [{ path: ["registry", "jwt"], message: "needs one of jwks_file and jwks_url" }];
  }
  if (url !== undefined) {
    const { hostname, protocol } = new URL(url);
    const isOurs = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
    return protocol === "https:" || isOurs
      ? []
      : at("jwks_url", "must begin with https://: whoever can change the keys can be anybody");
  }
  const read = await readSmallFile(file ?? "");
  if ("problem" in read) return at("jwks_file", read.problem);
  return hasKeys(read.text) ? [] : at("jwks_file", 'is no JWK set: {"keys": [...]} with at least one key');
}

function hasKeys(text: string): boolean {
  try {
    const set = JSON.parse(text) as { readonly keys?: unknown } | null;
    return Array.isArray(set?.keys) && set.keys.length > 0;
  } catch {
    return false;
  }
}

/** The entry of `apps` that FCM tokens belong to; undefined when there is none, or which one is not said. */
export function fcmAppOf(
  registry: Pick<RegistrySettings, "fcm_app">,
  apps: ReadonlyMap<string, { readonly type: { readonly types: readonly string[] } }>,
): string | undefined {
  if (registry.fcm_app !== undefined) return registry.fcm_app;
  const names = [...apps].filter(([, { type }]) => type.types.includes("gcm")).map(([name]) => name);
  return names.length === 1 ? names[0] : undefined;
}

/** `fcm_app` must be an entry of `apps`, and one of Firebase's. */
export function checkFcmApp(
  { fcm_app: name }: Pick<RegistrySettings, "fcm_app">,
  apps: ReadonlyMap<string, { readonly type: { readonly types: readonly string[] } }>,
): readonly Finding[] {
  if (name === undefined) return [];
  const path = ["registry", "fcm_app"];
  const app = apps.get(name);
  if (app === undefined) return [{ path, message: "is no entry of apps" }];
  return app.type.types.includes("gcm")
    ? []
    : [{ path, message: "is an entry of apps whose type is not gcm" }];
}
