import { isIP } from "node:net";
import { normaliseCidr } from "./cidr.ts";
import { parseDuration } from "./durations.ts";
import { weakness } from "./weak-secret.ts";

/** What a reader made of a value, or the rest of a sentence that begins with the value's path. Never the value. */
export type Reading = { readonly value: unknown } | { readonly problem: string };

/** A form of value that a JSON type cannot say. */
export interface Reader {
  /** What an editor checks instead: plain JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>;
  read(value: unknown): Reading;
}

/** So many things in so long a time; capacity and refill of a token bucket. */
export interface Rate {
  readonly count: number;
  /** Milliseconds. */
  readonly window: number;
}

const HOST_NAME = /^(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.?$/;
const RATE = /^(\d{1,9})\s*\/\s*(s|m|h|d)$/;

const MAX_WORKERS = 64;
const DOOR_PATH = /^(?:\/[A-Za-z0-9._~-]+)+$/;
/** Cost, r, p, salt and hash; the cost is bounded, since whoever asks makes us pay it (http/password-hash.ts). */
const PASSWORD_HASH = /^scrypt:1[4-7]:8:[1-4]:[A-Za-z0-9_-]{22,88}:[A-Za-z0-9_-]{43}$/;
const TOKEN_HASH = /^sha256:[0-9a-fA-F]{64}$/;

/** The readers by the name that a schema's `reads` annotation gives. */
export const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [
    "duration",
    {
      schema: { type: ["string", "number"], pattern: "^\\d+(\\.\\d+)?(ms|s|m|h|d)?$", minimum: 0 },
      read(value) {
        const ms = parseDuration(value);
        if (ms !== undefined) return { value: ms };
        return { problem: "must be a duration such as 500ms, 5s, 10m, 24h or 30d, or a number of seconds" };
      },
    },
  ],
  [
    "workers",
    {
      schema: { anyOf: [{ type: "integer", minimum: 1, maximum: MAX_WORKERS }, { const: "auto" }] },
      read(value) {
        if (value === "auto") return { value };
        if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_WORKERS)
          return { value };
        return { problem: `must be a whole number from 1 to ${MAX_WORKERS}, or auto` };
      },
    },
  ],
  [
    // Sygnal converts what it finds, so "5000" in quotes is a port as well.
    "port",
    {
      schema: { type: ["integer", "string"], pattern: "^\\d{1,5}$", minimum: 0, maximum: 65535 },
      read(value) {
        const port = typeof value === "string" && /^\s*\d{1,5}\s*$/.test(value) ? Number(value) : value;
        if (typeof port === "number" && Number.isInteger(port) && port >= 0 && port <= 65535)
          return { value: port };
        return { problem: "must be a port number from 0 to 65535" };
      },
    },
  ],
  [
    // An empty address means every interface, in Sygnal and in whatever it hands the address to.
    "bind_address",
    {
      schema: { type: "string" },
      read(value) {
        if (value === "") return { value: "0.0.0.0" };
        if (
          typeof value === "string" &&
          (isIP(value) !== 0 || (HOST_NAME.test(value) && !/^[\d.]+$/.test(value)))
        ) {
          return { value };
        }
        return {
          problem: "must be an IP address such as 127.0.0.1 or '::1', in quotes when it begins with a colon",
        };
      },
    },
  ],
  [
    "cidr",
    {
      schema: { type: "string" },
      read(value) {
        const cidr = typeof value === "string" ? normaliseCidr(value) : undefined;
        return cidr === undefined
          ? { problem: "must be a block of addresses such as 10.0.0.0/8" }
          : { value: cidr };
      },
    },
  ],
  [
    "base_url",
    {
      schema: { type: "string", format: "uri" },
      read(value) {
        const url = parseUrl(value);
        if (
          url === undefined ||
          (url.protocol !== "https:" && url.protocol !== "http:") ||
          url.hostname === ""
        ) {
          return { problem: "must be a URL such as https://localhost:2197" };
        }
        if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
          return { problem: "must be a URL without user, query and fragment" };
        }
        return { value: url.href.replace(/\/+$/, "") };
      },
    },
  ],
  ["proxy_url", { schema: { type: "string" }, read: readProxyUrl }],
  ["store_url", { schema: { type: "string" }, read: readStoreUrl }],
  [
    "rate",
    {
      schema: { anyOf: [{ type: "string", pattern: RATE.source }, { enum: ["off", false] }] },
      read(value) {
        if (value === false || value === "off") return { value: null };
        const match = typeof value === "string" ? RATE.exec(value.trim()) : null;
        const window = parseDuration(`1${match?.[2] ?? ""}`);
        if (match === null || window === undefined || Number(match[1]) < 1) {
          return { problem: "must be a rate such as 50/s, 600/m or 5000/h, or off" };
        }
        return { value: { count: Number(match[1]), window } satisfies Rate };
      },
    },
  ],
  [
    "strong_secret",
    {
      schema: { type: "string", minLength: 32 },
      read(value) {
        if (typeof value !== "string") return { problem: "must be a string" };
        const problem = weakness(value, 32);
        return problem === undefined ? { value } : { problem };
      },
    },
  ],
  [
    "door_key",
    {
      schema: { type: "string", minLength: 16 },
      read(value) {
        if (typeof value !== "string") return { problem: "must be a string" };
        const problem = weakness(value, 16);
        return problem === undefined ? { value } : { problem };
      },
    },
  ],
  [
    "door_path",
    {
      schema: { type: "string", pattern: DOOR_PATH.source },
      read(value) {
        return typeof value === "string" && DOOR_PATH.test(value)
          ? { value }
          : { problem: "must be a path such as /api/push, without a slash at its end" };
      },
    },
  ],
  [
    "password_hash",
    {
      schema: { type: "string", pattern: "^scrypt:" },
      read(value) {
        return typeof value === "string" && PASSWORD_HASH.test(value)
          ? { value }
          : { problem: "must be what `signalbox hash-password` prints, beginning with scrypt:" };
      },
    },
  ],
  [
    "token_hash",
    {
      schema: { type: "string", pattern: TOKEN_HASH.source },
      read(value) {
        return typeof value === "string" && TOKEN_HASH.test(value)
          ? { value: value.toLowerCase() }
          : { problem: "must be sha256: and 64 hex digits, made with: printf %s TOKEN | sha256sum" };
      },
    },
  ],
  // Sygnal asks for YAML's `true` itself; anything else is off (sygnal-compat 2.3).
  ["exactly_true", { schema: { type: "boolean" }, read: (value) => ({ value: value === true }) }],
  ["truthy", { schema: { type: "boolean" }, read: (value) => ({ value: isTruthy(value) }) }],
]);

