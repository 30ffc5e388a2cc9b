import type { EventContent } from "../../core/push.ts";
import { eventFields, eventText } from "../event-fields.ts";
import { fitText } from "../fit-text.ts";
import { utf8Cost } from "../truncate.ts";
import { asText, dataBytes, MAX_DATA_BYTES, type Data } from "./data.ts";

/** A push event as the data of an FCM message, every value a string (registry.md, push events). */
export function renderEvent(content: EventContent): Data | undefined {
  const build = (text: string | undefined): Data =>
    new Map(Object.entries(eventFields(content, text)).map(([key, value]) => [key, asText(value)]));
  return fitText(eventText(content), build, dataBytes, {
    maxBytes: MAX_DATA_BYTES,
    copies: 1,
    cost: utf8Cost,
  });
}
