import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { checkPushType, checkRequestLine, deviceTokenIn, maxPayloadBytes } from "./apns-checks.ts";
import { ApnsAuthentication } from "./apns-connection.ts";
import type { ApnsEnvironment } from "./apns-connection.ts";
import { statusOfReason } from "./apns-errors.ts";
import type { ApnsReason } from "./apns-errors.ts";
import { Connections } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { startListener } from "./listener.ts";
import type { Exchange, Listener } from "./listener.ts";
import { ProviderTokenVerifier } from "./provider-token.ts";
import type { ApnsKey } from "./provider-token.ts";
import { RateWindow } from "./rate-window.ts";
import type { RateLimit } from "./rate-window.ts";
import { Recorder } from "./recorder.ts";
import { Responder } from "./responder.ts";
import type { Verdict } from "./responder.ts";
import { Script } from "./script.ts";
import type { Delay } from "./script.ts";

/** A device token that APNs knows more about than that it exists. */
export interface ApnsDevice {
  /** Default `alive`. */
  readonly state?: "alive" | "unregistered" | "expired";
  /** When it died, ms: the 410's timestamp. Default: when it was registered here. */
  readonly diedAtMs?: number;
  /** Absent: good in both environments. */
  readonly environment?: ApnsEnvironment;
  /** Absent: of every topic. */
  readonly topics?: readonly string[];
}

/** How the simulated APNs behaves. */
export interface ApnsSimulatorOptions {
  readonly credentials: Credentials;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default `production`. */
  readonly environment?: ApnsEnvironment;
  /** Signing keys it knows. Default: the credentials' one. */
  readonly keys?: readonly ApnsKey[];
  /** Topics that exist. Default: every one. */
  readonly topics?: readonly string[];
  /** Only registered device tokens exist. Default: every well-formed one. */
  readonly strictTokens?: boolean;
  /** Streams a connection may have once it is trusted. Default 1000. */
  readonly maxConcurrentStreams?: number;
  /** Streams before the first valid provider token. Default 1, as APNs does. */
  readonly firstMaxConcurrentStreams?: number;
  /** Pushes to one device token. Default: no limit. */
  readonly deviceRate?: RateLimit;
  /** Before each answer. Default 0. */
  readonly latency?: Delay;
  readonly script?: Script;
  readonly recorder?: Recorder;
  readonly clock?: Clock;
}

/** What APNs remembers about a connection. */
export interface ApnsConnectionState {
  readonly authentication: ApnsAuthentication;
  ready: boolean;
}

/** No device has it, whatever else is let in: who asks about it wants to know whether he is let in himself. */
const IMPOSSIBLE_TOKEN = "0".repeat(64);

type Refusal = { readonly reason: ApnsReason; readonly timestamp?: number };

/** A running simulation of APNs, one environment. */
export class ApnsSimulator {
  readonly script: Script;
  readonly recorder: Recorder;
  readonly environment: ApnsEnvironment;
  readonly connections = new Connections<ApnsConnectionState>();
  readonly #options: ApnsSimulatorOptions;
  readonly #clock: Clock;
  readonly #verifier: ProviderTokenVerifier;
  readonly #responder: Responder;
  readonly #devices = new Map<string, ApnsDevice & { readonly diedAtMs: number }>();
  readonly #rate: RateWindow | undefined;
  #listener: Listener | undefined;

