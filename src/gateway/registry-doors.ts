import { readFileSync } from "node:fs";
import type { JSONWebKeySet } from "jose";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Engine } from "../core/engine.ts";
import { fcmAppOf } from "../doors/device-registry/config.ts";
import type { DoorOptions } from "../doors/index.ts";
import { createAccounts, type Accounts } from "../http/accounts.ts";
import { createJwtVerifier, type JwtVerifier } from "../http/jwt.ts";
import type { HttpObserver } from "../http/observer.ts";
import { createPeerCheck, createRemoteAddress, sourceOf } from "../http/remote-address.ts";
import { createHttpClient } from "../upstream/http-client.ts";

/** What the token reporter and the device registry get; a door stays closed where nobody could use it. */
export function registryDoors(
  config: Config,
  engine: Engine,
  clock: Clock,
  observer: HttpObserver,
): Pick<DoorOptions, "tokenReporter" | "deviceRegistry"> {
  const { registry } = config;
  if (registry === undefined) return {};
  const accounts = createRegistryAccounts(config, registry, engine, clock, observer);
  const { allow_anonymous: isOpen, push_path: path, push_token_path, token_path } = registry;
  const shared = { accounts, registrations: engine.registrations, apps: engine.directory };
  return {
    ...(accounts.canIdentify || isOpen
      ? { tokenReporter: { ...shared, isOpen, paths: [token_path, push_token_path] } }
      : {}),
    ...(accounts.canIdentify
      ? { deviceRegistry: { ...shared, path, fcmApp: fcmAppOf(registry, config.apps) } }
      : {}),
  };
}

function createRegistryAccounts(
  config: Config,
  registry: NonNullable<Config["registry"]>,
  { makeBuckets, threads }: Engine,
  clock: Clock,
  observer: HttpObserver,
): Accounts {
  const { accounts, jwt, trusted_header: header, trusted_proxies: proxies } = registry;
  const remoteAddress = createRemoteAddress(config.http.trusted_proxies);
  const { per_account: perAccount } = config.limits;
  return createAccounts({
    accounts,
    clock,
    observer,
    makeBuckets,
    threads,
    sourceOf: (req) => sourceOf(remoteAddress(req)),
    ...(perAccount === null ? {} : { perAccount: { count: perAccount.count, windowMs: perAccount.window } }),
    ...(jwt === undefined ? {} : { jwt: createVerifier(jwt, config, clock) }),
    ...(header === undefined
      ? {}
      : {
          trustedHeader: {
            name: header,
            isTrusted: createPeerCheck(proxies.length > 0 ? proxies : config.http.trusted_proxies),
          },
        }),
  });
}

function createVerifier(
  { audience, issuer, jwks_file: file, jwks_url: url }: NonNullable<NonNullable<Config["registry"]>["jwt"]>,
  config: Config,
  clock: Clock,
): JwtVerifier {
  if (url === undefined) {
    // Checked with the configuration: a JWK set.
    const keys = JSON.parse(readFileSync(file ?? "", "utf8")) as JSONWebKeySet;
    return createJwtVerifier({ audience, issuer, clock, keys: { keys } });
  }
  const http = createHttpClient(config.proxy === undefined ? {} : { proxy: new URL(config.proxy) });
  const fetch = async (): Promise<string | undefined> => {
    const result = await http({ method: "GET", url, headers: { accept: "application/json" } });
    return result.kind === "response" && result.status === 200 ? result.body : undefined;
  };
  return createJwtVerifier({ audience, issuer, clock, keys: { url, fetch } });
}
