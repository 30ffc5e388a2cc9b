import type { EventContent } from "../../core/push.ts";
import { eventFields, eventText } from "../event-fields.ts";
import { fitText } from "../fit-text.ts";
import { jsonCost } from "../truncate.ts";

/** A push event as the message of a Web Push: its fields as JSON text; undefined when it is too large. */
export function renderEvent(content: EventContent, maxBytes: number): string | undefined {
  const build = (text: string | undefined): string => JSON.stringify(eventFields(content, text));
  return fitText(eventText(content), build, (body) => Buffer.byteLength(body), {
    maxBytes,
    copies: 1,
    cost: jsonCost,
  });
}
