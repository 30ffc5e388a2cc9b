import { signalOf } from "../../cancellation.ts";
import type { AttemptContext, Attempt } from "../../core/pushkin.ts";
import type { ServiceClient, ServiceResult } from "./client.ts";
import { encrypt } from "./encrypt.ts";
import type { Urgency } from "./message.ts";
import type { SubscriptionKeys } from "./subscription-keys.ts";

/** A message on its way to one subscription. */
export interface Outgoing {
  readonly endpoint: string;
  /** Absent: the message goes as it is (UnifiedPush without keys). */
  readonly keys?: SubscriptionKeys | undefined;
  readonly message: string;
  /** The smallest form of the message, for a service that finds it too large. */
  readonly leanMessage: string;
  readonly ttlSeconds: number;
  readonly urgency: Urgency;
  readonly webpushTopic?: string | undefined;
}

/** Sends a message, and once more where the answer says how (webpush.md 4). The second answer is the outcome. */
export async function sendMessage(
  client: ServiceClient,
  outgoing: Outgoing,
  context: AttemptContext,
): Promise<Attempt> {
  const signal = signalOf(context.signal);
  const first = await client.send(requestOf(outgoing), signal);
  const changed = signal.aborted ? undefined : afterAnswer(first, outgoing);
  const last = changed === undefined ? first : await client.send(requestOf(changed), signal);
  return { outcome: last.outcome, ...(last.queueMs === undefined ? {} : { queueMs: last.queueMs }) };
}

/** What is sent after such an answer; undefined when the answer is the outcome. */
function afterAnswer({ reaction }: ServiceResult, outgoing: Outgoing): Outgoing | undefined {
  switch (reaction) {
    case "done":
      return undefined;
    case "renew-and-repeat":
      return outgoing;
    case "repeat-without-topic":
      return outgoing.webpushTopic === undefined ? undefined : { ...outgoing, webpushTopic: undefined };
    case "shrink-and-repeat":
      return outgoing.leanMessage === outgoing.message
        ? undefined
        : { ...outgoing, message: outgoing.leanMessage };
  }
}

function requestOf({ endpoint, keys, message, ttlSeconds, urgency, webpushTopic }: Outgoing) {
  return {
    endpoint,
    headers: {
      ttl: String(ttlSeconds),
      urgency,
      // Also beside plain text: without it today's UnifiedPush servers refuse a message (webpush.md 6).
      "content-encoding": "aes128gcm",
      "content-type": "application/octet-stream",
      "user-agent": "signalbox",
      ...(webpushTopic === undefined ? {} : { topic: webpushTopic }),
    },
    body: keys === undefined ? Buffer.from(message) : encrypt(message, keys),
  };
}
