import { randomBytes } from "node:crypto";
import { isJsonObject } from "../json.ts";
import type { JsonValue } from "../json.ts";
import type { Exchange } from "./listener.ts";
import { keepMessage, PushServiceSimulator } from "./push-service.ts";
import type { PushServiceOptions } from "./push-service.ts";
import type { Verdict } from "./responder.ts";
import { checkVapid, checkHeaders } from "./webpush-checks.ts";
import { createClientKeys, decryptMessage } from "./webpush-crypto.ts";
import type { ClientKeys } from "./webpush-crypto.ts";
import { serviceError } from "./webpush-errors.ts";
import type { Dialect } from "./webpush-errors.ts";

/** How the simulated push service behaves. An accepted push is answered 201 unless it says otherwise. */
export interface WebPushSimulatorOptions extends PushServiceOptions {
  /** Default mozilla. */
  readonly dialect?: Dialect;
  /** Origins that a VAPID token may name beside the service's own. */
  readonly audiences?: readonly string[];
}

/** A message as a subscription got it. */
export interface PushMessage {
  /** As it came over the wire. */
  readonly body: Buffer;
  /** What the browser reads; absent when its keys are not this simulator's. */
  readonly text?: string;
  readonly ttl: number;
  readonly urgency: string;
  readonly topic?: string;
}

/** What a browser would hand to its web app, and what then reaches it. */
export interface SimulatedSubscription {
  readonly id: string;
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
  /** All that came, oldest first. */
  readonly messages: readonly PushMessage[];
  /** What a browser that was away finds: of each topic the last. */
  readonly waiting: readonly PushMessage[];
  /** `gone`: 410; `unknown`: 404. */
  state: "active" | "gone" | "unknown";
}

/** What a subscription is made with. */
export interface SubscribeOptions {
  /** Only this VAPID key may send (base64url, 87 characters). Absent: any. */
  readonly applicationServerKey?: string;
  /** A real browser's public keys: this simulator then cannot read its messages. */
  readonly keys?: { readonly p256dh: string; readonly auth: string };
}

interface Subscription extends SimulatedSubscription {
  readonly clientKeys: ClientKeys | undefined;
  readonly applicationServerKey: string | undefined;
  readonly messages: PushMessage[];
}

const SEND_PATH = /^\/send\/([A-Za-z0-9_-]{1,200})$/;

/** A running simulation of a Web Push service (RFC 8030) with its browsers. */
export class WebPushSimulator extends PushServiceSimulator<Subscription> {
  readonly #options: WebPushSimulatorOptions;

  private constructor(options: WebPushSimulatorOptions) {
    super("webpush", options, options.dialect ?? "mozilla");
    this.#options = options;
  }

  static async start(options: WebPushSimulatorOptions): Promise<WebPushSimulator> {
    const simulator = new WebPushSimulator(options);
    await simulator.listen();
    return simulator;
  }

  /** A new subscription of a simulated browser, or of one that brings its own keys. */
  subscribe(options: SubscribeOptions = {}): SimulatedSubscription {
    const clientKeys = options.keys === undefined ? createClientKeys() : undefined;
    const id = randomBytes(24).toString("base64url");
    const subscription: Subscription = {
      id,
      endpoint: `${this.url}/send/${id}`,
      keys: options.keys ?? clientKeys?.handedOut ?? { p256dh: "", auth: "" },
      clientKeys,
      applicationServerKey: options.applicationServerKey,
      messages: [],
      get waiting() {
        const byTopic = new Map(this.messages.map((message) => [message.topic ?? Symbol("none"), message]));
        return [...byTopic.values()];
      },
      state: "active",
    };
    return this.add(subscription);
  }

