import { randomBytes } from "node:crypto";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { isJsonObject } from "../json.ts";
import type { JsonValue } from "../json.ts";
import { Connections } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { startListener } from "./listener.ts";
import type { Exchange, Listener } from "./listener.ts";
import { Recorder } from "./recorder.ts";
import { Responder } from "./responder.ts";
import type { Verdict } from "./responder.ts";
import { Script } from "./script.ts";
import type { Delay } from "./script.ts";
import { checkVapid, checkHeaders } from "./webpush-checks.ts";
import { createClientKeys, decryptMessage } from "./webpush-crypto.ts";
import type { ClientKeys } from "./webpush-crypto.ts";
import { serviceError } from "./webpush-errors.ts";
import type { Dialect } from "./webpush-errors.ts";

/** How the simulated push service behaves. */
export interface WebPushSimulatorOptions {
  readonly credentials: Credentials;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default mozilla. */
  readonly dialect?: Dialect;
  /** Of a body. Default 4096, the least that RFC 8030 allows. */
  readonly maxBodyBytes?: number;
  /** What an accepted push is answered. Default 201. */
  readonly acceptedStatus?: number;
  /** Origins that a VAPID token may name beside the service's own. */
  readonly audiences?: readonly string[];
  /** Before each answer. Default 0. */
  readonly latency?: Delay;
  readonly script?: Script;
  readonly recorder?: Recorder;
  readonly clock?: Clock;
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
const MAX_SUBSCRIPTIONS = 100_000;
const MAX_MESSAGES = 1_000;

/** A running simulation of a Web Push service (RFC 8030) with its browsers. */
export class WebPushSimulator {
  readonly script: Script;
  readonly recorder: Recorder;
  readonly connections = new Connections<undefined>();
  readonly #options: WebPushSimulatorOptions;
  readonly #clock: Clock;
  readonly #responder: Responder;
  readonly #subscriptions = new Map<string, Subscription>();
  #listener: Listener | undefined;

  private constructor(options: WebPushSimulatorOptions) {
    this.#options = options;
    this.script = options.script ?? new Script();
    this.recorder = options.recorder ?? new Recorder();
    this.#clock = options.clock ?? systemClock;
    this.#responder = new Responder({
      upstream: "webpush",
      script: this.script,
      recorder: this.recorder,
      clock: this.#clock,
      renderError: ({ reason, status, retryAfter }) =>
        serviceError(this.#dialect, reason, { status, retryAfter }),
    });
    this.#responder.latency = options.latency ?? 0;
  }

  static async start(options: WebPushSimulatorOptions): Promise<WebPushSimulator> {
    const simulator = new WebPushSimulator(options);
    simulator.#listener = await startListener<undefined>({
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      tls: options.credentials.server,
      http1: true,
      maxBodyBytes: 65_536,
      connections: simulator.connections,
      open: () => ({ state: undefined, maxConcurrentStreams: 100 }),
      handle: (exchange) => simulator.#handle(exchange),
    });
    return simulator;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Its origin. By name, since a gateway sends to no bare address unless it is told to. */
  get url(): string {
    const host = this.#options.host ?? "127.0.0.1";
    const name = host === "127.0.0.1" || host === "::1" ? "localhost" : host;
    return `https://${name.includes(":") ? `[${name}]` : name}:${this.port}`;
  }

  /** Before each answer that no rule delays. */
  set latency(delay: Delay) {
    this.#responder.latency = delay;
  }

  get #dialect(): Dialect {
    return this.#options.dialect ?? "mozilla";
  }

  /** A new subscription of a simulated browser, or of one that brings its own keys. */
  subscribe(options: SubscribeOptions = {}): SimulatedSubscription {
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) throw new Error("too many subscriptions");
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
    this.#subscriptions.set(id, subscription);
    return subscription;
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
  }

  #handle(exchange: Exchange<undefined>): void {
    if (exchange.path === "/subscribe" && exchange.method === "POST") {
      this.#serveSubscribe(exchange);
      return;
    }
    const token = SEND_PATH.exec(exchange.path)?.[1];
    const subscription = token === undefined ? undefined : this.#subscriptions.get(token);
    const header = exchange.headers["topic"];
    const topic = typeof header === "string" ? header : undefined;
    const read = this.#read(exchange, subscription);
    const seen = { token, topic, ...(typeof read === "object" ? read : {}) };
    const refusal =
      this.#check(exchange, subscription) ?? (typeof read === "string" ? "BAD_CRYPTO" : undefined);
    if (refusal !== undefined || subscription === undefined) {
      this.#responder.refuse(exchange, seen, serviceError(this.#dialect, refusal ?? "NOT_FOUND"));
      return;
    }
    this.#responder.answer(exchange, seen, () => this.#accept(exchange, subscription, topic));
  }

  /** Why the request is refused: a name of webpush-errors.ts. */
  #check(exchange: Exchange<undefined>, subscription: Subscription | undefined): string | undefined {
    if (exchange.method !== "POST") return "BAD_METHOD";
    const vapid = checkVapid(exchange, {
      audiences: [this.url, `https://${authorityOf(exchange)}`, ...(this.#options.audiences ?? [])],
      applicationServerKey: subscription?.applicationServerKey,
      nowMs: this.#clock.now(),
    });
    if (vapid !== undefined) return vapid;
    const headers = checkHeaders(exchange, this.#dialect);
    if (headers !== undefined) return headers;
    if (exchange.truncated || exchange.body.length > (this.#options.maxBodyBytes ?? 4_096))
      return "TOO_LARGE";
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
    messages.push({
      body,
      ...(typeof read === "object" ? { text: read.text.toString("utf8") } : {}),
      ttl,
      urgency: typeof urgency === "string" ? urgency : "normal",
      ...(topic === undefined ? {} : { topic }),
    });
    if (messages.length > MAX_MESSAGES) messages.shift();
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
