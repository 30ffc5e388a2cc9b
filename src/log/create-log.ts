import { Writable } from "node:stream";
import winston from "winston";
import { systemClock, type Clock } from "../clock.ts";
import type { Log, LogFields } from "../log.ts";
import { fileSink } from "./file-sink.ts";
import { cleanFields, jsonLine, textLine, type CleanFields, type LogFormat, type LogLevel } from "./line.ts";
import { streamSink, type LineSink } from "./sink.ts";

/** Where lines go: a standard stream, a file that is appended to, or a stream of the caller's. */
export type LogTarget = "stdout" | "stderr" | { readonly file: string } | { readonly stream: Writable };

/** One place that lines go to. */
export interface LogDestination {
  readonly to: LogTarget;
  /** Only lines at least as urgent; absent = the log's own level. */
  readonly level?: LogLevel;
  /** Absent = the log's own format. */
  readonly format?: LogFormat;
}

/** How to log. */
export interface LogOptions {
  /** The least urgent level that is written; `info` when absent. */
  readonly level?: LogLevel;
  /** JSON lines when absent. */
  readonly format?: LogFormat;
  /** Standard error when absent; an empty list writes nothing. */
  readonly destinations?: readonly LogDestination[];
  readonly clock?: Clock;
}

/** A log that owns its destinations. */
export interface ClosableLog extends Log {
  /** Lines that were dropped because nobody took them (PR12), all destinations together. */
  droppedLines(): number;
  /** From now on lines at least as urgent are written, where a destination has no level of its own. */
  setLevel(level: LogLevel): void;
  /** Hands on what waits, for at most a second. Lines written later are dropped. */
  close(): Promise<void>;
}

/** The order of urgency, as Winston counts: a smaller number is more urgent. */
const urgency: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/**
 * The gateway's log, on Winston. Only the fields of `LogFields` pass; values are cut and control characters escaped
 * (D14). Nothing that goes wrong in here reaches the caller.
 */
export function createLog(options: LogOptions = {}): ClosableLog {
  let level = options.level ?? "info";
  const clock = options.clock ?? systemClock;
  const destinations = options.destinations ?? [{ to: "stderr" }];
  const sinks = destinations.map(({ to }) => sinkFor(to, clock));
  const logger = winston.createLogger({
    levels: { ...urgency },
    level,
    exitOnError: false,
    silent: sinks.length === 0,
    transports: destinations.map((destination, index) =>
      transportFor(destination, options.format ?? "json", sinks[index]),
    ),
  });
  logger.on("error", () => undefined);
  let closed = false;
  const write = (line: Line): void => {
    if (closed || sinks.length === 0 || urgency[line.lineLevel] > urgency[level]) return;
    try {
      logger.log({
        level: line.lineLevel,
        message: String(line.message),
        timeMs: clock.now(),
        fields: line.fields(),
      });
    } catch {
      // A value that throws when looked at: the line is lost, the caller goes on.
    }
  };
  return {
    ...logWith({}, write),
    droppedLines: () => sinks.reduce((sum, sink) => sum + sink.dropped(), 0),
    setLevel(next) {
      level = next;
      logger.level = next;
    },
    async close() {
      if (closed) return;
      closed = true;
      await Promise.all(sinks.map((sink) => sink.close()));
      logger.close();
    },
  };
}

interface Line {
  readonly lineLevel: LogLevel;
  readonly message: string;
  /** Cleaned only when the line is written at all. */
  readonly fields: () => CleanFields;
}

function logWith(own: CleanFields, write: (line: Line) => void): Log {
  const at = (lineLevel: LogLevel) => (message: string, fields?: LogFields) =>
    write({ lineLevel, message, fields: () => ({ ...own, ...cleanFields(fields) }) });
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: (fields) => logWith({ ...own, ...childFields(fields) }, write),
  };
}

function childFields(fields: LogFields): CleanFields {
  try {
    return cleanFields(fields);
  } catch {
    return {};
  }
}

function sinkFor(target: LogTarget, clock: Clock): LineSink {
  if (target === "stdout") return streamSink(process.stdout);
  if (target === "stderr") return streamSink(process.stderr);
  return "file" in target ? fileSink(target.file, clock) : streamSink(target.stream);
}

function transportFor(
  destination: LogDestination,
  format: LogFormat,
  sink: LineSink | undefined,
): winston.transports.StreamTransportInstance {
  // Winston's stream transport neither bounds its buffer nor notices a reader that stopped; the sink behind does.
  const stream = new Writable({
    decodeStrings: false,
    write(line: unknown, _encoding, callback) {
      sink?.write(String(line));
      callback();
    },
  });
  stream.on("error", () => undefined);
  const print = (destination.format ?? format) === "json" ? jsonLine : textLine;
  const transport = new winston.transports.Stream({
    stream,
    eol: "\n",
    ...(destination.level === undefined ? {} : { level: destination.level }),
    format: winston.format.printf((info) =>
      print(
        info["timeMs"] as number,
        info.level as LogLevel,
        String(info.message),
        info["fields"] as CleanFields,
      ),
    ),
  });
  transport.on("error", () => undefined);
  return transport;
}