/** Sygnal's proxy rules: http only, and a host; the URL may hold a password, so it is never repeated. */
function readProxyUrl(value: unknown): Reading {
  const url = parseUrl(value);
  if (typeof value !== "string" || url === undefined || url.hostname === "") {
    return { problem: "must be http://[user:password@]host[:port], with scheme and host" };
  }
  return url.protocol === "http:"
    ? { value }
    : { problem: "must begin with http://, other proxies are not supported" };
}

function readStoreUrl(value: unknown): Reading {
  const problem = "must be sqlite:FILE, postgresql://… or memory:";
  if (typeof value !== "string") return { problem };
  // Unquoted, YAML takes the colon at the end for a key's.
  if (value === "memory") return { value: "memory:" };
  // What comes after the scheme is the store's to judge (store/config.ts).
  return value === "memory:" || /^sqlite:(?!\/\/).+$|^postgres(?:ql)?:\/\//.test(value)
    ? { value }
    : { problem };
}

function parseUrl(value: unknown): URL | undefined {
  return typeof value === "string" ? (URL.parse(value) ?? undefined) : undefined;
}

/** Python's truth: empty text, list and mapping, zero and null are false (sygnal-compat 19). */
function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null)
    return value instanceof Date || Object.keys(value).length > 0;
  return Boolean(value);
}
