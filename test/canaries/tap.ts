import { ChildProcess } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2, { type IncomingHttpHeaders } from "node:http2";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";
import { fileURLToPath } from "node:url";
import { Writable } from "node:stream";
import type { Registry } from "prom-client";
import type { Log } from "../../src/log.ts";
import type { ClosableLog, LogOptions } from "../../src/log/create-log.ts";
import { secretsInHeaders, secretsInUrl, type Secret } from "./secrets.ts";

/** Where something came out. */
export type Place = "logs" | "metrics" | "traces" | "errors" | "arguments";

/** A line of what a process heard: what came in, what went out, and what is our own although it may come in. */
export type Heard =
  | Secret
  | { readonly body: string; readonly type: string }
  | { readonly place: Place; readonly text: string }
  | { readonly own: string };

type CreateLog = (options: LogOptions) => ClosableLog;

/** What the changed sources call. */
export interface Tap {
  /** A log that is heard at debug level too. */
  tee(log: ClosableLog, create: CreateLog): ClosableLog;
  /** The methods of a log that says nothing, heard all the same. */
  silent(): Pick<Log, "error" | "warn" | "info" | "debug">;
  /** Remembers whose metrics to read at the end. */
  registry(registry: Registry): Registry;
  /** Remembers what the configuration calls its apps: these names are logged and counted on purpose. */
  apps<T extends ReadonlyMap<string, unknown>>(apps: T): T;
  /** Reads the metrics of what was created since the last time, for a few seconds at most. */
  flush(): Promise<void>;
}

const directory = process.env["SIGNALBOX_CANARIES"] ?? "";
const preload = `--import=${fileURLToPath(new URL("./child.ts", import.meta.url))}`;
const registries: Registry[] = [];
let created: CreateLog | undefined;
let heardLog: ClosableLog | undefined;
let pending = "";
let isScheduled = false;

/** Metrics that ask a store which is gone must not hold the run up. */
const FLUSH_LIMIT_MS = 5_000;

function note(entry: Heard): void {
  pending += `${JSON.stringify(entry)}\n`;
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(write).unref();
}

function write(): void {
  isScheduled = false;
  const text = pending;
  pending = "";
  if (text !== "") appendFileSync(`${directory}/${process.pid}.jsonl`, text);
}

const out = (place: Place, text: string): void => note({ place, text });
const known = new Set<string>();
function secrets(found: readonly Secret[]): void {
  for (const each of found) {
    if (known.has(each.secret)) continue;
    known.add(each.secret);
    note(each);
  }
}

const recorder = new Writable({
  write(chunk, _encoding, done) {
    out("logs", String(chunk));
    done();
  },
});

recorder.setMaxListeners(0);

/** The log at debug level that nobody but us reads. */
function heard(): ClosableLog | undefined {
  heardLog ??= created?.({ level: "debug", destinations: [{ to: { stream: recorder } }] });
  return heardLog;
}

function both(first: Log, second: Log): Log {
  const at = (level: "error" | "warn" | "info" | "debug"): Log["info"] => {
    return (message, fields) => {
      first[level](message, fields);
      second[level](message, fields);
    };
  };
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: (fields) => both(first.child(fields), second.child(fields)),
  };
}

/** Hears the secrets that come in, and what of them goes out, from the first import on. */
export const tap: Tap = {
  tee(log, create) {
    created = create;
    const second = create({ level: "debug", destinations: [{ to: { stream: recorder } }] });
    return { ...log, ...both(log, second) };
  },
  silent() {
    const at = (level: "error" | "warn" | "info" | "debug"): Log["info"] => {
      // Before the first real log there is nothing to print with; the fields are kept as they came.
      return (message, fields) => {
        const log = heard();
        if (log === undefined) out("logs", JSON.stringify({ level, message, ...fields }));
        else log[level](message, fields);
      };
    };
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  },
  registry(registry) {
    registries.push(registry);
    return registry;
  },
  apps(apps) {
    for (const app of apps.keys()) note({ own: app });
    return apps;
  },
  async flush() {
    const end = AbortSignal.timeout(FLUSH_LIMIT_MS);
    const ended = new Promise<string>((resolve) => end.addEventListener("abort", () => resolve("")));
    for (const registry of registries.splice(0)) {
      const text = await Promise.race([registry.metrics().catch(() => ""), ended]);
      if (text !== "") out("metrics", text);
    }
    out("arguments", readFileSync("/proc/self/cmdline", "utf8"));
    write();
  },
};

/** Answers of ours that are looked at: refusals and metrics. What a simulator answers is not. */
function placeOfAnswer(res: ServerResponse): Place | undefined {
  if (/^(?:text\/plain; version|application\/openmetrics)/.test(String(res.getHeader("content-type"))))
    return "metrics";
  return res.statusCode >= 400 && res.getHeader("x-request-id") !== undefined ? "errors" : undefined;
}

