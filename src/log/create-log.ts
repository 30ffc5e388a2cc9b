import type { Writable } from "node:stream";
import winston from "winston";
import TransportStream from "winston-transport";
import { systemClock, type Clock } from "../clock.ts";
import type { Log, LogFields } from "../log.ts";
import { fileSink } from "./file-sink.ts";
import { cleanFields, jsonLine, textLine, type CleanFields, type LogFormat, type LogLevel } from "./line.ts";
import { loggerOf, type LoggerLevels, type LoggerName } from "./loggers.ts";
import { layOut, type PythonLayout } from "./python-layout.ts";
import { maxWaitingBytes, streamSink, type LineSink } from "./sink.ts";

/** Where lines go: a standard stream, a file that is appended to, or a stream of the caller's. */
export type LogTarget = "stdout" | "stderr" | { readonly file: string } | { readonly stream: Writable };

/** One place that lines go to. */
export interface LogDestination {
  readonly to: LogTarget;
  /** Only lines at least as urgent; absent = the log's own level. */
  readonly level?: LogLevel;
  /** Absent = the log's own format. */
  readonly format?: LogFormat | PythonLayout;
  /** Only lines of these; absent = all. */
  readonly loggers?: readonly LoggerName[];
}

/** How to log. */
export interface LogOptions {
  /** The least urgent level that is written; `info` when absent. */
  readonly level?: LogLevel;
  /** Where loggers differ in it: `level` is then that of the most verbose. */
  readonly levels?: LoggerLevels;
  /** JSON lines when absent. */
  readonly format?: LogFormat;
  /** Standard error when absent; an empty list writes nothing. */
  readonly destinations?: readonly LogDestination[];
  readonly clock?: Clock;
  /** Is told of every error line as well, whatever the level is; waits for nothing. */
  readonly reporter?: ErrorReporter;
}

/** Who wants to hear of errors beside the log. */
export interface ErrorReporter {
  report(message: string, fields: CleanFields): void;
  close(): Promise<void>;
}

/** A log that owns its destinations. */
export interface ClosableLog extends Log {
  /** Lines that were dropped because nobody took them (PR12), all destinations together. */
  droppedLines(): number;
  /** From now on lines at least as urgent are written, where a destination has no level of its own. */
  setLevel(level: LogLevel, levels?: LoggerLevels): void;
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
  let { level = "info", levels } = options;
  const clock = options.clock ?? systemClock;
  const destinations = options.destinations ?? [{ to: "stderr" }];
  const sinks = destinations.map(({ to }) => sinkFor(to, clock));
  const logger = winston.createLogger({
    levels: { ...urgency },
    level,
    exitOnError: false,
    silent: sinks.length === 0,
    // Winston's default would print each line as JSON once more, for nobody.
    format: { transform: (info) => info },
    transports: destinations.flatMap((destination, index) => {
      const sink = sinks[index];
      return sink === undefined ? [] : [new SinkTransport(sink, destination, options.format ?? "json")];
    }),
  });
  logger.on("error", () => undefined);
  for (const transport of logger.transports) transport.on("error", () => undefined);
  let closed = false;
  const report = (line: Line): void => {
    try {
      options.reporter?.report(line.message, line.fields());
    } catch {
      // The report is lost, the line is not.
    }
  };
  const write = (line: Line): void => {
    if (closed) return;
    if (line.lineLevel === "error") report(line);
    if (sinks.length === 0 || urgency[line.lineLevel] > urgency[level]) return;
    try {
      const fields = line.fields();
      const message = String(line.message);
      const least = levels?.[loggerOf(message, fields)] ?? level;
      if (urgency[line.lineLevel] > urgency[least]) return;
      logger.log({ level: line.lineLevel, message, timeMs: clock.now(), fields });
    } catch {
      // A value that throws when looked at: the line is lost, the caller goes on.
    }
  };
  return {
    ...logWith({}, write),
    droppedLines: () => sinks.reduce((sum, sink) => sum + sink.dropped(), 0),
    setLevel(next, nextLevels) {
      level = next;
      levels = nextLevels;
      logger.level = next;
    },
    async close() {
      if (closed) return;
      closed = true;
      await Promise.all([...sinks.map((sink) => sink.close()), options.reporter?.close()]);
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
  const all =
    Object.keys(own).length === 0
      ? cleanFields
      : (fields: LogFields | undefined) => ({ ...own, ...cleanFields(fields) });
  const at = (lineLevel: LogLevel) => (message: string, fields?: LogFields | (() => LogFields)) =>
    write({ lineLevel, message, fields: () => all(typeof fields === "function" ? fields() : fields) });
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
  if (target === "stdout") return streamSink(process.stdout, maxWaitingBytes, true);
  if (target === "stderr") return streamSink(process.stderr, maxWaitingBytes, true);
  return "file" in target ? fileSink(target.file, clock) : streamSink(target.stream);
}

/** One line on its way through Winston. */
interface LineInfo extends winston.Logform.TransformableInfo {
  readonly timeMs: number;
  readonly fields: CleanFields;
}

/** Prints a line and hands it to its sink, which bounds what waits and notices a reader that stopped. */
class SinkTransport extends TransportStream {
  readonly #sink: LineSink;
  readonly #print: typeof jsonLine;
  readonly #loggers: ReadonlySet<LoggerName> | undefined;

  constructor(sink: LineSink, { format, level, loggers }: LogDestination, ownFormat: LogFormat) {
    super(level === undefined ? {} : { level });
    this.#sink = sink;
    this.#print = printer(format ?? ownFormat);
    this.#loggers = loggers === undefined ? undefined : new Set(loggers);
  }

  override log(line: unknown, next: () => void): void {
    const { timeMs, level, message, fields } = line as LineInfo;
    const text = String(message);
    if (this.#loggers?.has(loggerOf(text, fields)) !== false) {
      this.#sink.write(`${this.#print(timeMs, level as LogLevel, text, fields)}\n`);
    }
    next();
  }
}

function printer(format: LogFormat | PythonLayout): typeof jsonLine {
  if (format === "json") return jsonLine;
  if (format === "text") return textLine;
  return (timeMs, level, message, fields) => layOut(format, { timeMs, level, message, fields });
}
