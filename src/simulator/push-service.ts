import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { Connections } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { startListener } from "./listener.ts";
import type { Exchange, Listener } from "./listener.ts";
import { Recorder } from "./recorder.ts";
import { Responder } from "./responder.ts";
import { Script } from "./script.ts";
import type { Delay } from "./script.ts";
import { serviceError } from "./webpush-errors.ts";
import type { Dialect } from "./webpush-errors.ts";

/** How every simulated push service behaves. */
export interface PushServiceOptions {
  readonly credentials: Credentials;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Of a body. Default 4096, the least that RFC 8030 allows. */
  readonly maxBodyBytes?: number;
  /** What an accepted push is answered. Absent: what such a service answers. */
  readonly acceptedStatus?: number;
  /** Before each answer. Default 0. */
  readonly latency?: Delay;
  readonly script?: Script;
  readonly recorder?: Recorder;
  readonly clock?: Clock;
}

/** What somebody has registered for, and what has reached him. */
interface Registration {
  readonly id: string;
  readonly messages: readonly unknown[];
}

const MAX_REGISTRATIONS = 100_000;
const MAX_MESSAGES = 1_000;

/** What simulated Web Push services and UnifiedPush servers share: a listener, and who has registered with them. */
export abstract class PushServiceSimulator<Registered extends Registration> {
  readonly script: Script;
  readonly recorder: Recorder;
  readonly connections = new Connections<undefined>();
  protected readonly responder: Responder;
  protected readonly clock: Clock;
  protected readonly dialect: Dialect;
  readonly #options: PushServiceOptions;
  readonly #registered = new Map<string, Registered>();
  #listener: Listener | undefined;

  protected constructor(upstream: "webpush" | "unifiedpush", options: PushServiceOptions, dialect: Dialect) {
    this.#options = options;
    this.script = options.script ?? new Script();
    this.recorder = options.recorder ?? new Recorder();
    this.clock = options.clock ?? systemClock;
    this.dialect = dialect;
    this.responder = new Responder({
      upstream,
      script: this.script,
      recorder: this.recorder,
      clock: this.clock,
      renderError: ({ reason, status, retryAfter }) => serviceError(dialect, reason, { status, retryAfter }),
    });
    this.responder.latency = options.latency ?? 0;
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
    this.responder.latency = delay;
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
  }

  /** Answers one request. */
  protected abstract handle(exchange: Exchange<undefined>): void;

  protected async listen(): Promise<void> {
    this.#listener = await startListener<undefined>({
      host: this.#options.host ?? "127.0.0.1",
      port: this.#options.port ?? 0,
      tls: this.#options.credentials.server,
      http1: true,
      maxBodyBytes: 65_536,
      connections: this.connections,
      open: () => ({ state: undefined, maxConcurrentStreams: 100 }),
      handle: (exchange) => this.handle(exchange),
    });
  }

  protected add(registered: Registered): Registered {
    if (this.#registered.size >= MAX_REGISTRATIONS) throw new Error("too many registrations");
    this.#registered.set(registered.id, registered);
    return registered;
  }

  protected find(id: string | undefined): Registered | undefined {
    return id === undefined ? undefined : this.#registered.get(id);
  }

  /** The body is more than this service takes. */
  protected isTooLarge({ body, truncated }: Exchange<undefined>): boolean {
    return truncated || body.length > (this.#options.maxBodyBytes ?? 4_096);
  }
}

/** Keeps a message; of very many the oldest goes. */
export function keepMessage<Message>(messages: Message[], message: Message): void {
  messages.push(message);
  if (messages.length > MAX_MESSAGES) messages.shift();
}
