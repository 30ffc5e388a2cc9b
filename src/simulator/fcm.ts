import { constants } from "node:http2";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { JsonValue } from "../json.ts";
import { Connections } from "./connection.ts";
import type { Connection } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { checkMessage, isFcmError } from "./fcm-checks.ts";
import type { FcmMessage } from "./fcm-checks.ts";
import { fcmError, fcmErrorVerdict, htmlVerdict } from "./fcm-errors.ts";
import { keepFcmHabits } from "./fcm-habits.ts";
import type { FcmHabits } from "./fcm-habits.ts";
import { startListener } from "./listener.ts";
import type { Exchange, Listener } from "./listener.ts";
import { Oauth } from "./oauth.ts";
import { RateWindow } from "./rate-window.ts";
import type { RateLimit } from "./rate-window.ts";
import { Recorder } from "./recorder.ts";
import { Responder } from "./responder.ts";
import type { Verdict } from "./responder.ts";
import { Script } from "./script.ts";
import type { Delay } from "./script.ts";

/** What FCM knows of a registration token or installation id. */
export type FcmDeviceState = "alive" | "dead" | "foreign" | "malformed";

/** How the simulated FCM, with its OAuth endpoint, behaves. */
export interface FcmSimulatorOptions {
  readonly credentials: Credentials;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Other names of the project, such as its number. */
  readonly projects?: readonly string[];
  /** Only registered tokens exist; others are malformed. Default: every one exists. */
  readonly strictTokens?: boolean;
  /** Life of an access token, seconds. Default 3599. */
  readonly expiresInS?: number;
  /** What an assertion's `aud` may be beside the endpoint's own address and Google's. */
  readonly audiences?: readonly string[];
  readonly habits?: Partial<FcmHabits>;
  /** Pushes to one token. Default: no limit. */
  readonly deviceRate?: RateLimit;
  /** Pushes of the project. Default: no limit. */
  readonly projectRate?: RateLimit;
  /** Before each answer of the send endpoint. Default 0. */
  readonly latency?: Delay;
  readonly script?: Script;
  readonly recorder?: Recorder;
  readonly clock?: Clock;
}

const SEND_PATH = /^\/v1\/projects\/([^/?]+)\/messages:send$/;
const stateErrors = {
  dead: "UNREGISTERED",
  foreign: "SENDER_ID_MISMATCH",
  malformed: "INVALID_TOKEN",
} as const;

/** A running simulation of FCM HTTP v1 and of the OAuth endpoint its access tokens come from. */
export class FcmSimulator {
  readonly script: Script;
  readonly recorder: Recorder;
  readonly connections = new Connections<undefined>();
  readonly oauth: Oauth;
  readonly #options: FcmSimulatorOptions;
  readonly #clock: Clock;
  readonly #responder: Responder;
  readonly #projects: ReadonlySet<string>;
  readonly #devices = new Map<string, FcmDeviceState>();
  readonly #deviceRate: RateWindow | undefined;
  readonly #projectRate: RateWindow | undefined;
  #listener: Listener | undefined;
  #messageCount = 0;

