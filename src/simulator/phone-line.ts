import { isJsonObject } from "../json.ts";
import type { JsonValue } from "../json.ts";
import { answerLabel } from "./recorder.ts";
import type { RecordedRequest } from "./recorder.ts";
import type { SimulatedUpstream } from "./script.ts";

/** Short enough for a column. */
const NAMES: Readonly<Record<SimulatedUpstream, string>> = {
  apns: "apns",
  fcm: "fcm",
  oauth: "oauth",
  webpush: "web",
  unifiedpush: "up",
};
const MAX_TEXT = 160;
const MAX_TOKEN = 12;

/** One request as one line of plain text: which phone it was for, and what the phone got, or why it got nothing. */
export function phoneLine(request: RecordedRequest): string {
  const { upstream, token, topic, answer, accepted } = request;
  const phone =
    token === undefined ? (topic ?? "-") : token.slice(0, MAX_TOKEN) + (token.length > MAX_TOKEN ? "…" : "");
  const outcome = accepted ? content(request) : answerLabel(answer);
  return `${new Date(request.atMs).toISOString()} ${NAMES[upstream].padEnd(5)} ${plain(phone)}  ${plain(outcome)}`;
}

function content({ upstream, payload, answer, topic }: RecordedRequest): string {
  const lost = answer.kind === "reply" && answer.status < 300 ? "" : ` (answered: ${answerLabel(answer)})`;
  return `${upstream === "apns" ? `${topic ?? ""}: ` : ""}${textOf(upstream, payload)}${lost}`;
}

function textOf(upstream: SimulatedUpstream, payload: JsonValue | undefined): string {
  switch (upstream) {
    case "apns":
      return apnsContent(payload);
    case "fcm":
    case "oauth":
      return fcmContent(payload);
    case "webpush":
    case "unifiedpush":
      // What the app reads; absent where its keys are not the simulator's.
      return payload === undefined ? "(encrypted)" : JSON.stringify(payload);
  }
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
