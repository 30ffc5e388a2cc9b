import type { TSchema } from "@sinclair/typebox";
import type { JsonObject, JsonValue } from "../json.ts";

/** How a caller may prove that he may: one of the ways is enough. None = whoever reaches the listener. */
export type SecurityWay = "password" | "bearer" | "apiKey";

/** One answer of an operation. */
export interface DescribedAnswer {
  readonly description: string;
  /** Absent = an empty body. */
  readonly schema?: TSchema;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** One method at one path, as it is described to the world. */
export interface Operation {
  readonly method: "get" | "post";
  /** As OpenAPI writes it, parameters in braces. */
  readonly path: string;
  /** The door's or the listener's name. */
  readonly tag: string;
  readonly summary: string;
  readonly security?: readonly SecurityWay[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: "path" | "query" | "header";
    readonly description: string;
    readonly schema?: TSchema;
  }[];
  /** By content type. */
  readonly body?: Readonly<Record<string, TSchema>>;
  /** By status. */
  readonly answers: Readonly<Record<number, DescribedAnswer>>;
}

const ways: Readonly<Record<SecurityWay, JsonObject>> = {
  password: { type: "http", scheme: "basic" },
  bearer: { type: "http", scheme: "bearer" },
  apiKey: { type: "apiKey", in: "header", name: "X-Api-Key" },
};

/** The description of everything that is served (https://spec.openapis.org/oas/v3.1.0). Pure. */
export function openApiDocument(version: string, operations: readonly Operation[]): JsonObject {
  const paths: Record<string, Record<string, JsonValue>> = {};
  for (const operation of operations) {
    (paths[operation.path] ??= {})[operation.method] = describe(operation);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Signalbox",
      version,
      description: "A push gateway. Paths are those of the default configuration or of the running one.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: { securitySchemes: { ...ways } },
  };
}

function describe(operation: Operation): JsonObject {
  const { answers, body, parameters, security, summary, tag } = operation;
  return {
    tags: [tag],
    summary,
    ...(security === undefined ? {} : { security: security.map((way) => ({ [way]: [] })) }),
    ...(parameters === undefined
      ? {}
      : {
          parameters: parameters.map(({ name, description, schema, in: place }) => ({
            name,
            in: place,
            description,
            ...(place === "path" ? { required: true } : {}),
            schema: schema === undefined ? { type: "string" } : plain(schema),
          })),
        }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: Object.fromEntries(
              Object.entries(body).map(([type, schema]) => [type, { schema: plain(schema) }]),
            ),
          },
        }),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, { contentType = "application/json", description, schema }]) => [
        status,
        {
          description,
          ...(schema === undefined ? {} : { content: { [contentType]: { schema: plain(schema) } } }),
        },
      ]),
    ),
  };
}

/** The symbols of json-schema.ts are for itself; what is left is JSON Schema 2020-12, which OpenAPI 3.1 takes as it is. */
function plain(schema: TSchema): JsonValue {
  return JSON.parse(JSON.stringify(schema)) as JsonValue;
}