  protected override handle(exchange: Exchange<undefined>): void {
    if (exchange.path === "/subscribe" && exchange.method === "POST") {
      this.#serveSubscribe(exchange);
      return;
    }
    const token = SEND_PATH.exec(exchange.path)?.[1];
    const subscription = this.find(token);
    const header = exchange.headers["topic"];
    const topic = typeof header === "string" ? header : undefined;
    const read = this.#read(exchange, subscription);
    const seen = { token, topic, ...(typeof read === "object" ? read : {}) };
    const refusal =
      this.#check(exchange, subscription) ?? (typeof read === "string" ? "BAD_CRYPTO" : undefined);
    if (refusal !== undefined || subscription === undefined) {
      this.responder.refuse(exchange, seen, serviceError(this.dialect, refusal ?? "NOT_FOUND"));
      return;
    }
    this.responder.answer(exchange, seen, () => this.#accept(exchange, subscription, topic));
  }

  /** Why the request is refused: a name of webpush-errors.ts. */
  #check(exchange: Exchange<undefined>, subscription: Subscription | undefined): string | undefined {
    if (exchange.method !== "POST") return "BAD_METHOD";
    const vapid = checkVapid(exchange, {
      audiences: [this.url, `https://${authorityOf(exchange)}`, ...(this.#options.audiences ?? [])],
      applicationServerKey: subscription?.applicationServerKey,
      nowMs: this.clock.now(),
    });
    if (vapid !== undefined) return vapid;
    const headers = checkHeaders(exchange, this.dialect);
    if (headers !== undefined) return headers;
    if (this.isTooLarge(exchange)) return "TOO_LARGE";
    if (subscription === undefined || subscription.state === "unknown") return "NOT_FOUND";
    return subscription.state === "gone" ? "GONE" : undefined;
  }

  /** The payload as its browser reads it; a text says why it cannot. */
  #read(
    { body }: Exchange<undefined>,
    subscription: Subscription | undefined,
  ): { readonly payload?: JsonValue } | string {
    if (subscription?.clientKeys === undefined || body.length === 0) return {};
    const message = decryptMessage(body, subscription.clientKeys);
    if (typeof message === "string") return message;
    try {
      return { payload: JSON.parse(message.text.toString("utf8")) as JsonValue };
    } catch {
      return { payload: message.text.toString("utf8") };
    }
  }

  #accept(exchange: Exchange<undefined>, subscription: Subscription, topic: string | undefined): Verdict {
    const { body, headers } = exchange;
    const { clientKeys, messages } = subscription;
    const read = clientKeys === undefined || body.length === 0 ? undefined : decryptMessage(body, clientKeys);
    const urgency = headers["urgency"];
    const ttl = Number(headers["ttl"]);
    keepMessage(messages, {
      body,
      ...(typeof read === "object" ? { text: read.text.toString("utf8") } : {}),
      ttl,
      urgency: typeof urgency === "string" ? urgency : "normal",
      ...(topic === undefined ? {} : { topic }),
    });
    const id = randomBytes(12).toString("base64url");
    return {
      reply: {
        status: this.#options.acceptedStatus ?? 201,
        headers: { location: `${this.url}/message/${id}`, ttl: String(ttl), "content-length": "0" },
      },
      accepted: true,
    };
  }

  /** For `signalbox sim`: a subscription as a browser's `PushSubscription.toJSON` has it. */
  #serveSubscribe(exchange: Exchange<undefined>): void {
    const wanted = parseWanted(exchange.body);
    const { endpoint, keys } = this.subscribe(wanted);
    exchange.reply({
      status: 201,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ endpoint, expirationTime: null, keys }),
    });
  }
}

/** What the client calls this service: a name of it in front of a tunnel or a proxy. */
function authorityOf({ headers }: Exchange<undefined>): string {
  const authority = headers[":authority"] ?? headers.host;
  return typeof authority === "string" ? authority : "";
}

/** The application server key that a request names, when it has the form of one. */
function parseWanted(body: Buffer): SubscribeOptions {
  try {
    const parsed: unknown = JSON.parse(body.toString("utf8"));
    const key = isJsonObject(parsed) ? parsed["applicationServerKey"] : undefined;
    return typeof key === "string" && key.length === 87 ? { applicationServerKey: key } : {};
  } catch {
    return {};
  }
}
