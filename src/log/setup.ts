import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";
import type { LogDestination, LogOptions, LogTarget } from "./create-log.ts";
import type { LogFormat, LogLevel } from "./line.ts";
import { loggerNames, type LoggerLevels, type LoggerName } from "./loggers.ts";
import { bareLayout, unknownAttributes, type PythonLayout } from "./python-layout.ts";

/** `log.setup` as far as it is understood, and what was not. */
export interface LogSetup {
  readonly options: LogOptions;
  /** One sentence for each part that has no effect, with its path. Holds keys and known words, no other values. */
  readonly warnings: readonly string[];
}

interface PythonLogger {
  readonly level: LogLevel | undefined;
  readonly handlers: readonly string[];
  readonly propagates: boolean;
}

const pythonLevels: Readonly<Record<string, LogLevel>> = {
  DEBUG: "debug",
  INFO: "info",
  WARNING: "warn",
  WARN: "warn",
  ERROR: "error",
  CRITICAL: "error",
  FATAL: "error",
};

const knownParts = ["version", "disable_existing_loggers", "formatters", "handlers", "loggers", "root"];
const ourLogger = "sygnal";
const mostVerboseFirst: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** Names below `sygnal` that Sygnal writes under and we do not. */
const namesWithoutLines = /^sygnal\.(?:sygnal|helper(?:\..*)?|notifications|utils)$/;

/**
 * Reads a Python dictConfig as Sygnal's `log.setup` holds it (sygnal-compat 14): levels, handlers and `propagate` of
 * Sygnal's loggers, what they inherit, and the layout of lines.
 * Never fails: what is not understood is told and left out. An absent or empty setup gives the defaults.
 */
export function logOptionsFrom(setup: unknown): LogSetup {
  if (setup === undefined || setup === null) return { options: {}, warnings: [] };
  if (!isJsonObject(setup)) return { options: {}, warnings: ["log.setup: not a mapping; ignored"] };
  const warnings: string[] = [];
  const tree = setup;
  if (tree["version"] !== 1) warnings.push("log.setup.version: must be 1; read as 1");
  for (const key of Object.keys(tree)) {
    if (!knownParts.includes(key)) warnings.push(`log.setup.${printable(key)}: not supported; ignored`);
  }
  const loggers = loggersFrom(tree, warnings);
  const levels = Object.fromEntries(
    loggerNames.map((name) => [name, levelOf(name, loggers)]),
  ) as LoggerLevels;
  const given = new Set(Object.values(levels));
  const level = mostVerboseFirst.find((each) => given.has(each)) ?? "warn";
  const handlers = sectionOf(tree, "handlers", warnings);
  const formatters = sectionOf(tree, "formatters", warnings);
  const named = new Map(loggerNames.map((name) => [name, handlersOf(name, loggers)]));
  const names = new Set([...named.values()].flatMap((each) => [...each]));
  const destinations: LogDestination[] = [];
  for (const name of names) {
    const destination = destinationFrom(name, handlers, formatters, warnings);
    if (destination === undefined) continue;
    const users = loggerNames.filter((each) => named.get(each)?.has(name));
    destinations.push(users.length === loggerNames.length ? destination : { ...destination, loggers: users });
  }
  // With no handler at all Python writes to standard error; so does a log whose handlers all mean nothing here.
  // Only handlers that are there to discard are obeyed in silence.
  const discards = names.size > 0 && [...names].every((name) => isNullHandler(handlers[name]));
  const found: LogDestination[] = destinations.length > 0 || discards ? destinations : [{ to: "stderr" }];
  return { options: { level, ...(given.size > 1 ? { levels } : {}), destinations: found }, warnings };
}

