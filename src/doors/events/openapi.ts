import type { TSchema } from "@sinclair/typebox";
import type { Operation } from "../../http/openapi.ts";
import { Type } from "../../json-schema.ts";
import type { JsonObject } from "../../json.ts";
import { builtInEvents } from "./event-types.ts";

const Refusal = Type.Object({ status: Type.String(), error: Type.String() });
const counts = {
  devices: Type.Integer({ minimum: 0 }),
  delivered: Type.Integer({ minimum: 0 }),
  accepted: Type.Integer({ minimum: 0 }),
  rejected: Type.Integer({ minimum: 0 }),
  dropped: Type.Integer({ minimum: 0 }),
};
const refused = (description: string) => ({ description, schema: Refusal });

/** An event with the schema that its own fields are validated with. */
function eventOf(name: string, fields: TSchema): TSchema {
  const own = Type.Object({
    owner: Type.String({ minLength: 1, maxLength: 255 }),
    message: Type.Literal(name),
  });
  return Type.Intersect([own, fields]);
}

/** The door of push events as it is described; an operator's own events have their schemas from the configuration. */
export function describeEvents(
  path: string,
  own: Readonly<Record<string, JsonObject>> = {},
): readonly Operation[] {
  const events = [
    ...builtInEvents,
    ...Object.entries(own).map(([name, schema]) => [name, Type.Unsafe(schema)] as const),
  ].map(([name, fields]) => eventOf(name, fields));
  return [
    {
      method: "post",
      path,
      tag: "events",
      summary: "Tells every device of an owner that something happened.",
      security: ["bearer", "apiKey"],
      parameters: [
        {
          name: "Idempotency-Key",
          in: "header",
          description: "Names the request, so that a repeat is none.",
        },
      ],
      body: { "application/json": Type.Union(events) },
      answers: {
        200: {
          description: "What became of it.",
          schema: Type.Object(counts, { additionalProperties: false }),
        },
        400: refused("What is missing or wrong, all at once."),
        401: refused("The key is missing or wrong."),
        413: refused("The body is too large."),
        422: refused("The Idempotency-Key came with another body before."),
        503: {
          description: "Some pushes are worth a repeat; Retry-After says when.",
          schema: Type.Object({
            status: Type.String(),
            error: Type.String(),
            ...Object.fromEntries(Object.entries(counts).map(([name, each]) => [name, Type.Optional(each)])),
            failed: Type.Optional(Type.Integer({ minimum: 1 })),
          }),
        },
      },
    },
  ];
}