  private constructor(options: ApnsSimulatorOptions) {
    this.#options = options;
    this.environment = options.environment ?? "production";
    this.script = options.script ?? new Script();
    this.recorder = options.recorder ?? new Recorder();
    this.#clock = options.clock ?? systemClock;
    this.#verifier = new ProviderTokenVerifier(options.keys ?? [options.credentials.apnsKey]);
    this.#rate = options.deviceRate === undefined ? undefined : new RateWindow(options.deviceRate);
    this.#responder = new Responder({
      upstream: "apns",
      script: this.script,
      recorder: this.recorder,
      clock: this.#clock,
      renderError: ({ reason, status, timestamp, retryAfter }, headers) => {
        const code = status ?? statusOfReason(reason) ?? 400;
        const time = timestamp ?? (code === 410 ? this.#clock.now() : undefined);
        const verdict = this.#error(code, reason, apnsIdFor(headers), time);
        if (retryAfter === undefined) return verdict;
        const withWait = { ...verdict.reply.headers, "retry-after": retryAfter };
        return { ...verdict, reply: { ...verdict.reply, headers: withWait } };
      },
    });
    this.#responder.latency = options.latency ?? 0;
  }

  static async start(options: ApnsSimulatorOptions): Promise<ApnsSimulator> {
    const simulator = new ApnsSimulator(options);
    simulator.#listener = await startListener<ApnsConnectionState>({
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      tls: options.credentials.server,
      clientCa: options.credentials.caPem,
      http1: false,
      maxBodyBytes: 16_384,
      connections: simulator.connections,
      open: (socket) => simulator.#open(socket),
      handle: (exchange) => simulator.#handle(exchange),
    });
    return simulator;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** For `apps.<id>.endpoint`. */
  get url(): string {
    const host = this.#options.host ?? "127.0.0.1";
    return `https://${host.includes(":") ? `[${host}]` : host}:${this.port}`;
  }

  /** Before each answer that no rule delays. */
  set latency(delay: Delay) {
    this.#responder.latency = delay;
  }

  /** Registers a device token (hex), or changes what is known of it. */
  setDevice(token: string, device: ApnsDevice): void {
    this.#devices.set(token.toLowerCase(), { diedAtMs: this.#clock.now(), ...device });
  }

  /** Forgets every registered device token. */
  clearDevices(): void {
    this.#devices.clear();
  }

  /** Makes a signing key known, or scopes it anew. */
  addKey(key: ApnsKey): void {
    this.#verifier.add(key);
  }

  /** Revokes a signing key. */
  removeKey(keyId: string): void {
    this.#verifier.remove(keyId);
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
  }

  #open(socket: TLSSocket): { readonly state: ApnsConnectionState; readonly maxConcurrentStreams: number } {
    const peer = socket.getPeerX509Certificate();
    const grant = peer === undefined ? undefined : this.#options.credentials.apnsGrant(peer.fingerprint256);
    const certificate =
      peer === undefined ? undefined : socket.authorized ? (grant ?? "untrusted") : "untrusted";
    const ready = typeof certificate === "object";
    const { maxConcurrentStreams = 1000, firstMaxConcurrentStreams = 1 } = this.#options;
    return {
      state: { authentication: new ApnsAuthentication(certificate, this.environment, this.#verifier), ready },
      maxConcurrentStreams: ready ? maxConcurrentStreams : firstMaxConcurrentStreams,
    };
  }

  #handle(exchange: Exchange<ApnsConnectionState>): void {
    const { headers, path } = exchange;
    const token = deviceTokenIn(path);
    const topic = this.#topicOf(exchange);
    const reason = this.#check(exchange, topic);
    if (typeof reason === "string") {
      const apnsId = reason === "BadMessageId" ? randomUUID() : apnsIdFor(headers);
      const verdict = this.#error(statusOfReason(reason) ?? 400, reason, apnsId);
      this.#responder.refuse(exchange, { token, topic, payload: parsePayload(exchange.body) }, verdict);
      return;
    }
    const apnsId = apnsIdFor(headers);
    this.#responder.answer(exchange, { token, topic, payload: reason }, () => {
      const refusal = this.#judgeDevice(token ?? "", topic ?? "");
      if (refusal !== undefined) {
        return this.#error(statusOfReason(refusal.reason) ?? 400, refusal.reason, apnsId, refusal.timestamp);
      }
      return { reply: { status: 200, headers: this.#headers(apnsId) }, accepted: true };
    });
  }

  /** The checks of apns.md section 10 up to the payload, which is the result when all is well. */
  #check(exchange: Exchange<ApnsConnectionState>, topic: string | undefined): ApnsReason | JsonObject {
    const { headers, body, connection, method, path, duplicateHeaders } = exchange;
    const { authentication } = connection.state;
    const topicRequired = topic === undefined;
    const early = checkRequestLine(method, path, headers, duplicateHeaders, topicRequired);
    if (early !== undefined) return early;
    const grant = authentication.check(headers.authorization, this.#clock.now());
    if (typeof grant === "string") return grant;
    this.#raiseLimit(exchange);
    const allowed = this.#options.topics;
    if (topic === undefined) return "MissingTopic";
    if (grant.topics?.includes(topic) === false || allowed?.includes(topic) === false)
      return "TopicDisallowed";
    const typeProblem = checkPushType(headers, topic);
    if (typeProblem !== undefined) return typeProblem;
    if (body.length === 0) return "PayloadEmpty";
    if (exchange.truncated || body.length > maxPayloadBytes(headers)) return "PayloadTooLarge";
    return parsePayload(body) ?? "PayloadEmpty";
  }

  #topicOf({ headers, connection }: Exchange<ApnsConnectionState>): string | undefined {
    const topic = headers["apns-topic"];
    return topic === undefined || topic === "" ? connection.state.authentication.defaultTopic : String(topic);
  }

  #raiseLimit({ connection }: Exchange<ApnsConnectionState>): void {
    if (connection.state.ready) return;
    connection.state.ready = true;
    connection.maxConcurrentStreams(this.#options.maxConcurrentStreams ?? 1000);
  }

  #judgeDevice(token: string, topic: string): Refusal | undefined {
    if (token === IMPOSSIBLE_TOKEN) return { reason: "BadDeviceToken" };
    const device = this.#devices.get(token);
    if (device === undefined) {
      if (this.#options.strictTokens === true) return { reason: "BadDeviceToken" };
    } else {
      if (device.environment !== undefined && device.environment !== this.environment)
        return { reason: "BadDeviceToken" };
      if (device.topics?.includes(topic) === false) return { reason: "DeviceTokenNotForTopic" };
      if (device.state === "unregistered") return { reason: "Unregistered", timestamp: device.diedAtMs };
      if (device.state === "expired") return { reason: "ExpiredToken", timestamp: device.diedAtMs };
    }
    return this.#rate?.take(token, this.#clock.now()) === false ? { reason: "TooManyRequests" } : undefined;
  }

  #error(status: number, reason: string, apnsId: string, timestamp?: number): Verdict {
    return {
      reply: {
        status,
        headers: { ...this.#headers(apnsId), "content-type": "application/json" },
        body: JSON.stringify({ reason, timestamp }),
      },
      reason,
      accepted: false,
    };
  }

  /** `apns-unique-id` comes from the sandbox only. */
  #headers(apnsId: string): Record<string, string> {
    return this.environment === "sandbox"
      ? { "apns-id": apnsId, "apns-unique-id": randomUUID() }
      : { "apns-id": apnsId };
  }
}

/** The request's own id, or a new one as APNs makes it when there is none. */
function apnsIdFor(headers: IncomingHttpHeaders): string {
  const id = headers["apns-id"];
  return id === undefined ? randomUUID().toUpperCase() : String(id);
}

/** APNs takes nothing but a JSON object; which reason it gives for other text is not documented. */
function parsePayload(body: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
