import type { Static } from "@sinclair/typebox";
import { baseUrl, bindAddress, port, secret, section, sygnalSection } from "../config/fields.ts";
import type { Finding } from "../config/problem.ts";
import { Type } from "../json-schema.ts";
import { isJsonObject } from "../json.ts";
import type { JsonObject, JsonValue } from "../json.ts";

const enabled = (description: string) =>
  Type.Unsafe<boolean>({
    reads: "exactly_true",
    default: false,
    description: `${description} Only \`true\` is on.`,
  });

/** `metrics`, as Sygnal has it (sygnal-compat 2.3). */
export const MetricsConfig = sygnalSection(
  {
    prometheus: sygnalSection(
      {
        enabled: enabled("The metrics listener."),
        address: bindAddress({
          default: "127.0.0.1",
          description: "Where it listens; '' is every interface.",
        }),
        port: port({ default: 8000, description: "Its port." }),
      },
      { description: "Metrics for Prometheus, on a listener of their own." },
    ),
    opentracing: sygnalSection(
      {
        enabled: enabled("Sygnal's tracing; `tracing` is its successor."),
        implementation: Type.Optional(
          Type.Unsafe<"jaeger">({
            type: "string",
            enum: ["jaeger"],
            description: "Sygnal knows jaeger alone.",
          }),
        ),
        service_name: Type.String({ default: "sygnal", description: "The service's name in traces." }),
        jaeger: Type.Unsafe<JsonObject>({
          type: "object",
          default: {},
          description: "The Jaeger client's settings.",
        }),
      },
      { description: "Sygnal's tracing. OpenTracing and Jaeger's client are retired: use `tracing`." },
    ),
    sentry: sygnalSection(
      {
        enabled: enabled("Errors to Sentry."),
        dsn: Type.Optional(secret({ description: "Where to; required when enabled." })),
      },
      { description: "Errors to Sentry." },
    ),
  },
  { description: "What is measured, and where it can be read." },
);

/** `tracing`: OpenTelemetry spans over OTLP/HTTP. */
export const TracingConfig = section(
  {
    endpoint: Type.Optional(
      baseUrl({ description: "The collector, such as http://127.0.0.1:4318. Absent: no tracing." }),
    ),
    service_name: Type.String({
      default: "signalbox",
      minLength: 1,
      description: "The service's name in traces.",
    }),
    share: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      description: "Of the requests, what is traced.",
    }),
  },
  { description: "OpenTelemetry traces." },
);

export type MetricsSettings = Static<typeof MetricsConfig>;
export type TracingSettings = Static<typeof TracingConfig>;

/** What is traced, and where spans go. */
export interface TracingTarget {
  readonly endpoint: string;
  readonly serviceName: string;
  readonly share: number;
}

/** Where Jaeger's collector takes OTLP over HTTP. */
const OTLP_PORT = 4318;

/**
 * `tracing`, or what Sygnal's `metrics.opentracing` comes to: its agents take no OTLP, but every Jaeger of today does,
 * on the agent's host. Undefined = no tracing.
 */
export function tracingTarget(
  tracing: TracingSettings,
  { opentracing }: Pick<MetricsSettings, "opentracing">,
): TracingTarget | undefined {
  if (tracing.endpoint !== undefined) {
    return { endpoint: tracing.endpoint, serviceName: tracing.service_name, share: tracing.share };
  }
  if (!opentracing.enabled) return undefined;
  const { local_agent: agent, sampler } = opentracing.jaeger;
  const host =
    isJsonObject(agent) && typeof agent["reporting_host"] === "string"
      ? agent["reporting_host"]
      : "127.0.0.1";
  const authority = host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host;
  return {
    endpoint: `http://${authority}:${OTLP_PORT}`,
    serviceName: opentracing.service_name,
    share: shareOf(sampler),
  };
}

/** Jaeger's `const` and `probabilistic` samplers; what it asks a server for is everything here. */
function shareOf(sampler: JsonValue | undefined): number {
  if (!isJsonObject(sampler) || typeof sampler["param"] !== "number") return 1;
  const { param, type } = sampler;
  return type === "const" || type === "probabilistic" ? Math.min(1, Math.max(0, param)) : 1;
}

/** What becomes of `metrics.opentracing`. Takes the raw section. */
export function openTracingNote(metrics: unknown): readonly Finding[] {
  const section = isJsonObject(metrics) ? metrics["opentracing"] : undefined;
  if (!isJsonObject(section) || section["enabled"] !== true) return [];
  const message = `is retired: spans go as OTLP over HTTP to port ${OTLP_PORT} of the agent's host, unless \`tracing.endpoint\` says where`;
  return [{ path: ["metrics", "opentracing"], message }];
}

/** As log/sentry.ts reads it. */
const DSN = /^https?:\/\/[^/@:\s]+(?::[^/@\s]*)?@[^/@\s]+(?:\/[^\s]*)?\/[^/\s]+\/?$/;

/** What the schema cannot say about `metrics`: what each part needs once it is on. */
export function checkMetrics(metrics: MetricsSettings): readonly Finding[] {
  const problems: Finding[] = [];
  if (metrics.sentry.enabled && metrics.sentry.dsn === undefined) {
    problems.push({ path: ["metrics", "sentry", "dsn"], message: "is missing although Sentry is enabled" });
  }
  const { dsn } = metrics.sentry;
  if (metrics.sentry.enabled && dsn !== undefined && !DSN.test(dsn)) {
    const message = "must be https://KEY@HOST/PROJECT, as Sentry shows it under Client Keys";
    problems.push({ path: ["metrics", "sentry", "dsn"], message });
  }
  if (metrics.opentracing.enabled && metrics.opentracing.implementation === undefined) {
    const path = ["metrics", "opentracing", "implementation"];
    problems.push({ path, message: "is missing although tracing is enabled; it must be jaeger" });
  }
  return problems;
}

/** Switches that look on and are off, since only YAML's own `true` counts (sygnal-compat 2.3). Takes the raw section. */
export function findSwitchesThatAreOff(metrics: unknown): readonly Finding[] {
  if (!isJsonObject(metrics)) return [];
  return Object.entries(metrics).flatMap(([name, part]) => {
    if (!isJsonObject(part) || !Object.hasOwn(part, "enabled") || typeof part.enabled === "boolean")
      return [];
    return [
      {
        path: ["metrics", name, "enabled"],
        message: "counts as off: only true without quotes switches it on",
      },
    ];
  });
}
