import type { IncomingHttpHeaders } from "node:http";
import type { ApnsReason } from "./apns-errors.ts";

const DEVICE_PATH = "/3/device/";
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const TOPIC = /^[A-Za-z0-9._-]{1,255}$/;
const MAX_DEVICE_TOKEN_LENGTH = 400;
/** APNs' own limit on what it can store; it also catches milliseconds. */
const MAX_EXPIRATION_S = 0xffffffff;

/** Push types and the suffix that each one's topic must have: apns.md section 2. */
const topicSuffixes: Readonly<Record<string, string>> = {
  alert: "",
  background: "",
  voip: ".voip",
  complication: ".complication",
  fileprovider: ".pushkit.fileprovider",
  pushtotalk: ".voip-ptt",
  liveactivity: ".push-type.liveactivity",
  location: ".location-query",
  widgets: ".push-type.widgets",
  controls: ".push-type.controls",
  mdm: "",
};
const suffixes = Object.values(topicSuffixes).filter((suffix) => suffix !== "");

/** The device token in a path, in lower case; undefined when the path is another or the token is not hex. */
export function deviceTokenIn(path: string): string | undefined {
  if (!path.startsWith(DEVICE_PATH)) return undefined;
  const token = path.slice(DEVICE_PATH.length);
  if (token.length === 0 || token.length % 2 !== 0 || token.length > MAX_DEVICE_TOKEN_LENGTH)
    return undefined;
  for (let i = 0; i < token.length; i += 1) {
    const c = token.charCodeAt(i) | 0x20;
    if (!((c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66)) || token.charCodeAt(i) < 0x30)
      return undefined;
  }
  return token.toLowerCase();
}

/** Method, path and headers up to the topic, in the order of apns.md section 10; undefined when all is well. */
export function checkRequestLine(
  method: string,
  path: string,
  headers: IncomingHttpHeaders,
  duplicateHeaders: boolean,
  topicRequired: boolean,
): ApnsReason | undefined {
  if (method !== "POST") return "MethodNotAllowed";
  if (!path.startsWith(DEVICE_PATH)) return path === "/3/device" ? "MissingDeviceToken" : "BadPath";
  if (path.length === DEVICE_PATH.length) return "MissingDeviceToken";
  if (deviceTokenIn(path) === undefined) return "BadDeviceToken";
  if (duplicateHeaders) return "DuplicateHeaders";
  const id = headers["apns-id"];
  if (id !== undefined && !UUID.test(String(id))) return "BadMessageId";
  const expiration = headers["apns-expiration"];
  if (expiration !== undefined && !isExpiration(String(expiration))) return "BadExpirationDate";
  const priority = headers["apns-priority"];
  if (priority !== undefined && priority !== "10" && priority !== "5" && priority !== "1")
    return "BadPriority";
  const type = headers["apns-push-type"];
  if (type !== undefined && !Object.hasOwn(topicSuffixes, String(type))) return "InvalidPushType";
  const collapseId = headers["apns-collapse-id"];
  // Node gives header values as Latin-1, one character a byte, so the length is in bytes.
  if (collapseId !== undefined && collapseId.length > 64) return "BadCollapseId";
  const topic = headers["apns-topic"];
  if (topic === undefined || topic === "") return topicRequired ? "MissingTopic" : undefined;
  return TOPIC.test(String(topic)) ? undefined : "BadTopic";
}

/** What the push type asks of topic and priority. Which reason Apple gives for a wrong suffix is not documented. */
export function checkPushType(headers: IncomingHttpHeaders, topic: string): ApnsReason | undefined {
  const type = headers["apns-push-type"];
  if (type === undefined) return undefined;
  const suffix = topicSuffixes[String(type)] ?? "";
  if (suffix === "" ? suffixes.some((other) => topic.endsWith(other)) : !topic.endsWith(suffix))
    return "BadTopic";
  // Absent means 10, which is an error for background pushes.
  return type === "background" && headers["apns-priority"] !== "5" ? "BadPriority" : undefined;
}

/** The most bytes a payload of this push type may have. */
export function maxPayloadBytes(headers: IncomingHttpHeaders): number {
  return headers["apns-push-type"] === "voip" ? 5120 : 4096;
}

function isExpiration(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= MAX_EXPIRATION_S;
}
