import type { Finding } from "../../config/problem.ts";
import type { JsonObject } from "../../json.ts";
import { compileOwnEvent, isBuiltIn } from "./event-types.ts";

/** More than a back end tells of, and each is compiled at the start. */
const maxEvents = 100;
const maxSchemaBytes = 16_384;
const eventName = /^[A-Za-z0-9_.-]{1,64}$/;

/** What the schema cannot say about `registry.events`: each must be a JSON Schema that compiles. */
export function checkEvents(events: Readonly<Record<string, JsonObject>>): readonly Finding[] {
  const names = Object.keys(events);
  if (names.length > maxEvents) {
    return [{ path: ["registry", "events"], message: `must have at most ${maxEvents} entries` }];
  }
  return names.flatMap((name) => {
    const message = problemOf(name, events[name] ?? {});
    return message === undefined ? [] : [{ path: ["registry", "events", name], message }];
  });
}

function problemOf(name: string, schema: JsonObject): string | undefined {
  if (!eventName.test(name))
    return "is no name of an event: 1 to 64 letters, digits, dots, hyphens and underscores";
  if (isBuiltIn(name)) return "is an event that there is already";
  if (Buffer.byteLength(JSON.stringify(schema)) > maxSchemaBytes) {
    return `must have at most ${maxSchemaBytes} bytes as JSON`;
  }
  const compiled = compileOwnEvent(schema);
  return "problem" in compiled ? compiled.problem : undefined;
}
