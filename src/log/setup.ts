import { isJsonObject, type JsonObject, type JsonValue } from "../json.ts";
import type { LogDestination, LogOptions, LogTarget } from "./create-log.ts";
import type { LogLevel } from "./line.ts";

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

/**
 * Reads a Python dictConfig as Sygnal's `log.setup` holds it (sygnal-compat 14). The gateway has one log where Sygnal
 * has a tree of loggers: the level and the handlers of `sygnal` count, with what it inherits from `root`.
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
  const loggers = sectionOf(tree, "loggers", warnings);
  const root = loggerFrom(tree["root"], "log.setup.root", warnings);
  const sygnal = loggerFrom(loggers[ourLogger], `log.setup.loggers.${ourLogger}`, warnings);
  const below = levelsBelow(loggers, warnings);
  // Python's root logger is at WARNING until told otherwise.
  const level = sygnal.level ?? root.level ?? mostVerbose(below) ?? "warn";
  for (const [name, lower] of below) {
    if (lower !== level)
      warnings.push(`log.setup.loggers.${name}.level: there is one log; its level is ${level}`);
  }
  const names = [...new Set([...sygnal.handlers, ...(sygnal.propagates ? root.handlers : [])])];
  const handlers = sectionOf(tree, "handlers", warnings);
  const formatters = sectionOf(tree, "formatters", warnings);
  const destinations: LogDestination[] = [];
  for (const name of names) {
    const destination = destinationFrom(name, handlers, formatters, warnings);
    if (destination !== undefined) destinations.push(destination);
  }
  // With no handler at all Python writes to standard error; so does a log whose handlers all mean nothing here.
  // Only handlers that are there to discard are obeyed in silence.
  const discards = names.length > 0 && names.every((name) => isNullHandler(handlers[name]));
  const found: LogDestination[] = destinations.length > 0 || discards ? destinations : [{ to: "stderr" }];
  return { options: { level, destinations: found }, warnings };
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

/** The levels given to loggers under `sygnal`; other programs' loggers have no counterpart and need no warning. */
function levelsBelow(loggers: JsonObject, warnings: string[]): ReadonlyMap<string, LogLevel> {
  const levels = new Map<string, LogLevel>();
  for (const [name, value] of Object.entries(loggers)) {
    if (!name.startsWith(`${ourLogger}.`)) continue;
    const shown = printable(name);
    const level = loggerFrom(value, `log.setup.loggers.${shown}`, warnings).level;
    if (level !== undefined) levels.set(shown, level);
  }
  return levels;
}

function mostVerbose(levels: ReadonlyMap<string, LogLevel>): LogLevel | undefined {
  const given = [...levels.values()];
  return mostVerboseFirst.find((level) => given.includes(level));
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
  if (to === undefined) return undefined;
  const level = levelFrom(handler["level"], `${path}.level`, warnings);
  if (handler["filters"] !== undefined) warnings.push(`${path}.filters: not supported; ignored`);
  const formatter = handler["formatter"];
  if (typeof formatter !== "string") return { to, ...(level === undefined ? {} : { level }) };
  if (!Object.hasOwn(formatters, formatter)) {
    warnings.push(`${path}.formatter: no formatter of that name; ignored`);
    return { to, ...(level === undefined ? {} : { level }) };
  }
  // Who wrote a layout for people gets lines for people, in the gateway's own layout.
  warnings.push(`${path}.formatter: lines are text in signalbox's own layout, not the formatter's`);
  return { to, format: "text", ...(level === undefined ? {} : { level }) };
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
