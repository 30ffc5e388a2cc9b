import type { ApiKeys } from "../../http/auth.ts";
import { pushDoor, pushRoute, type FrontDoor } from "../../http/door.ts";
import type { JsonObject } from "../../json.ts";
import { answerEvent, refuseEvent } from "./answer.ts";
import { compileEvents } from "./event-types.ts";
import { parseEvent, type EventParsing } from "./parse.ts";

/** What the door is made of. */
export interface EventsDoorOptions extends Omit<EventParsing, "types"> {
  readonly path: string;
  readonly keys: ApiKeys;
  /** Events of the operator's own: a JSON Schema of each one's fields, checked. */
  readonly events: Readonly<Record<string, JsonObject>>;
}

/** Push events: what happened to an owner, told to each of his devices. */
export function eventsDoor(options: EventsDoorOptions): FrontDoor {
  const parsing: EventParsing = { ...options, types: compileEvents(options.events) };
  const route = pushRoute({
    path: options.path,
    keys: options.keys,
    isRepeatable: true,
    parse: (body, context) => parseEvent(body, context, parsing),
    answer: answerEvent,
    refuse: refuseEvent,
  });
  return pushDoor("events", [route]);
}
