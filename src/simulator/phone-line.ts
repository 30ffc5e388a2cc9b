import { isJsonObject } from "../json.ts";
import type { JsonValue } from "../json.ts";
import { answerLabel } from "./recorder.ts";
import type { RecordedRequest } from "./recorder.ts";

const MAX_TEXT = 160;
const MAX_TOKEN = 12;

/** One request as one line of plain text: which phone it was for, and what the phone got, or why it got nothing. */
export function phoneLine(request: RecordedRequest): string {
  const { upstream, token, topic, answer, accepted } = request;
  const phone =
    token === undefined ? (topic ?? "-") : token.slice(0, MAX_TOKEN) + (token.length > MAX_TOKEN ? "…" : "");
  const outcome = accepted ? content(request) : answerLabel(answer);
  return `${new Date(request.atMs).toISOString()} ${upstream.padEnd(5)} ${plain(phone)}  ${plain(outcome)}`;
}

function content({ upstream, payload, answer, topic }: RecordedRequest): string {
  const text = upstream === "apns" ? apnsContent(payload) : fcmContent(payload);
  const lost = answer.kind === "reply" && answer.status === 200 ? "" : ` (answered: ${answerLabel(answer)})`;
  return `${upstream === "apns" ? `${topic ?? ""}: ` : ""}${text}${lost}`;
}

function apnsContent(payload: JsonValue | undefined): string {
  if (!isJsonObject(payload)) return "";
  const { aps, ...custom } = payload;
  const alert = isJsonObject(aps) ? aps["alert"] : undefined;
  const badge = isJsonObject(aps) ? aps["badge"] : undefined;
  const shown = [
    typeof alert === "string"
      ? alert
      : isJsonObject(alert)
        ? texts(alert["title"], alert["body"] ?? alert["loc-key"])
        : "",
    typeof badge === "number" ? `[badge ${badge}]` : "",
    Object.keys(custom).length > 0 ? JSON.stringify(custom) : "",
  ];
  return shown.filter((part) => part !== "").join(" ") || JSON.stringify(aps ?? {});
}

function fcmContent(payload: JsonValue | undefined): string {
  const message = isJsonObject(payload) ? payload["message"] : undefined;
  if (!isJsonObject(message)) return "";
  const notification = message["notification"];
  const shown = isJsonObject(notification) ? texts(notification["title"], notification["body"]) : "";
  return [shown, message["data"] === undefined ? "" : JSON.stringify(message["data"])]
    .filter((part) => part !== "")
    .join(" ");
}

function texts(...parts: readonly (JsonValue | undefined)[]): string {
  return parts.filter((part): part is string => typeof part === "string" && part !== "").join(": ");
}

/** No control or direction characters: what strangers wrote must not steer the terminal. */
function plain(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}…` : clean;
}
