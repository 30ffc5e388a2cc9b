import { randomBytes } from "node:crypto";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { JsonValue } from "../json.ts";
import { Connections } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { startListener } from "./listener.ts";
import type { Exchange, Listener } from "./listener.ts";
import { Recorder } from "./recorder.ts";
import { Responder } from "./responder.ts";
import { Script } from "./script.ts";
import type { Delay } from "./script.ts";
import { createClientKeys, decryptMessage } from "./webpush-crypto.ts";
import type { ClientKeys } from "./webpush-crypto.ts";
import { serviceError } from "./webpush-errors.ts";

/** How the simulated push server behaves. */
export interface UnifiedPushSimulatorOptions {
  readonly credentials: Credentials;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Of a message. Default 4096 (webpush.md 6). */
  readonly maxBodyBytes?: number;
  /** What an accepted push is answered. Default 200, as ntfy does. */
  readonly acceptedStatus?: number;
  /** Before each answer. Default 0. */
  readonly latency?: Delay;
  readonly script?: Script;
  readonly recorder?: Recorder;
  readonly clock?: Clock;
}

/** What a distributor hands to an app, and what then reaches it. */
export interface SimulatedEndpoint {
  readonly id: string;
  /** The URL that the app registers as its pushkey. */
  readonly endpoint: string;
  /** Absent for an app that takes plain text. */
  readonly keys?: { readonly p256dh: string; readonly auth: string };
  /** All that came, oldest first: as it came, and as the app reads it. */
  readonly messages: readonly { readonly body: Buffer; readonly text: string }[];
  /** `gone`: 410; `unknown`: 404; `nobody`: 507, as ntfy says when nobody listens. */
  state: "active" | "gone" | "unknown" | "nobody";
}

interface Endpoint extends SimulatedEndpoint {
  readonly clientKeys: ClientKeys | undefined;
  readonly messages: { readonly body: Buffer; readonly text: string }[];
}

const ENDPOINT_PATH = /^\/([A-Za-z0-9_-]{1,200})\?up=1$/;
const DISCOVERY_PATH = "/_matrix/push/v1/notify";
const MAX_ENDPOINTS = 100_000;
const MAX_MESSAGES = 1_000;
const refusals = { gone: "GONE", unknown: "NOT_FOUND", nobody: "NOBODY_LISTENS" } as const;

/** A running simulation of a UnifiedPush push server and its distributor (webpush.md 6). */
export class UnifiedPushSimulator {
  readonly script: Script;
  readonly recorder: Recorder;
  readonly connections = new Connections<undefined>();
  readonly #options: UnifiedPushSimulatorOptions;
  readonly #responder: Responder;
  readonly #endpoints = new Map<string, Endpoint>();
  #listener: Listener | undefined;

  private constructor(options: UnifiedPushSimulatorOptions) {
    this.#options = options;
    this.script = options.script ?? new Script();
    this.recorder = options.recorder ?? new Recorder();
    this.#responder = new Responder({
      upstream: "unifiedpush",
      script: this.script,
      recorder: this.recorder,
      clock: options.clock ?? systemClock,
      renderError: ({ reason, status, retryAfter }) =>
        serviceError("mozilla", reason, { status, retryAfter }),
    });
    this.#responder.latency = options.latency ?? 0;
  }

  static async start(options: UnifiedPushSimulatorOptions): Promise<UnifiedPushSimulator> {
    const simulator = new UnifiedPushSimulator(options);
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

  /** A new registration of an app; `encrypted`: one that brings keys, as since AND_3.0.0. */
  register({ encrypted = false }: { readonly encrypted?: boolean } = {}): SimulatedEndpoint {
    if (this.#endpoints.size >= MAX_ENDPOINTS) throw new Error("too many endpoints");
    const clientKeys = encrypted ? createClientKeys() : undefined;
    const id = `up${randomBytes(9).toString("base64url")}`;
    const endpoint: Endpoint = {
      id,
      endpoint: `${this.url}/${id}?up=1`,
      ...(clientKeys === undefined ? {} : { keys: clientKeys.handedOut }),
      clientKeys,
      messages: [],
      state: "active",
    };
    this.#endpoints.set(id, endpoint);
    return endpoint;
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
  }

  #handle(exchange: Exchange<undefined>): void {
    if (exchange.method === "GET") {
      serveDiscovery(exchange);
      return;
    }
    if (exchange.method === "POST" && exchange.path === "/register") {
      this.#serveRegister(exchange);
      return;
    }
    const token = ENDPOINT_PATH.exec(exchange.path)?.[1];
    const endpoint = token === undefined ? undefined : this.#endpoints.get(token);
    const text = endpoint === undefined ? undefined : readMessage(exchange.body, endpoint.clientKeys);
    const seen = { token, payload: text === undefined ? undefined : parse(text) };
    const refusal = this.#check(exchange, endpoint, text);
    if (refusal !== undefined || endpoint === undefined || text === undefined) {
      this.#responder.refuse(exchange, seen, serviceError("mozilla", refusal ?? "BAD_CRYPTO"));
      return;
    }
    this.#responder.answer(exchange, seen, () => {
      endpoint.messages.push({ body: exchange.body, text });
      if (endpoint.messages.length > MAX_MESSAGES) endpoint.messages.shift();
      return {
        reply: {
          status: this.#options.acceptedStatus ?? 200,
          headers: { "content-type": "application/json", ttl: "0" },
          body: "{}",
        },
        accepted: true,
      };
    });
  }

  #check(
    { body, headers, method, truncated }: Exchange<undefined>,
    endpoint: Endpoint | undefined,
    text: string | undefined,
  ): string | undefined {
    if (method !== "POST") return "BAD_METHOD";
    if (endpoint === undefined) return "NOT_FOUND";
    if (endpoint.state !== "active") return refusals[endpoint.state];
    if (truncated || body.length > (this.#options.maxBodyBytes ?? 4_096)) return "TOO_LARGE";
    if (typeof headers["ttl"] !== "string" || !/^\d{1,10}$/.test(headers["ttl"])) return "BAD_TTL";
    const isMarked = headers["content-encoding"] === "aes128gcm";
    return isMarked && body.length > 0 && text !== undefined ? undefined : "BAD_CRYPTO";
  }

  /** For `signalbox sim`: a registration as a distributor hands it to an app. */
  #serveRegister(exchange: Exchange<undefined>): void {
    const { endpoint, keys } = this.register({
      encrypted: exchange.body.toString("utf8").includes("encrypted"),
    });
    exchange.reply({
      status: 201,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ endpoint, ...keys }),
    });
  }
}

/** What apps look for before they register: at the notify path whether this host is a Matrix gateway. */
function serveDiscovery(exchange: Exchange<undefined>): void {
  const found = exchange.path === DISCOVERY_PATH ? { gateway: "matrix" } : { version: 1 };
  exchange.reply({
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ unifiedpush: found }),
  });
}

/** Undefined when the app could not read it. */
function readMessage(body: Buffer, keys: ClientKeys | undefined): string | undefined {
  if (keys === undefined) return body.toString("utf8");
  const message = decryptMessage(body, keys);
  return typeof message === "string" ? undefined : message.text.toString("utf8");
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
