import { connect, type Socket } from "node:net";
import { systemClock } from "../../src/clock.ts";
import type { Dispatcher, DispatchOptions } from "../../src/core/dispatcher.ts";
import type { Settled } from "../../src/core/outcome.ts";
import type { Push } from "../../src/core/push.ts";
import { frontDoors } from "../../src/doors/index.ts";
import { createApp, type AppOptions } from "../../src/http/app.ts";
import type {
  AccessEvent,
  DoorAnswerEvent,
  HttpObserver,
  RefusedEvent,
  RequestLimit,
} from "../../src/http/observer.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../../src/http/server.ts";
import { silentLog, type Log, type LogFields } from "../../src/log.ts";

/** The limits and lifetimes that the configuration has by default. */
export const limits = { maxBodyBytes: 524_288, maxDevices: 100, maxDepth: 32 };
export const lifetimesMs = { message: 86_400_000, call: 30_000, badge: 3_600_000 };

/** A core that records what it is given and answers by script. */
export interface FakeDispatcher extends Dispatcher {
  readonly calls: { readonly pushes: readonly Push[]; readonly options: DispatchOptions }[];
  /** What becomes of a push; all are delivered unless replaced. */
  settle: (push: Push) => Settled | Promise<Settled>;
}

export function fakeDispatcher(): FakeDispatcher {
  const fake: FakeDispatcher = {
    calls: [],
    settle: () => ({ kind: "delivered" }),
    dispatch(pushes, options) {
      fake.calls.push({ pushes, options });
      return Promise.all(pushes.map(async (push) => fake.settle(push)));
    },
  };
  return fake;
}

/** An observer that keeps what it hears. */
export interface Heard extends HttpObserver {
  readonly notifications: string[];
  readonly answers: DoorAnswerEvent[];
  readonly accesses: AccessEvent[];
  readonly refusals: RefusedEvent[];
  readonly limits: RequestLimit[];
  readonly unreadables: number[];
  inFlightNow: number;
}

function hearing(): Heard {
  const heard: Heard = {
    notifications: [],
    answers: [],
    accesses: [],
    refusals: [],
    limits: [],
    unreadables: [],
    inFlightNow: 0,
    notificationReceived: ({ door }) => void heard.notifications.push(door),
    inFlight: (_door, change) => void (heard.inFlightNow += change),
    answered: (event) => void heard.answers.push(event),
    accessed: (event) => void heard.accesses.push(event),
    refused: (event) => void heard.refusals.push(event),
    limited: (by) => void heard.limits.push(by),
    unreadable: (status) => void heard.unreadables.push(status),
  };
  return heard;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

function recordingLog(lines: LogLine[]): Log {
  const write = (level: "error" | "warn" | "info" | "debug") => (message: string, fields?: LogFields) => {
    lines.push({ level, message, fields });
    // Says nothing, but that a canary run hears it.
    silentLog[level](message, fields);
  };
  const log: Log = {
    error: write("error"),
    warn: write("warn"),
    info: write("info"),
    debug: write("debug"),
    child: () => log,
  };
  return log;
}

export interface Listener {
  readonly port: number;
  readonly url: string;
  readonly server: HttpServer;
  readonly dispatcher: FakeDispatcher;
  readonly heard: Heard;
  readonly logLines: LogLine[];
  stopping: boolean;
}

/** A real listener on loopback with every door, and a core that is a recorder. */
export async function startListener(
  app: Partial<AppOptions> & { readonly unifiedpushGateway?: boolean } = {},
  server: Partial<HttpServerOptions> = {},
): Promise<Listener> {
  const dispatcher = fakeDispatcher();
  const heard = hearing();
  const logLines: LogLine[] = [];
  const handler = createApp({
    clock: systemClock,
    log: recordingLog(logLines),
    observer: heard,
    dispatcher,
    limits,
    lifetimesMs,
    answerWithinMs: 5000,
    doors: frontDoors({ matrix: { unifiedpushGateway: app.unifiedpushGateway ?? false } }),
    isStopping: () => listener.stopping,
    trustedProxies: [],
    ...app,
  });
  const http = createHttpServer({ handler, clock: systemClock, observer: heard, ...server });
  const [bound] = await http.listen([{ address: "127.0.0.1", port: 0 }]);
  const port = bound?.port ?? 0;
  const url = `http://127.0.0.1:${port}`;
  const listener: Listener = { port, url, server: http, dispatcher, heard, logLines, stopping: false };
  return listener;
}

/** A socket that keeps what it receives. */
export interface RawCaller {
  readonly socket: Socket;
  readonly text: () => string;
  /** Resolves once the received text satisfies, or the connection is closed. */
  until(test: (text: string) => boolean): Promise<string>;
  /** Everything received until the server closed. */
  closed(): Promise<string>;
}

export async function rawCaller(port: number): Promise<RawCaller> {
  const socket = connect({ port, host: "127.0.0.1" });
  let text = "";
  let isClosed = false;
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((look) => look());
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    wake();
  });
  socket.on("close", () => {
    isClosed = true;
    wake();
  });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const wait = (done: () => boolean): Promise<string> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!done()) return;
        waiting.delete(look);
        resolve(text);
      };
      waiting.add(look);
      look();
    });
  return {
    socket,
    text: () => text,
    until: (test) => wait(() => isClosed || test(text)),
    closed: () => wait(() => isClosed),
  };
}

/** The body after the (last) header block of raw answers. */
export function bodyOf(text: string): string {
  return text.slice(text.lastIndexOf("\r\n\r\n") + 4);
}

export const notifyPath = "/_matrix/push/v1/notify";

/** A raw notify request. */
export function notifyRequest(body: string, headers: readonly string[] = [], version = "1.1"): string {
  const lines = [
    `POST ${notifyPath} HTTP/${version}`,
    "Host: gateway.example",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** The smallest legal notification. */
export const oneDevice = JSON.stringify({
  notification: {
    event_id: "$event",
    room_id: "!room:quay.example",
    devices: [{ app_id: "org.harbour.chat", pushkey: "key-1" }],
  },
});

/** Waits, as long as a real socket may need, until something is so. */
export async function eventually(test: () => boolean, withinMs = 3000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!test()) {
    if (performance.now() > end) throw new Error("did not become so in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