/** The loggers that lines have here, `root` among them; those that a setup does not mention inherit everything. */
function loggersFrom(tree: JsonObject, warnings: string[]): ReadonlyMap<string, PythonLogger> {
  const given = sectionOf(tree, "loggers", warnings);
  const loggers = new Map([["root", loggerFrom(tree["root"], "log.setup.root", warnings)]]);
  for (const [name, value] of Object.entries(given)) {
    // Other programs' loggers have no counterpart and need no warning.
    if (name !== ourLogger && !name.startsWith(`${ourLogger}.`)) continue;
    const path = `log.setup.loggers.${printable(name)}`;
    const isKnown = loggerNames.some((each) => each === name);
    if (!isKnown && !namesWithoutLines.test(name))
      warnings.push(`${path}: no line is written under it; ignored`);
    if (isKnown) loggers.set(name, loggerFrom(value, path, warnings));
  }
  return loggers;
}

/** The logger and those above it, nearest first. */
function lineOf(name: LoggerName): readonly string[] {
  return name === ourLogger ? [ourLogger, "root"] : [name, ourLogger, "root"];
}

/** Python's root logger is at WARNING until told otherwise. */
function levelOf(name: LoggerName, loggers: ReadonlyMap<string, PythonLogger>): LogLevel {
  for (const each of lineOf(name)) {
    const level = loggers.get(each)?.level;
    if (level !== undefined) return level;
  }
  return "warn";
}

function handlersOf(name: LoggerName, loggers: ReadonlyMap<string, PythonLogger>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const each of lineOf(name)) {
    const logger = loggers.get(each);
    logger?.handlers.forEach((handler) => found.add(handler));
    if (logger?.propagates === false) break;
  }
  return found;
}

function loggerFrom(value: JsonValue | undefined, path: string, warnings: string[]): PythonLogger {
  if (value === undefined || value === null) return { level: undefined, handlers: [], propagates: true };
  if (!isJsonObject(value)) {
    warnings.push(`${path}: not a mapping; ignored`);
    return { level: undefined, handlers: [], propagates: true };
  }
  const handlers = value["handlers"] ?? [];
  const names = Array.isArray(handlers) ? handlers.filter((name) => typeof name === "string") : undefined;
  if (names === undefined) warnings.push(`${path}.handlers: not a list of names; ignored`);
  if (value["filters"] !== undefined) warnings.push(`${path}.filters: not supported; ignored`);
  return {
    level: levelFrom(value["level"], `${path}.level`, warnings),
    handlers: names ?? [],
    propagates: value["propagate"] !== false && value["propagate"] !== 0,
  };
}

/** Absent, `NOTSET` and 0 inherit. Numbers are Python's: 10 is DEBUG, 50 CRITICAL. */
function levelFrom(value: JsonValue | undefined, path: string, warnings: string[]): LogLevel | undefined {
  if (value === undefined || value === null || value === "NOTSET" || value === 0) return undefined;
  if (typeof value === "number" && Number.isFinite(value) && value > 0) {
    if (value <= 10) return "debug";
    if (value <= 20) return "info";
    return value <= 30 ? "warn" : "error";
  }
  const level =
    typeof value === "string" && Object.hasOwn(pythonLevels, value) ? pythonLevels[value] : undefined;
  if (level === undefined)
    warnings.push(`${path}: not one of ${Object.keys(pythonLevels).join(", ")}; ignored`);
  return level;
}

function isNullHandler(handler: JsonValue | undefined): boolean {
  return handler !== undefined && isJsonObject(handler) && handler["class"] === "logging.NullHandler";
}

function destinationFrom(
  name: string,
  handlers: JsonObject,
  formatters: JsonObject,
  warnings: string[],
): LogDestination | undefined {
  const path = `log.setup.handlers.${printable(name)}`;
  const handler = handlers[name];
  if (handler === undefined || !isJsonObject(handler)) {
    warnings.push(`${path}: a logger names it, but it is no mapping under handlers; ignored`);
    return undefined;
  }
  const to = targetFrom(handler, path, warnings);
  const { encoding } = handler;
  if (typeof encoding === "string" && !/^(?:utf[-_]?8|(?:us-)?ascii)$/i.test(encoding))
    warnings.push(`${path}.encoding: lines are written as UTF-8`);
  if (to === undefined) return undefined;
  const level = levelFrom(handler["level"], `${path}.level`, warnings);
  if (handler["filters"] !== undefined) warnings.push(`${path}.filters: not supported; ignored`);
  const formatter = handler["formatter"];
  const format =
    formatter === undefined || formatter === null
      ? bareLayout
      : formatFrom(formatter, formatters, `${path}.formatter`, warnings);
  return { to, format, ...(level === undefined ? {} : { level }) };
}

