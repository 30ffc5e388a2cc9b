import { createECDH } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../../src/json.ts";
import { deviceTokenIn } from "../../../../src/simulator/apns-checks.ts";
import { checkMessage, isFcmError } from "../../../../src/simulator/fcm-checks.ts";
import { APNS_TOPIC, appKeys, type AppKey } from "../apps.ts";
import type { Case, Observed, Sent } from "../case.ts";
import { apnsTurn, type Turn } from "./apns.ts";
import { fcmTurn } from "./fcm.ts";
import { html, readWire } from "./http.ts";
import { validate, type Device, type Notification } from "./validate.ts";
import { webPushTurn, type WebPushTurn } from "./webpush.ts";

/*
 * What Sygnal 0.17.0 was seen to do, written down so that a program can compare with it: the notes that were taken by
 * running it against fake upstreams (its requests, answers and headers), without its source. It is no Sygnal and does
 * not stand for one where one can be run.
 */

/** What came of one device. */
type Result = { readonly kind: "done" | "rejected" } | { readonly kind: "fail"; readonly status: 500 | 502 };

/** What Sygnal would have done; `webPushOrigin` is where the simulated push service answers. */
export function noted({ wire, rules = [] }: Case, webPushOrigin: string): Observed {
  const read = readWire(wire);
  if ("answer" in read) return { answer: read.answer, sent: [] };
  const notification = validate(read.json);
  if ("kind" in notification) return { answer: notification, sent: [] };
  const sent: Sent[] = [];
  const rejected: string[] = [];
  const answer = ((): Observed["answer"] => {
    for (const device of notification.devices) {
      const result = handle(notification, device, { rules, sent, webPushOrigin });
      // The first failure ends the request, and what was rejected so far is lost.
      if (result.kind === "fail") return html(result.status, "");
      if (result.kind === "rejected") rejected.push(device.pushkey);
    }
    return html(200, JSON.stringify({ rejected }));
  })();
  return { answer: wire.sender === "hangs-up" ? { kind: "left" } : answer, sent };
}

interface Setting {
  readonly rules: NonNullable<Case["rules"]>;
  readonly sent: Sent[];
  readonly webPushOrigin: string;
}

function handle(notification: Notification, device: Device, setting: Setting): Result {
  const app = appFor(device.appId);
  if (app === undefined) return { kind: "rejected" };
  const turn = turnOf(app, notification, device);
  switch (turn.kind) {
    case "nothing":
      return { kind: "done" };
    case "reject":
      return { kind: "rejected" };
    case "fail":
      return turn;
    case "send":
      return deliver(app, notification, turn, device, setting);
  }
}

/** sygnal-compat 3: the name itself, or the one pattern that fits. */
function appFor(appId: string): AppKey | undefined {
  const exact = appKeys.find(({ key }) => key === appId);
  if (exact !== undefined) return exact;
  const fitting = appKeys.filter(({ key }) => {
    const [head = "", tail] = key.split("*");
    return tail !== undefined && appId.startsWith(head) && appId.endsWith(tail) && !appId.includes("\n");
  });
  return fitting.length === 1 ? fitting[0] : undefined;
}

function turnOf(app: AppKey, notification: Notification, device: Device): WebPushTurn {
  switch (app.type) {
    case "apns":
      return apnsTurn(notification, device);
    case "gcm":
      return fcmTurn(notification, device);
    case "webpush":
      return webPushTurn(notification, device, { allowed: app.allowedEndpoints ?? [] });
  }
}

type Send = WebPushTurn & Extract<Turn, { kind: "send" }>;

/** What the upstream says to it, and what Sygnal makes of that (sygnal-compat 10.6, 11.5, 12.4). */
function deliver(
  app: AppKey,
  notification: Notification,
  turn: Send,
  device: Device,
  setting: Setting,
): Result {
  const scripted = setting.rules.find(({ token }) => token === turn.token)?.answer;
  const status = scripted !== undefined && "status" in scripted ? (scripted.status ?? 400) : 200;
  const reason = scripted?.kind === "error" ? scripted.reason : "";
  const done: Result = { kind: "done" };
  const rejected: Result = { kind: "rejected" };
  const bad: Result = { kind: "fail", status: 502 };
  switch (app.type) {
    case "apns":
      if (turn.token === "") return bad;
      if (deviceTokenIn(`/3/device/${turn.token}`) === undefined) return rejected;
      if (status === 200) {
        setting.sent.push({
          upstream: "apns",
          token: turn.token,
          headers: apnsHeaders(notification),
          payload: turn.payload,
        });
        return done;
      }
      return /^(BadDeviceToken|DeviceTokenNotForTopic|TopicDisallowed|Unregistered)$/.test(reason)
        ? rejected
        : bad;
    case "gcm":
      if (status === 404) return rejected;
      if (status === 429 || status >= 500) return done;
      if (status !== 200 || isFcmError(checkMessage(overTheWire(turn.payload)))) return bad;
      setting.sent.push({ upstream: "fcm", token: turn.token, headers: JSON_TYPE, payload: turn.payload });
      return done;
    case "webpush":
      if (!isReachable(turn, device, setting.webPushOrigin)) return { kind: "fail", status: 500 };
      if (status === 404 || status === 410) return rejected;
      if (status !== 200 || isTooLarge(turn.payload)) return done;
      setting.sent.push({
        upstream: "webpush",
        token: turn.token,
        headers: turn.headers ?? {},
        payload: turn.payload,
      });
      return done;
  }
}

const JSON_TYPE = { "content-type": "application/json" };

const overTheWire = (payload: JsonObject): JsonValue => JSON.parse(JSON.stringify(payload)) as JsonValue;

function apnsHeaders({ fields }: Notification): Sent["headers"] {
  return { "apns-topic": APNS_TOPIC, "apns-priority": fields["prio"] === "low" ? "5" : "10" };
}

/** Bad keys, and services that are not there, are 500. */
function isReachable(turn: Send, { pushkey, data }: Device, origin: string): boolean {
  if (turn.endpoint?.startsWith(`${origin}/`) !== true || !isJsonObject(data)) return false;
  try {
    const ecdh = createECDH("prime256v1");
    ecdh.generateKeys();
    ecdh.computeSecret(Buffer.from(pushkey, "base64url"));
    return true;
  } catch {
    return false;
  }
}

/** What RFC 8188 adds, and the least that a push service must take; the text is ASCII-escaped. */
function isTooLarge(payload: JsonObject): boolean {
  const text = JSON.stringify(payload).replace(/[^\0-\x7f]/g, "\\uffff");
  return text.length + 86 + 17 > 4096;
}
