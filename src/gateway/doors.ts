import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Engine } from "../core/engine.ts";
import type { DoorOptions } from "../doors/index.ts";
import { createApiKeys } from "../http/auth.ts";
import type { HttpObserver } from "../http/observer.ts";
import { registryDoors } from "./registry-doors.ts";

/** What the doors get: their sections of the configuration, and of the core what they ask. */
export function doorOptions(
  config: Config,
  engine: Engine,
  clock: Clock,
  observer: HttpObserver,
): DoorOptions {
  const softphone = softphoneOptions(config, engine);
  const events = eventsOptions(config, engine);
  return {
    matrix: { unifiedpushGateway: config.matrix.unifiedpush_gateway },
    ...(softphone === undefined ? {} : { softphone }),
    ...(events === undefined ? {} : { events }),
    ...registryDoors(config, engine, clock, observer),
  };
}

function softphoneOptions(
  { limits, registry, softphone }: Config,
  { audience, directory }: Engine,
): DoorOptions["softphone"] {
  if (softphone === undefined) return undefined;
  const ids = new Map(registry?.accounts.map(({ id, username }) => [username, id]));
  return {
    path: softphone.path,
    ...(softphone.allow_anonymous ? {} : { keys: createApiKeys(softphone.api_keys) }),
    apps: directory,
    ...(registry === undefined ? {} : { audience }),
    // Where no account is configured the username is the owner (registry.md).
    ownerOf: (account) => ids.get(account) ?? account,
    silentContentTypes: new Set(softphone.silent_content_types.map((type) => type.toLowerCase())),
    maxMultisend: limits.max_multisend,
  };
}

function eventsOptions({ registry }: Config, { audience, directory }: Engine): DoorOptions["events"] {
  if (registry === undefined || registry.event_keys.length === 0) return undefined;
  return {
    path: `${registry.push_path}/events`,
    keys: createApiKeys(registry.event_keys),
    apps: directory,
    audience,
    events: registry.events,
  };
}