/** What a formatter prints. One of a class whose name speaks of JSON, or with `format: json`, prints JSON. */
function formatFrom(
  name: JsonValue,
  formatters: JsonObject,
  path: string,
  warnings: string[],
): LogFormat | PythonLayout {
  const formatter =
    typeof name === "string" && Object.hasOwn(formatters, name) ? formatters[name] : undefined;
  if (typeof name !== "string" || !isJsonObject(formatter)) {
    warnings.push(`${path}: no formatter of that name; ignored`);
    return bareLayout;
  }
  const own = `log.setup.formatters.${printable(name)}`;
  const { format = null, datefmt = null, style = "%" } = formatter;
  const kind = formatter["()"] ?? formatter["class"];
  if (format === "json" || (typeof kind === "string" && /json/i.test(kind))) return "json";
  if (kind !== undefined && kind !== "logging.Formatter") {
    warnings.push(`${own}.class: not supported; its format is read as logging.Formatter's`);
  }
  if (style !== "%") {
    warnings.push(`${own}.style: only % is supported; lines are text in signalbox's own layout`);
    return "text";
  }
  if (format === null) return bareLayout;
  if (typeof format !== "string") {
    warnings.push(`${own}.format: not a text; lines are text in signalbox's own layout`);
    return "text";
  }
  for (const attribute of unknownAttributes(format)) {
    warnings.push(`${own}.format: %(${attribute}) has no counterpart; it prints -`);
  }
  return { format, ...(typeof datefmt === "string" ? { dateFormat: datefmt } : {}) };
}

function targetFrom(handler: JsonObject, path: string, warnings: string[]): LogTarget | undefined {
  const filename = handler["filename"];
  const kind = handler["class"];
  switch (typeof kind === "string" ? kind : "") {
    case "logging.StreamHandler": {
      const stream = handler["stream"] ?? "ext://sys.stderr";
      if (stream === "ext://sys.stdout") return "stdout";
      if (stream !== "ext://sys.stderr")
        warnings.push(`${path}.stream: neither ext://sys.stdout nor ext://sys.stderr; stderr is used`);
      return "stderr";
    }
    case "logging.FileHandler":
    case "logging.handlers.WatchedFileHandler":
      if (typeof filename === "string" && filename !== "") return { file: filename };
      warnings.push(`${path}.filename: missing; the handler is ignored`);
      return undefined;
    case "logging.NullHandler":
      return undefined;
    case "logging.handlers.RotatingFileHandler":
    case "logging.handlers.TimedRotatingFileHandler":
      if (typeof filename !== "string" || filename === "") {
        warnings.push(`${path}.filename: missing; the handler is ignored`);
        return undefined;
      }
      warnings.push(
        `${path}.class: the file is written but not rotated; let logrotate move it, it is opened anew`,
      );
      return { file: filename };
    default:
      warnings.push(`${path}.class: not supported; the handler is ignored`);
      return undefined;
  }
}

function sectionOf(tree: JsonObject, key: string, warnings: string[]): JsonObject {
  const value = tree[key];
  if (value === undefined || value === null) return {};
  if (isJsonObject(value)) return value;
  warnings.push(`log.setup.${key}: not a mapping; ignored`);
  return {};
}

/** Keys are the operator's words; one that is no name is not repeated. */
function printable(name: string): string {
  return /^[\w.-]{1,64}$/.test(name) ? name : "(a key that is no name)";
}
