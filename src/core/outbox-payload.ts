import { isJsonObject } from "../json.ts";
import type { Message } from "./pushkin.ts";
import type { PushFacts } from "./push.ts";

/** What the outbox keeps of a push: its rendered form (D11), and what attempts need beside it. */
export interface OutboxPayload {
  /** The type of pushkin that rendered it, and that alone can send it. */
  readonly pushkin: string;
  readonly facts: Omit<PushFacts, "expiresAtMs">;
  readonly message: Message;
}

/** As it is committed. */
export function writePayload(payload: OutboxPayload): string {
  return JSON.stringify(payload);
}

/** As it was committed; undefined for what this version cannot read. */
export function readPayload(text: string): OutboxPayload | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || !isJsonObject(value["facts"]) || !isJsonObject(value["message"]))
    return undefined;
  const { pushkin, facts, message } = value;
  const readable =
    typeof pushkin === "string" &&
    typeof facts["id"] === "string" &&
    typeof facts["receivedAtMs"] === "number" &&
    (facts["priority"] === "high" || facts["priority"] === "low") &&
    typeof message["body"] === "string" &&
    typeof message["to"] === "string";
  // What was checked is what attempts rely on; the rest was written by `writePayload`.
  return readable ? (value as unknown as OutboxPayload) : undefined;
}
