import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { assertNever, type Dropped, type Rejected } from "../../core/outcome.ts";
import {
  definePushkin,
  type Attempt,
  type AttemptContext,
  type Message,
  type Pushkin,
  type PushkinDeps,
} from "../../core/pushkin.ts";
import type { Content, Push } from "../../core/push.ts";
import { AllowedEndpoints } from "../push-service/allowed-endpoints.ts";
import { ServiceClient } from "../push-service/client.ts";
import { DEFAULT_PER_HOST } from "../push-service/config.ts";
import { MAX_MESSAGE_BYTES } from "../push-service/encrypt.ts";
import { sendMessage } from "../push-service/exchange.ts";
import { ttlSeconds, urgencyOf, type Urgency } from "../push-service/message.ts";
import { readVapidKey } from "../push-service/vapid-key.ts";
import { Vapid, vapidSubject } from "../push-service/vapid.ts";
import { checkWebPush, WebPushConfig, webPushWarnings, type WebPushOptions } from "./config.ts";
import { diagnoseWebPush } from "./diagnose.ts";
import { renderEvent } from "./event.ts";
import { leanPayload, renderMatrix, topicOf } from "./matrix.ts";
import { readSubscription } from "./subscription.ts";

/** Mozilla's service hands on to Android what is smaller than this, and answers 413 to the rest (webpush.md 2). */
const MOZILLA_MESSAGE_BYTES = 2_700;

/** What was decided at rendering beside the payload. */
interface WebPushMessage extends Message {
  readonly p256dh: string;
  readonly auth: string;
  readonly urgency: Urgency;
  readonly webpushTopic?: string;
}

/** Browsers' push services: RFC 8030, 8291 and 8292 (webpush.md). */
export const webpush = definePushkin({
  types: ["webpush"],
  config: WebPushConfig,
  check: checkWebPush,
  warnings: webPushWarnings,
  diagnose: diagnoseWebPush,
  create: async (name, config, deps) => {
    const key = await readVapidKey(config.vapid_private_key);
    if ("problem" in key) throw new Error(`vapid_private_key: ${key.problem}`);
    const ca = config.ca_file === undefined ? undefined : await readFile(config.ca_file, "utf8");
    const vapid = new Vapid(key, vapidSubject(config.vapid_contact_email), deps.clock);
    return new WebPushPushkin(name, config, { vapid, ca, deps });
  },
});

class WebPushPushkin implements Pushkin {
  readonly name: string;
  readonly type = "webpush";
  readonly fingerprint: string;
  readonly hasManyUpstreams = true;
  readonly #config: WebPushOptions;
  readonly #deps: PushkinDeps;
  readonly #allowed: AllowedEndpoints;
  readonly #client: ServiceClient;

  constructor(
    name: string,
    config: WebPushOptions,
    {
      vapid,
      ca,
      deps,
    }: { readonly vapid: Vapid; readonly ca: string | undefined; readonly deps: PushkinDeps },
  ) {
    this.name = name;
    this.#config = config;
    this.#deps = deps;
    this.#allowed = new AllowedEndpoints(config.allowed_endpoints);
    this.fingerprint = createHash("sha256").update(vapid.key.publicKey).digest("hex").slice(0, 32);
    this.#client = new ServiceClient({
      deps,
      vapid,
      perHost: config.max_connections ?? DEFAULT_PER_HOST,
      base: config.endpoint,
      ca,
    });
  }

  render(push: Push): WebPushMessage | Rejected | Dropped {
    const { content } = push;
    const data = content.kind === "matrix" ? content.data : {};
    const subscription = readSubscription(push.pushkey, data);
    if (subscription === undefined) return { kind: "rejected", reason: "invalid-pushkey" };
    const { endpoint, p256dh, auth } = subscription;
    // Case 38, unless the operator lets http through.
    if (endpoint.isPlainHttp && this.#deps.outbound?.allow_http !== true) {
      return { kind: "rejected", reason: "invalid-pushkey" };
    }
    if (!this.#allowed.allows(endpoint)) return { kind: "dropped", reason: "endpoint-not-allowed" };
    const maxBytes = endpoint.host.endsWith(".push.services.mozilla.com")
      ? MOZILLA_MESSAGE_BYTES
      : MAX_MESSAGE_BYTES;
    const body = this.#renderContent(content, maxBytes);
    if (typeof body !== "string") return body;
    const webpushTopic = content.kind === "matrix" ? topicOf(content) : undefined;
    return {
      body,
      to: endpoint.url.href,
      p256dh,
      auth,
      urgency: urgencyOf(push),
      ...(webpushTopic === undefined ? {} : { webpushTopic }),
    };
  }

  /** A whole subscription as JSON text; keys beside it have no place in the other doors' requests. */
  readToken(text: string): string | undefined {
    return readSubscription(text, {}) === undefined ? undefined : text.trim();
  }

  #renderContent(content: Content, maxBytes: number): string | Dropped {
    switch (content.kind) {
      case "matrix":
        return renderMatrix(content, { countsPushes: this.#config.counts_pushes, maxBytes });
      case "softphone":
        // No softphone runs in a browser's service worker: none has said what it would read.
        return { kind: "dropped", reason: "not-wanted" };
      case "event":
        return renderEvent(content, maxBytes) ?? { kind: "dropped", reason: "too-large" };
      default:
        return assertNever(content);
    }
  }

  upstreamOf(message: Message): string {
    return this.#client.upstreamOf(message.to);
  }

  attempt(message: Message, context: AttemptContext): Promise<Attempt> {
    const { body, to, p256dh, auth, urgency, webpushTopic } = message as WebPushMessage;
    return sendMessage(
      this.#client,
      {
        endpoint: to,
        keys: { p256dh, auth },
        message: body,
        leanMessage: leanPayload(body),
        ttlSeconds: ttlSeconds(context.push.expiresAtMs, this.#deps.clock.now(), this.#config.ttl),
        urgency,
        webpushTopic,
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
