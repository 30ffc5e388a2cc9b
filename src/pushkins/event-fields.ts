import type { EventContent } from "../core/push.ts";
import type { JsonObject } from "../json.ts";

/** The field of an event that is a text of any length. */
const TEXT = "text";

/** The text that may be shortened, if the event has one. */
export function eventText({ fields }: EventContent): string | undefined {
  const text = fields[TEXT];
  return typeof text === "string" ? text : undefined;
}

/** An event as apps read it (registry.md, push events): whose it is, what happened, its fields in their order. */
export function eventFields({ fields, name, owner }: EventContent, text: string | undefined): JsonObject {
  return { owner, message: name, ...fields, ...(text === undefined ? {} : { [TEXT]: text }) };
}
