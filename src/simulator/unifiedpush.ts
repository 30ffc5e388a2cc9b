import { randomBytes } from "node:crypto";
import type { JsonValue } from "../json.ts";
import type { Exchange } from "./listener.ts";
import { keepMessage, PushServiceSimulator } from "./push-service.ts";
import type { PushServiceOptions } from "./push-service.ts";
import { createClientKeys, decryptMessage } from "./webpush-crypto.ts";
import type { ClientKeys } from "./webpush-crypto.ts";
import { serviceError } from "./webpush-errors.ts";

/** How the simulated push server behaves. An accepted push is answered 200, as ntfy does, unless it says otherwise. */
export type UnifiedPushSimulatorOptions = PushServiceOptions;

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
const refusals = { gone: "GONE", unknown: "NOT_FOUND", nobody: "NOBODY_LISTENS" } as const;

/** A running simulation of a UnifiedPush push server and its distributor (webpush.md 6). */
export class UnifiedPushSimulator extends PushServiceSimulator<Endpoint> {
  readonly #acceptedStatus: number;

  private constructor(options: UnifiedPushSimulatorOptions) {
    super("unifiedpush", options, "mozilla");
    this.#acceptedStatus = options.acceptedStatus ?? 200;
  }

  static async start(options: UnifiedPushSimulatorOptions): Promise<UnifiedPushSimulator> {
    const simulator = new UnifiedPushSimulator(options);
    await simulator.listen();
    return simulator;
  }

  /** A new registration of an app; `encrypted`: one that brings keys, as since AND_3.0.0. */
  register({ encrypted = false }: { readonly encrypted?: boolean } = {}): SimulatedEndpoint {
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
    return this.add(endpoint);
  }

  protected override handle(exchange: Exchange<undefined>): void {
    if (exchange.method === "GET") {
      serveDiscovery(exchange);
      return;
    }
    if (exchange.method === "POST" && exchange.path === "/register") {
      this.#serveRegister(exchange);
      return;
    }
    const token = ENDPOINT_PATH.exec(exchange.path)?.[1];
    const endpoint = this.find(token);
    const text = endpoint === undefined ? undefined : readMessage(exchange.body, endpoint.clientKeys);
    const seen = { token, payload: text === undefined ? undefined : parse(text) };
    const refusal = this.#check(exchange, endpoint, text);
    if (refusal !== undefined || endpoint === undefined || text === undefined) {
      this.responder.refuse(exchange, seen, serviceError(this.dialect, refusal ?? "BAD_CRYPTO"));
      return;
    }
    this.responder.answer(exchange, seen, () => {
      keepMessage(endpoint.messages, { body: exchange.body, text });
      return {
        reply: {
          status: this.#acceptedStatus,
          headers: { "content-type": "application/json", ttl: "0" },
          body: "{}",
        },
        accepted: true,
      };
    });
  }

  #check(
    exchange: Exchange<undefined>,
    endpoint: Endpoint | undefined,
    text: string | undefined,
  ): string | undefined {
    const { body, headers, method } = exchange;
    if (method !== "POST") return "BAD_METHOD";
    if (endpoint === undefined) return "NOT_FOUND";
    if (endpoint.state !== "active") return refusals[endpoint.state];
    if (this.isTooLarge(exchange)) return "TOO_LARGE";
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
