import { accessMessage } from "../log.ts";
import {
  cut,
  escapeControls,
  fieldsText,
  maxMessageCharacters,
  type CleanFields,
  type LogLevel,
} from "./line.ts";
import { loggerOf } from "./loggers.ts";

/** A formatter of Python's logging: `%`-style. */
export interface PythonLayout {
  readonly format: string;
  /** For `%(asctime)s`, as strftime reads it; absent = `2026-11-20 15:32:53,042`. Local time. */
  readonly dateFormat?: string;
}

/** What a handler without a formatter prints. */
export const bareLayout: PythonLayout = { format: "%(message)s" };

/** What a format may ask for: what each line has. */
interface LineRecord {
  readonly timeMs: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: CleanFields;
}

const levels: Readonly<Record<LogLevel, { readonly name: string; readonly number: number }>> = {
  debug: { name: "DEBUG", number: 10 },
  info: { name: "INFO", number: 20 },
  warn: { name: "WARNING", number: 30 },
  error: { name: "ERROR", number: 40 },
};

type Attribute = (line: LineRecord, dateFormat: string | undefined) => string | number;

const attributes: Readonly<Record<string, Attribute>> = {
  asctime: ({ timeMs }, dateFormat) => asctime(timeMs, dateFormat),
  created: ({ timeMs }) => timeMs / 1000,
  levelname: ({ level }) => levels[level].name,
  levelno: ({ level }) => levels[level].number,
  message: textOf,
  msecs: ({ timeMs }) => timeMs % 1000,
  name: ({ message, fields }) => loggerOf(message, fields),
  process: () => process.pid,
  processName: () => "MainProcess",
  threadName: () => "MainThread",
};

const placeholder = /%(?:\((\w+)\))?([-0 +#]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g;
/** Wider fields would be a way to fill a disk with one line. */
const MAX_WIDTH = 1000;

/** What of a format has no counterpart here, by name; such a field prints `-`. */
export function unknownAttributes(format: string): readonly string[] {
  const names = [...format.matchAll(placeholder)].flatMap(([, name]) => name ?? []);
  return [...new Set(names)].filter((name) => !Object.hasOwn(attributes, name));
}

/** Prints one line without its line end, as Python's logging lays it out. */
export function layOut(layout: PythonLayout, line: LineRecord): string {
  return layout.format.replace(
    placeholder,
    (
      whole,
      name: string | undefined,
      flags: string,
      width: string | undefined,
      precision: string | undefined,
      kind: string,
    ) => {
      if (kind === "%") return "%";
      if (name === undefined) return whole;
      const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
      const value = attribute?.(line, layout.dateFormat) ?? "-";
      return padded(printed(value, kind, precision), flags, Math.min(Number(width ?? 0), MAX_WIDTH));
    },
  );
}

function printed(value: string | number, kind: string, precision: string | undefined): string {
  if (typeof value === "string") return precision === undefined ? value : value.slice(0, Number(precision));
  if (kind === "d" || kind === "i") return String(Math.trunc(value));
  return kind === "f" ? value.toFixed(Math.min(Number(precision ?? 6), 20)) : String(value);
}

function padded(text: string, flags: string, width: number): string {
  if (flags.includes("-")) return text.padEnd(width);
  return text.padStart(width, flags.includes("0") ? "0" : " ");
}

/** `[request id] sentence field=value …`; a request's end is what Sygnal's access log says of it. */
function textOf({ timeMs, message, fields }: LineRecord): string {
  const { request_id: requestId, ...rest } = fields;
  if (message === accessMessage) return escapeControls(`Handled request: ${combined(timeMs, fields)}`);
  const prefix = requestId === undefined ? "" : `[${requestId}] `;
  return escapeControls(`${prefix}${cut(message, maxMessageCharacters)}${fieldsText(rest)}`);
}

/**
 * The combined format as Sygnal writes it: UTC, the address in quotes. Referrer and user agent are always `-`, and so
 * is a path that is none of ours (D14).
 */
function combined(timeMs: number, fields: CleanFields): string {
  const of = (name: string): string => String(fields[name] ?? "-");
  const time = strftime("%d/%b/%Y:%H:%M:%S +0000", new Date(timeMs), "utc");
  const size = fields["bytes"] === 0 ? "-" : of("bytes");
  const request = `${of("method")} ${of("path")} HTTP/${of("http_version")}`;
  return `"${of("remote")}" - - [${time}] "${request}" ${of("status")} ${size} "-" "-"`;
}

function asctime(timeMs: number, dateFormat: string | undefined): string {
  const time = new Date(timeMs);
  if (dateFormat !== undefined) return strftime(dateFormat, time, "local");
  return `${strftime("%Y-%m-%d %H:%M:%S", time, "local")},${digits(time.getMilliseconds(), 3)}`;
}

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

/** C's strftime in the C locale, as far as log files use it; an unknown letter stays as it is. */
function strftime(format: string, instant: Date, zone: "local" | "utc"): string {
  const offset = zone === "utc" ? 0 : -instant.getTimezoneOffset();
  // The same wall clock in UTC, so that one set of getters serves both.
  const time = new Date(instant.getTime() + offset * 60_000);
  const hour = time.getUTCHours();
  const month = months[time.getUTCMonth()] ?? "";
  const day = days[time.getUTCDay()] ?? "";
  const sign = offset < 0 ? "-" : "+";
  const away = Math.abs(offset);
  const startOfYear = Date.UTC(time.getUTCFullYear(), 0, 1);
  const parts: Readonly<Record<string, string>> = {
    Y: String(time.getUTCFullYear()),
    y: digits(time.getUTCFullYear() % 100, 2),
    m: digits(time.getUTCMonth() + 1, 2),
    d: digits(time.getUTCDate(), 2),
    e: String(time.getUTCDate()).padStart(2),
    H: digits(hour, 2),
    I: digits(hour % 12 === 0 ? 12 : hour % 12, 2),
    M: digits(time.getUTCMinutes(), 2),
    S: digits(time.getUTCSeconds(), 2),
    p: hour < 12 ? "AM" : "PM",
    j: digits(Math.floor((time.getTime() - startOfYear) / 86_400_000) + 1, 3),
    a: day.slice(0, 3),
    A: day,
    b: month.slice(0, 3),
    B: month,
    s: String(Math.floor(instant.getTime() / 1000)),
    z: `${sign}${digits(Math.floor(away / 60), 2)}${digits(away % 60, 2)}`,
    "%": "%",
  };
  const long: Readonly<Record<string, string>> = { F: "%Y-%m-%d", T: "%H:%M:%S", D: "%m/%d/%y", R: "%H:%M" };
  return format
    .replace(/%([FTDR])/g, (whole, letter: string) => long[letter] ?? whole)
    .replace(/%([a-zA-Z%])/g, (whole, letter: string) => parts[letter] ?? whole);
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0");
}
