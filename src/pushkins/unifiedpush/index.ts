import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Dropped, Rejected } from "../../core/outcome.ts";
import {
  definePushkin,
  type Attempt,
  type AttemptContext,
  type Message,
  type Pushkin,
  type PushkinDeps,
} from "../../core/pushkin.ts";
import type { Push } from "../../core/push.ts";
import type { JsonObject } from "../../json.ts";
import { parseEndpoint } from "../../upstream/endpoint-url.ts";
import { AllowedEndpoints } from "../push-service/allowed-endpoints.ts";
import { ServiceClient } from "../push-service/client.ts";
import { DEFAULT_PER_HOST } from "../push-service/config.ts";
import { MAX_BODY_BYTES, MAX_MESSAGE_BYTES } from "../push-service/encrypt.ts";
import { sendMessage } from "../push-service/exchange.ts";
import { ttlSeconds, urgencyOf, type Urgency } from "../push-service/message.ts";
import { readKeys, type SubscriptionKeys } from "../push-service/subscription-keys.ts";
import { readVapidKey } from "../push-service/vapid-key.ts";
import { Vapid, vapidSubject } from "../push-service/vapid.ts";
import {
  checkUnifiedPush,
  UnifiedPushConfig,
  unifiedPushWarnings,
  type UnifiedPushOptions,
} from "./config.ts";
import { diagnoseUnifiedPush } from "./diagnose.ts";
import { leanMessage, renderMatrix } from "./matrix.ts";

/** webpush.md 6. */
const MAX_ENDPOINT_BYTES = 1_000;

/** What was decided at rendering beside the message. */
interface UnifiedPushMessage extends Message {
  readonly urgency: Urgency;
  /** Absent: the app takes plain text. */
  readonly p256dh?: string;
  readonly auth?: string;
}

/** UnifiedPush distributors, plain and by RFC 8291 (webpush.md 6). */
export const unifiedpush = definePushkin({
  types: ["unifiedpush"],
  config: UnifiedPushConfig,
  check: checkUnifiedPush,
  warnings: unifiedPushWarnings,
  diagnose: diagnoseUnifiedPush,
  create: async (name, config, deps) => {
    const ca = config.ca_file === undefined ? undefined : await readFile(config.ca_file, "utf8");
    return new UnifiedPushPushkin(name, config, { vapid: await loadVapid(config, deps), ca, deps });
  },
});

async function loadVapid(config: UnifiedPushOptions, deps: PushkinDeps): Promise<Vapid | undefined> {
  if (config.vapid_private_key === undefined) return undefined;
  const key = await readVapidKey(config.vapid_private_key);
  if ("problem" in key) throw new Error(`vapid_private_key: ${key.problem}`);
  return new Vapid(key, vapidSubject(config.vapid_contact_email ?? ""), deps.clock);
}

class UnifiedPushPushkin implements Pushkin {
  readonly name: string;
  readonly type = "unifiedpush";
  readonly fingerprint: string;
  readonly hasManyUpstreams = true;
  readonly #config: UnifiedPushOptions;
  readonly #deps: PushkinDeps;
  readonly #allowed: AllowedEndpoints;
  readonly #client: ServiceClient;

  constructor(
    name: string,
    config: UnifiedPushOptions,
    parts: { readonly vapid: Vapid | undefined; readonly ca: string | undefined; readonly deps: PushkinDeps },
  ) {
    const { vapid, ca, deps } = parts;
    this.name = name;
    this.#config = config;
    this.#deps = deps;
    this.#allowed = new AllowedEndpoints(config.allowed_endpoints);
    this.fingerprint = createHash("sha256")
      .update(vapid?.key.publicKey ?? "")
      .digest("hex")
      .slice(0, 32);
    this.#client = new ServiceClient({
      deps,
      vapid,
      perHost: config.max_connections ?? DEFAULT_PER_HOST,
      base: config.endpoint,
      ca,
    });
  }

  render(push: Push): UnifiedPushMessage | Rejected | Dropped {
    const { content } = push;
    // Its apps read the homeserver's request and nothing else (matrix-push 7.4).
    if (content.kind !== "matrix") return { kind: "dropped", reason: "not-wanted" };
    const pushkey = push.pushkey.trim();
    const endpoint = Buffer.byteLength(pushkey) > MAX_ENDPOINT_BYTES ? undefined : parseEndpoint(pushkey);
    const keys = keysOf(content.data);
    if (endpoint === undefined || keys === "malformed")
      return { kind: "rejected", reason: "invalid-pushkey" };
    if (!this.#allowed.allows(endpoint)) return { kind: "dropped", reason: "endpoint-not-allowed" };
    const body = renderMatrix(content, push.priority, {
      countsPushes: this.#config.counts_pushes,
      maxBytes: keys === undefined ? MAX_BODY_BYTES : MAX_MESSAGE_BYTES,
    });
    if (typeof body !== "string") return body;
    return { body, to: endpoint.url.href, urgency: urgencyOf(push), ...keys };
  }

  upstreamOf(message: Message): string {
    return this.#client.upstreamOf(message.to);
  }

  attempt(message: Message, context: AttemptContext): Promise<Attempt> {
    const { body, to, urgency, p256dh, auth } = message as UnifiedPushMessage;
    return sendMessage(
      this.#client,
      {
        endpoint: to,
        keys: p256dh === undefined || auth === undefined ? undefined : { p256dh, auth },
        message: body,
        leanMessage: leanMessage(body),
        ttlSeconds: ttlSeconds(context.push.expiresAtMs, this.#deps.clock.now(), this.#config.ttl),
        urgency,
      },
      context,
    );
  }

  waiting(): number {
    return this.#client.waiting();
  }

  close(signal: AbortSignal): Promise<void> {
    return this.#client.close(signal);
  }
}

/** The app's keys beside the endpoint; an app that gives none takes plain text. */
function keysOf(data: JsonObject): SubscriptionKeys | "malformed" | undefined {
  const { p256dh, auth } = data;
  if (p256dh === undefined && auth === undefined) return undefined;
  if (typeof p256dh !== "string" || typeof auth !== "string") return "malformed";
  return readKeys(p256dh.trim(), auth.trim()) ?? "malformed";
}
