import { isJsonObject } from "../json.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { fcmError, invalidField } from "./fcm-errors.ts";
import type { FcmError } from "./fcm-errors.ts";

const MAX_TOKEN_BYTES = 4096;
const MAX_TOPIC_BYTES = 2048;
const MAX_TTL_S = 2_419_200;
const TARGETS = ["token", "topic", "condition", "fid"] as const;
const RESERVED_KEYS = new Set(["from", "message_type"]);
const RESERVED_PREFIX = /^(?:google|gcm)/;
const PRIORITIES = new Set<JsonValue>(["HIGH", "NORMAL", "high", "normal"]);

/** Known fields, in snake_case: fcm.md section 2. */
const messageFields = new Set(
  "name token fid topic condition data notification android webpush apns fcm_options".split(" "),
);
const androidFields = new Set(
  (
    "collapse_key priority ttl restricted_package_name data notification fcm_options direct_boot_ok " +
    "bandwidth_constrained_ok restricted_satellite_ok"
  ).split(" "),
);

/** A message that FCM would take, as far as this simulator looks. */
export interface FcmMessage {
  readonly target: { readonly kind: (typeof TARGETS)[number]; readonly value: string };
  readonly validateOnly: boolean;
}

/** True for a refusal. */
export function isFcmError(result: FcmMessage | FcmError): result is FcmError {
  return "status" in result;
}

/** Looks at a send request's body as fcm.md sections 2 and 7 ask; both spellings of field names are good. */
export function checkMessage(body: JsonValue | undefined): FcmMessage | FcmError {
  if (!isJsonObject(body)) return invalidField("", "Invalid JSON payload received. Unexpected token.");
  const message = body["message"];
  if (!isJsonObject(message)) return invalidField("message", "Invalid value at 'message'");
  const android = message["android"];
  if (android !== undefined && !isJsonObject(android))
    return invalidField("message.android", "Invalid value at 'message.android'");
  return (
    unknownField(message, messageFields, "message") ??
    (android === undefined ? undefined : checkAndroid(android)) ??
    checkData(message["data"], "message.data") ??
    checkTarget(message, android, field(body, "validate_only") === true)
  );
}

/** Reads a field in snake_case or lowerCamelCase. */
function field(object: JsonObject, snake: string): JsonValue | undefined {
  return object[snake] ?? object[snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
}

function unknownField(object: JsonObject, known: ReadonlySet<string>, path: string): FcmError | undefined {
  for (const key of Object.keys(object)) {
    if (known.has(key) || known.has(key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))) continue;
    const name = JSON.stringify(key);
    return invalidField(
      path,
      `Invalid JSON payload received. Unknown name ${name} at '${path}': Cannot find field.`,
    );
  }
  return undefined;
}

function checkAndroid(android: JsonObject): FcmError | undefined {
  const unknown = unknownField(android, androidFields, "message.android");
  if (unknown !== undefined) return unknown;
  const priority = android["priority"];
  if (priority !== undefined && !PRIORITIES.has(priority)) {
    return invalidField(
      "message.android.priority",
      `Invalid value at 'message.android.priority', ${JSON.stringify(priority)}`,
    );
  }
  const ttl = android["ttl"];
  if (ttl !== undefined) {
    const seconds = typeof ttl === "string" ? /^(\d{1,10}(?:\.\d{1,9})?)s$/.exec(ttl)?.[1] : undefined;
    if (seconds === undefined || Number(seconds) > MAX_TTL_S) {
      return invalidField(
        "message.android.ttl",
        `Invalid value at 'message.android.ttl', ${JSON.stringify(ttl)}`,
      );
    }
  }
  return checkData(android["data"], "message.android.data");
}

function checkData(data: JsonValue | undefined, path: string): FcmError | undefined {
  if (data === undefined) return undefined;
  if (!isJsonObject(data)) return invalidField(path, `Invalid value at '${path}'`);
  let index = 0;
  for (const key in data) {
    const value = data[key];
    if (typeof value !== "string") {
      const at = `${path}[${index}].value`;
      return invalidField(at, `Invalid value at '${at}' (TYPE_STRING), ${JSON.stringify(value)}`);
    }
    if (RESERVED_KEYS.has(key) || RESERVED_PREFIX.test(key)) {
      return invalidField(`${path}[${index}].key`, `Invalid data payload key: ${key}`);
    }
    index += 1;
  }
  return undefined;
}

function checkTarget(
  message: JsonObject,
  android: JsonObject | undefined,
  validateOnly: boolean,
): FcmMessage | FcmError {
  const given = TARGETS.filter((kind) => message[kind] !== undefined && message[kind] !== null);
  const [kind, second] = given;
  if (second !== undefined) {
    return invalidField(
      "message",
      "Invalid value at 'message' (oneof), oneof field 'target' is already set.",
    );
  }
  const value = kind === undefined ? "" : message[kind];
  if (typeof value !== "string")
    return invalidField(`message.${kind}`, `Invalid value at 'message.${kind}' (TYPE_STRING)`);
  if (kind === undefined || value === "") return fcmError("RECIPIENT_NOT_SET");
  const maxBytes = kind === "token" || kind === "fid" ? MAX_TOKEN_BYTES : MAX_TOPIC_BYTES;
  if (payloadBytes(message, android) > maxBytes) return fcmError("INVALID_ARGUMENT");
  return { target: { kind, value }, validateOnly };
}

/** Keys and values of the data an Android device would get, and the notification's texts. */
function payloadBytes(message: JsonObject, android: JsonObject | undefined): number {
  return textBytes(android?.["data"] ?? message["data"]) + textBytes(message["notification"]);
}

function textBytes(object: JsonValue | undefined): number {
  if (!isJsonObject(object)) return 0;
  let bytes = 0;
  for (const key in object) {
    const value = object[key];
    bytes += Buffer.byteLength(key) + (typeof value === "string" ? Buffer.byteLength(value) : 0);
  }
  return bytes;
}
