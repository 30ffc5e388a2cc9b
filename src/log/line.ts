import type { LogFields } from "../log.ts";

/** The levels of `Log`, most urgent first. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** How a line is printed. */
export type LogFormat = "json" | "text";

/** What a line is made of once it has been cleaned. */
export type CleanFields = Readonly<Record<string, string | number>>;

/** Characters of a field's value that are kept. */
export const maxValueCharacters = 200;
/** Characters of a message that are kept: ours are short, so this is a last bound. */
export const maxMessageCharacters = 1000;
const maxStackCharacters = 4000;

type FieldTypes = {
  readonly [K in keyof LogFields]-?: Required<LogFields>[K] extends number ? "number" : "string";
};

/** `LogFields` again as a value, since types are gone at run time; a field missing here does not compile. */
const fieldTypes: FieldTypes = {
  request_id: "string",
  app: "string",
  device: "string",
  event: "string",
  pushkin: "string",
  upstream: "string",
  outcome: "string",
  reason: "string",
  status: "number",
  attempt: "number",
  duration_ms: "number",
  wait_ms: "number",
  count: "number",
  method: "string",
  http_version: "string",
  bytes: "number",
  path: "string",
  remote: "string",
  address: "string",
  port: "number",
  key: "string",
  file: "string",
  error: "string",
  stack: "string",
  version: "string",
  signal: "string",
  until: "string",
  thread: "number",
};

const typeOfField: ReadonlyMap<string, "number" | "string"> = new Map(Object.entries(fieldTypes));

/** The allowed fields with values of their type, cut; everything else is left out without a word (D14). */
export function cleanFields(fields: LogFields | undefined): CleanFields {
  const clean: Record<string, string | number> = {};
  if (typeof fields !== "object" || fields === null) return clean;
  for (const name of Object.keys(fields)) {
    const type = typeOfField.get(name);
    if (type === undefined) continue;
    const value: unknown = fields[name as keyof LogFields];
    if (typeof value !== type) continue;
    if (typeof value === "number") {
      if (Number.isFinite(value)) clean[name] = value;
    } else if (typeof value === "string") {
      clean[name] = name === "stack" ? framesOf(value) : cut(value, maxValueCharacters);
    }
  }
  return clean;
}

/** Shortens to at most `max` UTF-16 units, the last an ellipsis, without tearing a character apart. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = max - 1;
  const last = text.charCodeAt(end - 1);
  const tearsPair = last >= 0xd800 && last <= 0xdbff;
  return `${text.slice(0, tearsPair ? end - 1 : end)}…`;
}

/** A stack's frames alone: its head is the error's message, which may quote what a stranger sent (D14). */
function framesOf(stack: string): string {
  const frames = stack
    .split("\n")
    .filter((line) => /^\s*at .*(:\d+\)?|<anonymous>\)?|\(index \d+\))$/.test(line));
  return cut(frames.map((line) => line.trim()).join(" | "), maxStackCharacters);
}

// C0, DEL, C1, line and paragraph separators, and the marks that turn a terminal's text around.
// eslint's no-control-regex is why the set is built from numbers.
const unsafeCharacters = new RegExp(
  `[${[
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0x2028, 0x202e],
    [0x2066, 0x2069],
  ]
    .map(([from, to]) => `${unicodeEscape(from ?? 0)}-${unicodeEscape(to ?? 0)}`)
    .join("")}]`,
  "g",
);

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Control characters as `\uXXXX`, so that no value starts a line of its own or talks to a terminal. */
export function escapeControls(text: string): string {
  return text.toWellFormed().replace(unsafeCharacters, (character) => unicodeEscape(character.charCodeAt(0)));
}

let secondOfText = -1;
let secondAsText = "";

/** ISO 8601 in UTC, to the millisecond. Of the lines of one second only the first asks for the date. */
function isoTime(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  if (second !== secondOfText) {
    secondAsText = new Date(second * 1000).toISOString().slice(0, -4);
    secondOfText = second;
  }
  return `${secondAsText}${String(Math.floor(timeMs) - second * 1000).padStart(3, "0")}Z`;
}

/** One line of JSON without its line end: `time`, `level`, `message`, then the fields. */
export function jsonLine(timeMs: number, level: LogLevel, message: string, fields: CleanFields): string {
  const time = isoTime(timeMs);
  return escapeControls(
    JSON.stringify({ time, level, message: cut(message, maxMessageCharacters).toWellFormed(), ...fields }),
  );
}

/** One line for people, without its line end: time, level, message, then `field=value`. */
export function textLine(timeMs: number, level: LogLevel, message: string, fields: CleanFields): string {
  const parts = [
    new Date(timeMs).toISOString(),
    level.toUpperCase().padEnd(5),
    cut(message, maxMessageCharacters),
  ];
  return escapeControls(`${parts.join(" ")}${fieldsText(fields)}`);
}

/** ` field=value` for each, quoted where it must be. */
export function fieldsText(fields: CleanFields): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${quoteIfNeeded(String(value))}`)
    .join("");
}

function quoteIfNeeded(value: string): string {
  return /^[^\s"=]+$/.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
