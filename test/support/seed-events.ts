import type { EventContent } from "../../src/core/push.ts";
import type { JsonObject } from "../../src/json.ts";

/** One push event of the reference, with its content for both systems exactly as the reference has it. */
export interface SeedEvent {
  readonly name: string;
  /** What a back end posts. */
  readonly body: JsonObject;
  readonly fcm: JsonObject;
  readonly apns: JsonObject;
}

const owner = "9aed5e94-3803-11e3-8475-0024e8f90cc0";
const aps = { "content-available": 1 };

const fax = { fax: "af729cc0-3251-11e2-81c1-0800200c9a66", phone: "+492215587412" };
const recording = { recording: "af729cc0-3251-11e2-81c1-0800200c9a66", phone: "+492215587412" };
const phones = { phone_from: "+4989123248278", phone_to: "+492216698000" };
const chat = { chat: "52a9fd3c-8aad-11e0-9138-0024e8f90cc0", uuid: "c1aa1566-84d7-11e2-a7a8-0024e8f90cc0" };
const said = {
  user: "1de7257a-4f34-11e0-ab6e-0024e8f90cc1",
  user_name: "John Doe",
  type: "text",
  text: "what's for lunch today?",
};

function seedEvent(name: string, asSent: JsonObject, asStrings: JsonObject): SeedEvent {
  const body = { owner, message: name, ...asSent };
  return { name, body, fcm: { owner, message: name, ...asStrings }, apns: { aps, ...body } };
}

/** The five events of the reference: ten payloads. */
export const seedEvents: readonly SeedEvent[] = [
  seedEvent("fax_new", { ...fax, page_count: 2 }, { ...fax, page_count: "2" }),
  seedEvent("recording_new", recording, recording),
  seedEvent("dialplan_callreverse_start", phones, phones),
  seedEvent("dialplan_callreverse_stop", phones, phones),
  seedEvent("chat_message", { ...chat, time: 1362407297, ...said }, { ...chat, time: "1362407297", ...said }),
];

/** An event as the core has it, from the body that a back end posts. */
export function eventContent(body: JsonObject): EventContent {
  const { owner: ownerId, message, ...fields } = body;
  if (typeof ownerId !== "string" || typeof message !== "string") throw new Error("no event");
  return { kind: "event", name: message, owner: ownerId, fields };
}
