import type { Operation } from "../../http/openapi.ts";
import { Type } from "../../json-schema.ts";
import { notifyPath } from "./index.ts";

const Device = Type.Object({
  app_id: Type.String({ minLength: 1, description: "Selects the app that is configured." }),
  pushkey: Type.String({ minLength: 1, description: "The device's token." }),
  pushkey_ts: Type.Optional(Type.Number({ description: "Seconds since 1970 when it was registered." })),
  data: Type.Optional(Type.Object({})),
  tweaks: Type.Optional(Type.Object({})),
});

/** The body of a notification (https://spec.matrix.org/v1.11/push-gateway-api/). Fields of the wrong type count as absent. */
export const Notify = Type.Object({
  notification: Type.Object({
    devices: Type.Array(Device, { minItems: 1 }),
    event_id: Type.Optional(Type.String()),
    room_id: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
    sender: Type.Optional(Type.String()),
    sender_display_name: Type.Optional(Type.String()),
    room_name: Type.Optional(Type.String()),
    room_alias: Type.Optional(Type.String()),
    user_is_target: Type.Optional(Type.Boolean()),
    prio: Type.Optional(Type.Unsafe<"high" | "low">({ type: "string", enum: ["high", "low"] })),
    content: Type.Optional(Type.Object({})),
    counts: Type.Optional(
      Type.Object({
        unread: Type.Optional(Type.Integer()),
        missed_calls: Type.Optional(Type.Integer()),
      }),
    ),
  }),
});

const Rejected = Type.Object({ rejected: Type.Array(Type.String()) }, { additionalProperties: false });

/** Matrix's form of an error, which is also that of every path that is not served. */
export const MatrixError = Type.Object({
  errcode: Type.String(),
  error: Type.String(),
  retry_after_ms: Type.Optional(Type.Integer()),
});

const refused = (description: string) => ({ description, schema: MatrixError });

/** The Matrix door as it is described. */
export function describeMatrix(): readonly Operation[] {
  return [
    {
      method: "post",
      path: notifyPath,
      tag: "matrix",
      summary: "A notification for devices of one user.",
      body: { "application/json": Notify },
      answers: {
        200: { description: "Handed over or promised; these pushkeys are dead.", schema: Rejected },
        400: refused("The body is wrong."),
        413: refused("The body is too large."),
        415: refused("The body has a content coding."),
        429: refused("Too many requests."),
        502: refused("Not every push could be handed over, and none can be promised."),
        503: refused("Too much is under way or waits; Retry-After says how long."),
      },
    },
  ];
}