/** What we tell others of ourselves: spans to a collector, errors to Sentry. Nothing in it comes in, all of it goes out. */
function placeOfRequest({ headers, url }: IncomingMessage): Place | undefined {
  if (url?.endsWith("/v1/traces") === true) return "traces";
  return headers["content-type"] === "application/x-sentry-envelope" ? "errors" : undefined;
}

function textOf(chunk: unknown): string {
  return typeof chunk === "string" || Buffer.isBuffer(chunk) ? chunk.toString() : "";
}

function listen(req: IncomingMessage, res: ServerResponse): void {
  const told = placeOfRequest(req);
  if (told === undefined) {
    secrets(secretsInUrl(req.url ?? ""));
    secrets(secretsInHeaders(req.headers));
  }
  const chunks: Buffer[] = [];
  const push = req.push.bind(req);
  req.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    if (chunk !== null) chunks.push(chunk);
    else if (chunks.length > 0) {
      const body = Buffer.concat(chunks).toString();
      if (told !== undefined) out(told, `${req.url ?? ""} ${body}`);
      // Looked at later: some tests measure for how long a body holds the loop.
      else note({ body, type: req.headers["content-type"] ?? "" });
    }
    return push(chunk, encoding);
  };
  let isHeard = false;
  for (const name of ["write", "end"] as const) {
    const say = res[name].bind(res) as (...given: unknown[]) => unknown;
    const hear = (...given: unknown[]): unknown => {
      const place = placeOfAnswer(res);
      // The ids of requests are ours, and an operator asks about them.
      const id = res.getHeader("x-request-id");
      if (!isHeard && typeof id === "string") note({ own: id });
      if (place !== undefined)
        out(place, `${isHeard ? "" : JSON.stringify(res.getHeaders())} ${textOf(given[0])}`);
      isHeard = true;
      return say(...given);
    };
    Object.assign(res, { [name]: hear });
  }
}

for (const { prototype } of [http.Server, https.Server]) {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
  const { emit } = prototype;
  prototype.emit = function (this: http.Server, event: string | symbol, ...given: unknown[]): boolean {
    if (event === "request") listen(given[0] as IncomingMessage, given[1] as ServerResponse);
    return Reflect.apply(emit, this, [event, ...given]) as boolean;
  } as typeof emit;
}

// What goes out to the simulators of APNs and FCM: tokens and what authenticates us.
for (const name of ["createSecureServer", "createServer"] as const) {
  const create = http2[name] as (...given: unknown[]) => http2.Http2SecureServer;
  Object.assign(http2, {
    [name]: (...given: unknown[]) =>
      create(...given).on("stream", (_stream, headers: IncomingHttpHeaders) => {
        secrets(secretsInUrl(String(headers[":path"])));
        secrets(secretsInHeaders(headers));
      }),
  });
}
syncBuiltinESMExports();

/** A child's environment with what makes it heard, beside the options of Node that the test gives it. */
function withTap(pairs: readonly string[]): string[] {
  const isOfRun = (pair: string): boolean => /^(?:NODE_OPTIONS|SIGNALBOX_CANARIES\w*)=/.test(pair);
  const given =
    pairs.findLast((pair) => pair.startsWith("NODE_OPTIONS="))?.slice("NODE_OPTIONS=".length) ?? "";
  return [
    ...pairs.filter((pair) => !isOfRun(pair)),
    ...Object.entries(process.env)
      .filter(([key]) => key.startsWith("SIGNALBOX_CANARIES"))
      .map(([key, value]) => `${key}=${value}`),
    `NODE_OPTIONS=${given.includes(preload) ? given : `${given} ${preload}`.trim()}`,
  ];
}

/** What Node's child processes take inside, whichever function starts them. */
interface SpawnOptions {
  readonly file: string;
  readonly args?: readonly string[];
  envPairs?: string[];
}
const children = ChildProcess.prototype as unknown as {
  spawn(this: ChildProcess, options: SpawnOptions): number;
};
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
const { spawn } = children;
children.spawn = function (options) {
  // What a test gives to curl is what a stranger says, not we.
  if (options.file === process.execPath) out("arguments", (options.args ?? []).join("\0"));
  options.envPairs = withTap(options.envPairs ?? []);
  const result = spawn.call(this, options);
  for (const stream of [this.stdout, this.stderr]) {
    if (stream === null || stream === undefined) continue;
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk !== null && chunk !== undefined) out("logs", textOf(chunk));
      return push(chunk, encoding);
    };
  }
  return result;
};

process.on("exit", () => {
  out("arguments", readFileSync("/proc/self/cmdline", "utf8"));
  write();
});
