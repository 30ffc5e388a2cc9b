import { isJsonObject, type JsonObject } from "../../json.ts";
import { parseEndpoint, type Endpoint } from "../../upstream/endpoint-url.ts";
import { readKeys, type SubscriptionKeys } from "../push-service/subscription-keys.ts";

/** A browser's push subscription. */
export interface Subscription extends SubscriptionKeys {
  readonly endpoint: Endpoint;
}

/**
 * The subscription of a pusher, in either style in use (matrix-push 7.3): the pushkey is the `p256dh` key with the rest
 * in `data`, or it is the whole subscription as JSON text. Undefined when it can never work (case 38).
 */
export function readSubscription(pushkey: string, data: JsonObject): Subscription | undefined {
  const fields = pushkey.trimStart().startsWith("{") ? wholeSubscription(pushkey) : undefined;
  const { endpoint, auth, p256dh } = fields ?? {
    endpoint: data["endpoint"],
    auth: data["auth"],
    p256dh: pushkey,
  };
  if (typeof endpoint !== "string" || typeof auth !== "string" || typeof p256dh !== "string")
    return undefined;
  const parsed = parseEndpoint(endpoint.trim());
  const keys = readKeys(p256dh.trim(), auth.trim());
  return parsed === undefined || keys === undefined ? undefined : { endpoint: parsed, ...keys };
}

/** As `JSON.stringify(subscription)` of a browser gives it; keys beside the endpoint are taken too. */
function wholeSubscription(text: string): JsonObject {
  try {
    const subscription: unknown = JSON.parse(text);
    if (!isJsonObject(subscription)) return {};
    const { endpoint, keys } = subscription;
    const { auth, p256dh } = isJsonObject(keys) ? keys : subscription;
    return {
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(auth === undefined ? {} : { auth }),
      ...(p256dh === undefined ? {} : { p256dh }),
    };
  } catch {
    return {};
  }
}
