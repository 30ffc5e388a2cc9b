import type { Operation } from "../../http/openapi.ts";
import { Type } from "../../json-schema.ts";
import { AddApns, Command, DeleteApns, Fcm, Listing, Refusal } from "./schema.ts";

const Done = Type.Object({}, { additionalProperties: false });
const Failure = Type.Object({ error: Type.String() });
const security = ["password", "bearer"] as const;
const refused = (description: string) => ({ description, schema: Failure });

const failures = {
  401: refused("The credentials are missing or wrong."),
  429: refused("Too many wrong credentials, or too many requests."),
  503: refused("The store does not answer; Retry-After says how long."),
};

/** The device registry's door as it is described: by the schemas that its bodies are validated with. */
export function describeDeviceRegistry(path: string): readonly Operation[] {
  return [
    {
      method: "get",
      path,
      tag: "device-registry",
      summary: "The account's devices, the oldest first.",
      security,
      answers: { 200: { description: "The devices.", schema: Listing }, ...failures },
    },
    {
      method: "post",
      path,
      tag: "device-registry",
      summary: "Adds a device to the account, or deletes one of its own.",
      security,
      body: {
        "application/json": Type.Intersect([Command, Type.Union([AddApns, DeleteApns, Fcm])]),
      },
      answers: {
        200: { description: "Added, updated, deleted, or not there.", schema: Done },
        400: { description: "The body is wrong; `status` says how.", schema: Refusal },
        413: refused("The body is too large."),
        ...failures,
      },
    },
  ];
}
