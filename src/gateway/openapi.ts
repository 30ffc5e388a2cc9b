import type { Config } from "../config/schema.ts";
import { describeDoors, type DoorPaths } from "../doors/openapi.ts";
import { openApiDocument, type Operation } from "../http/openapi.ts";
import { Type } from "../json-schema.ts";
import type { JsonObject } from "../json.ts";
import { version } from "../version.ts";

/** What an operator's listener serves, as far as it is described. */
export interface DescribedRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly summary: string;
  /** Served without the token as well. */
  readonly open?: true;
}

/** What is served whatever is configured. */
const always: readonly Operation[] = [
  {
    method: "get",
    path: "/health",
    tag: "public listener",
    summary: "Whether it serves; empty on purpose.",
    answers: { 200: { description: "It does." }, 503: { description: "A stop was asked for." } },
  },
  {
    method: "get",
    path: "/metrics",
    tag: "metrics listener",
    summary: "Metrics, as Prometheus text or, when asked for, as OpenMetrics.",
    answers: { 200: { description: "Every series.", schema: Type.String(), contentType: "text/plain" } },
  },
];

/** Everything that this configuration opens, at the paths that it has. */
export function describeGateway(config: Config, routes: readonly DescribedRoute[]): JsonObject {
  return describe(pathsOf(config), routes);
}

/** Everything that can be open, at the default paths: `docs/openapi.json`. */
export function describeAll(routes: readonly DescribedRoute[]): JsonObject {
  const defaults: DoorPaths = {
    softphone: "/pnm2",
    tokenReporter: ["/token", "/pushToken"],
    deviceRegistry: "/api/push",
    events: "/api/push/events",
  };
  return describe(defaults, routes);
}

function describe(paths: DoorPaths, routes: readonly DescribedRoute[]): JsonObject {
  const operators = routes.map(({ method, open, path, summary }): Operation => ({
    method: method === "GET" ? "get" : "post",
    path,
    tag: "admin listener",
    summary,
    ...(open === true ? {} : { security: ["bearer"] }),
    answers: { 200: { description: "As the summary says.", schema: Type.Unknown() } },
  }));
  return openApiDocument(version, [...describeDoors(paths), ...always, ...operators]);
}

/** The same conditions as those under which doors.ts and registry-doors.ts open a door. */
function pathsOf({ registry, softphone }: Config): DoorPaths {
  const canIdentify =
    registry !== undefined &&
    (registry.accounts.length > 0 || registry.jwt !== undefined || registry.trusted_header !== undefined);
  return {
    ...(softphone === undefined ? {} : { softphone: softphone.path }),
    ...(registry !== undefined && (canIdentify || registry.allow_anonymous)
      ? { tokenReporter: [registry.token_path, registry.push_token_path] }
      : {}),
    ...(registry !== undefined && canIdentify ? { deviceRegistry: registry.push_path } : {}),
    ...(registry === undefined || registry.event_keys.length === 0
      ? {}
      : { events: `${registry.push_path}/events`, ownEvents: registry.events }),
  };
}
