import type { TObject } from "@sinclair/typebox";
import { Ajv, type ErrorObject } from "ajv";
import { Type } from "../../json-schema.ts";
import type { JsonObject, JsonValue } from "../../json.ts";

/** An event's own fields, validated; or a sentence for each that is missing or wrong. */
export type ReadFields = { readonly fields: JsonObject } | { readonly problems: readonly string[] };

/** Reads the fields of one type of event. */
export type EventType = (sent: JsonObject) => ReadFields;

/** So that an answer stays short whatever was sent: a place is made of names of the sender's. */
const maxProblems = 50;
const maxPlaceLength = 100;
/** Whole seconds that a four-digit year ends with. */
const lastSecond = 253_402_300_799;

const uuidPattern = /^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/;
const uuid = Type.String({ format: "uuid" });
/** Numbers and names; only a text may be long. */
const short = Type.String({ maxLength: 512 });

/** The events of the reference, their fields in its order (registry.md, push events). */
export const builtInEvents: ReadonlyMap<string, TObject> = new Map<string, TObject>([
  ["fax_new", Type.Object({ fax: uuid, phone: short, page_count: Type.Integer({ minimum: 0 }) })],
  ["recording_new", Type.Object({ recording: uuid, phone: short })],
  ["dialplan_callreverse_start", Type.Object({ phone_from: short, phone_to: short })],
  ["dialplan_callreverse_stop", Type.Object({ phone_from: short, phone_to: short })],
  [
    "chat_message",
    Type.Object({
      chat: uuid,
      uuid,
      time: Type.Integer({ minimum: 0, maximum: lastSecond }),
      user: uuid,
      user_name: short,
      type: short,
      text: Type.String(),
    }),
  ],
]);

/** True for an event that needs no configuration. */
export function isBuiltIn(name: string): boolean {
  return builtInEvents.has(name);
}

/** All events, by name. The schemas of one's own have been found to compile. */
export function compileEvents(own: Readonly<Record<string, JsonObject>>): ReadonlyMap<string, EventType> {
  const types = new Map<string, EventType>();
  for (const [name, schema] of builtInEvents) types.set(name, known(schema));
  for (const [name, schema] of Object.entries(own)) {
    const compiled = compileOwnEvent(schema);
    if ("problem" in compiled) throw new Error(`registry.events.${name}: ${compiled.problem}`);
    types.set(name, compiled.read);
  }
  return types;
}

/** An event of the operator's own, or why its schema is none. */
export function compileOwnEvent(
  schema: JsonObject,
): { readonly read: EventType } | { readonly problem: string } {
  if (schema["type"] !== "object") return { problem: "must be a JSON Schema with `type: object`" };
  if (schema["$async"] !== undefined) return { problem: "must not be asynchronous" };
  const taken = Object.keys(propertiesOf(schema)).filter(isReserved);
  if (taken.length > 0) return { problem: `has fields with names that are taken: ${taken.join(", ")}` };
  let validate: ReturnType<Ajv["compile"]>;
  try {
    validate = createAjv().compile(schema);
  } catch (error) {
    return {
      problem: `is no JSON Schema: ${error instanceof Error ? error.message : "it does not compile"}`,
    };
  }
  return {
    read(sent) {
      const problems = validate(sent) === true ? [] : sentences(validate.errors ?? []);
      const names = Object.keys(sent).filter(isReserved);
      if (names.length > 0) problems.push("there are fields with names that are taken");
      return problems.length > 0 ? { problems } : { fields: sent };
    },
  };
}

/** Fields that the reference does not have are left out, so that apps get exactly its content. */
function known(schema: TObject): EventType {
  const validate = createAjv().compile(schema);
  const names = Object.keys(schema.properties);
  return (sent) => {
    if (validate(sent) !== true) return { problems: sentences(validate.errors ?? []) };
    return { fields: Object.fromEntries(names.map((name) => [name, sent[name] ?? null])) };
  };
}

/** One for each schema: names that two schemas give themselves do not meet. */
function createAjv(): Ajv {
  const ajv = new Ajv({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true });
  ajv.addFormat("uuid", uuidPattern);
  return ajv;
}

/** Names that the event itself, Apple or FCM need (fcm.md 2). */
function isReserved(name: string): boolean {
  return /^(?:|aps|owner|message|from|message_type|collapse_key|gcm.*|google.*)$/s.test(name);
}

/** Names only places and what they must be: nothing that was sent. */
function sentences(errors: readonly ErrorObject[]): string[] {
  const said = errors.slice(0, maxProblems).map((error) => {
    const place = error.instancePath
      .slice(1, 1 + maxPlaceLength)
      .replaceAll("/", ".")
      .toWellFormed();
    if (error.keyword === "required") {
      const { missingProperty } = error.params as { readonly missingProperty: string };
      return `${place === "" ? "" : `${place}.`}${missingProperty} is missing`;
    }
    return `${place === "" ? "the event" : place} ${error.message ?? "is wrong"}`;
  });
  return [...new Set(said)];
}

function propertiesOf(schema: JsonObject): JsonObject {
  const properties: JsonValue | undefined = schema["properties"];
  return typeof properties === "object" && properties !== null && !Array.isArray(properties)
    ? (properties as JsonObject)
    : {};
}