  private constructor(options: FcmSimulatorOptions) {
    this.#options = options;
    this.script = options.script ?? new Script();
    this.recorder = options.recorder ?? new Recorder();
    this.#clock = options.clock ?? systemClock;
    this.#projects = new Set([options.credentials.projectId, ...(options.projects ?? [])]);
    this.#deviceRate = options.deviceRate === undefined ? undefined : new RateWindow(options.deviceRate);
    this.#projectRate = options.projectRate === undefined ? undefined : new RateWindow(options.projectRate);
    const shared = { script: this.script, recorder: this.recorder, clock: this.#clock };
    this.oauth = new Oauth({
      ...shared,
      credentials: options.credentials,
      expiresInS: options.expiresInS ?? 3599,
      audiences: options.audiences ?? [],
    });
    this.#responder = new Responder({
      ...shared,
      upstream: "fcm",
      renderError: ({ reason, status, message, retryAfter }) => {
        const error = fcmError(reason);
        return fcmErrorVerdict(
          { ...error, status: status ?? error.status, message: message ?? error.message },
          retryAfter,
        );
      },
    });
    this.#responder.latency = options.latency ?? 0;
  }

  static async start(options: FcmSimulatorOptions): Promise<FcmSimulator> {
    const simulator = new FcmSimulator(options);
    const maxConcurrentStreams = options.habits?.maxConcurrentStreams ?? 100;
    const listener = await startListener<undefined>({
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      tls: options.credentials.server,
      http1: true,
      maxBodyBytes: 65_536,
      connections: simulator.connections,
      open: () => ({ state: undefined, maxConcurrentStreams }),
      onConnection: (connection: Connection<undefined>) =>
        keepFcmHabits(connection, options.habits ?? {}, simulator.#clock),
      handle: (exchange) => simulator.#handle(exchange),
    });
    simulator.#listener = listener;
    for (const name of [options.host ?? "127.0.0.1", "127.0.0.1", "localhost", "[::1]"]) {
      simulator.oauth.addAudience(`https://${name}:${listener.port}/token`);
    }
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

  /** For the service account file. */
  get tokenUri(): string {
    return `${this.url}/token`;
  }

  /** Before each answer of the send endpoint that no rule delays. */
  set latency(delay: Delay) {
    this.#responder.latency = delay;
  }

  /** Registers a token, or changes what is known of it. */
  setDevice(token: string, state: FcmDeviceState): void {
    this.#devices.set(token, state);
  }

  /** Forgets every registered token. */
  clearDevices(): void {
    this.#devices.clear();
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
  }

  #handle(exchange: Exchange<undefined>): void {
    if (exchange.path === "/token") {
      this.oauth.handle(exchange);
      return;
    }
    const payload = parse(exchange.body);
    const early = this.#checkRequest(exchange);
    if (early !== undefined) {
      this.#responder.refuse(exchange, { payload }, early);
      return;
    }
    const message = checkMessage(exchange.truncated ? undefined : payload);
    if (isFcmError(message)) {
      this.#responder.refuse(exchange, { payload }, fcmErrorVerdict(message));
      return;
    }
    const { kind, value } = message.target;
    const token = kind === "token" || kind === "fid" ? value : undefined;
    const topic = kind === "topic" ? value : undefined;
    this.#responder.answer(exchange, { token, topic, payload }, () => this.#judge(message, token));
  }

  /** Method, path, credentials and project. */
  #checkRequest({ method, path, headers }: Exchange<undefined>): Verdict | undefined {
    const project = SEND_PATH.exec(path)?.[1];
    if (project === undefined || method !== "POST") return htmlVerdict(404);
    const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
    if (bearer === undefined) return fcmErrorVerdict(fcmError("CREDENTIALS_MISSING"));
    const state = this.oauth.stateOf(bearer);
    if (state === "unknown") return fcmErrorVerdict(fcmError("ACCESS_TOKEN_TYPE_UNSUPPORTED"));
    if (state === "expired") return fcmErrorVerdict(fcmError("ACCESS_TOKEN_EXPIRED"));
    return this.#projects.has(project) ? undefined : fcmErrorVerdict(fcmError("NOT_FOUND"));
  }

  #judge({ validateOnly }: FcmMessage, token: string | undefined): Verdict {
    if (token !== undefined) {
      const state = this.#devices.get(token) ?? (this.#options.strictTokens === true ? "malformed" : "alive");
      if (state !== "alive") return fcmErrorVerdict(fcmError(stateErrors[state]));
      if (this.#deviceRate?.take(token, this.#clock.now()) === false) {
        return fcmErrorVerdict(fcmError("DEVICE_RATE_EXCEEDED"));
      }
    }
    if (this.#projectRate?.take("", this.#clock.now()) === false) {
      return fcmErrorVerdict(fcmError("RATE_LIMIT_EXCEEDED"));
    }
    const project = this.#options.credentials.projectId;
    this.#messageCount += 1;
    const id = validateOnly ? "fake_message_id" : `0:${this.#clock.now()}%${this.#messageCount.toString(16)}`;
    return {
      reply: {
        status: constants.HTTP_STATUS_OK,
        headers: { "content-type": "application/json; charset=UTF-8" },
        body: `{"name":"projects/${project}/messages/${id}"}`,
        emptyLastFrame: true,
      },
      accepted: !validateOnly,
    };
  }
}

function parse(body: Buffer): JsonValue | undefined {
  try {
    return JSON.parse(body.toString("utf8")) as JsonValue;
  } catch {
    return undefined;
  }
}
