import { randomBytes } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/json.ts";
import type { Simulators } from "../../../src/simulator/index.ts";
import type { RecordedRequest } from "../../../src/simulator/recorder.ts";
import type { MatrixUser, Pusher } from "./client.ts";

/** The app ids of the configuration; those of the packaged examples. */
export const apps = {
  elementXIos: "io.example.elementish.ios.prod",
  elementXAndroid: "im.vector.app.android",
  fluffyChat: "chat.fluffy.fluffychat.KQZNPLTWVA",
  hydrogen: "org.harbour.web",
  fullIos: "org.harbour.chat.ios.prod",
  fullAndroid: "org.harbour.chat.android",
  unifiedPush: "org.harbour.unifiedpush",
  /** Its configuration names a topic that none of its tokens is for. */
  wrongTopic: "org.harbour.wrongtopic.ios",
  /** No gateway serves it. */
  retired: "org.harbour.retired.ios",
} as const;

/** An app as these tests know it. */
export type App = keyof typeof apps;

/** What one push meant to one phone. */
export interface Seen {
  /** Absent: a badge alone. */
  readonly eventId?: string;
  readonly unread?: number;
  /** What this app would miss in it (matrix-push 7); empty when it is well. */
  readonly problems: readonly string[];
}

/** A phone, or a browser, with one account in one app. */
export interface Phone {
  /** Such as `solveig elementXIos`. */
  readonly name: string;
  readonly app: App;
  readonly user: MatrixUser;
  readonly pusher: Pusher;
  /** The app asked for ids alone (`event_id_only`). */
  readonly idsOnly: boolean;
  /** Badge updates reach it. */
  readonly wantsCounts: boolean;
  /** The push, when it is for this phone and account. */
  see(request: RecordedRequest): Seen | undefined;
}

/** What makes a phone. */
export interface PhoneOptions {
  readonly simulators: Simulators;
  /** The pusher's URL. */
  readonly url: string;
  readonly user: MatrixUser;
  /** Two accounts in one app on one phone share its token. APNs: hex. */
  readonly token?: string;
  /** The subscription, or the endpoint, has ended. */
  readonly gone?: boolean;
}

const appleBase = { aps: { "mutable-content": 1, alert: { "loc-key": "Notification", "loc-args": [] } } };

/** Registers as Element X iOS does: base64, ids alone, its own alert and who it is. */
export function elementXIos(options: PhoneOptions): Phone {
  const client = randomBytes(6).toString("hex");
  const base = { ...appleBase, pusher_notification_client_identifier: client };
  return apple("elementXIos", options, { format: "event_id_only", default_payload: base }, (payload) => [
    ...missing("mutable-content", at(payload, "aps", "mutable-content") === 1),
    ...missing("loc-key", at(payload, "aps", "alert", "loc-key") === "Notification"),
    ...missing("client identifier", payload["pusher_notification_client_identifier"] === client),
    ...missing("room_id", typeof payload["room_id"] === "string"),
    ...missing("unread_count as a number", typeof payload["unread_count"] === "number"),
    ...surplus("content", JSON.stringify(payload).includes("loc-args") && args(payload).length > 0),
  ]);
}

/** Registers as classic apps with the full format do. */
export function fullIos(options: PhoneOptions, app: App = "fullIos"): Phone {
  return apple(app, options, { default_payload: { aps: { "mutable-content": 1 } } }, (payload) => [
    ...missing("mutable-content", at(payload, "aps", "mutable-content") === 1),
    ...missing("badge", typeof at(payload, "aps", "badge") === "number"),
    ...missing("loc-key", typeof at(payload, "aps", "alert", "loc-key") === "string"),
  ]);
}

/** Registers as Element X Android does. */
export function elementXAndroid(options: PhoneOptions): Phone {
  const secret = randomBytes(12).toString("hex");
  const data = { format: "event_id_only", default_payload: { cs: secret } };
  return android("elementXAndroid", options, data, (fields) => [
    ...missing("cs", fields["cs"] === secret),
    ...missing("room_id", typeof fields["room_id"] === "string"),
    ...missing("unread as text", typeof fields["unread"] === "string"),
    ...surplus("sender", fields["sender"] !== undefined),
  ]);
}

/** Registers as classic Android apps with the full format do. */
export function fullAndroid(options: PhoneOptions): Phone {
  return android("fullAndroid", options, {}, (fields) => [
    ...missing("room_id", typeof fields["room_id"] === "string"),
    ...missing("sender", typeof fields["sender"] === "string"),
    ...missing("type", typeof fields["type"] === "string"),
  ]);
}

/** Registers as FluffyChat does, whose accounts share the phone's token. */
export function fluffyChat(options: PhoneOptions): Phone {
  const account = `account-${options.user.name}`;
  const data = { format: "event_id_only", client_name: account, data_message: "android" };
  const devices = (fields: JsonObject): JsonValue | undefined => jsonText(fields["devices"]);
  const phone = android("fluffyChat", options, data, (fields) => {
    const list = devices(fields);
    return [
      ...missing("room_id", typeof fields["room_id"] === "string"),
      ...missing("counts as JSON text", isJsonObject(jsonText(fields["counts"]))),
      ...missing("its one device", Array.isArray(list) && list.length === 1),
    ];
  });
  return {
    ...phone,
    wantsCounts: false,
    see(request) {
      const fields = fcmData(request);
      if (fields === undefined || at(devices(fields), "0", "data", "client_name") !== account)
        return undefined;
      return phone.see(request);
    },
  };
}

/** Subscribes and registers as Hydrogen does. */
export function hydrogen(options: PhoneOptions): Phone {
  const subscription = options.simulators.webPush.subscribe();
  const { endpoint, keys, id } = subscription;
  if (options.gone === true) subscription.state = "gone";
  const session = randomBytes(4).toString("hex");
  const data = {
    endpoint,
    auth: keys.auth,
    default_payload: { session_id: session },
    events_only: true,
    only_last_per_room: true,
    format: "event_id_only",
  };
  const phone = make("hydrogen", options, keys.p256dh, data, (request) => {
    if (request.upstream !== "webpush" || request.token !== id) return undefined;
    const fields = isJsonObject(request.payload) ? request.payload : {};
    return seen(fields["event_id"], fields["unread"], [
      ...missing("session_id", fields["session_id"] === session),
      ...missing("room_id", typeof fields["room_id"] === "string"),
      ...missing("Topic", request.headers["topic"] !== undefined),
      ...surplus("sender", fields["sender"] !== undefined),
    ]);
  });
  return { ...phone, wantsCounts: false };
}

/** Registers with a distributor's endpoint. */
export function unifiedPush(options: PhoneOptions): Phone {
  const registration = options.simulators.unifiedPush.register();
  const { endpoint, id } = registration;
  if (options.gone === true) registration.state = "gone";
  return make("unifiedPush", options, endpoint, { format: "event_id_only" }, (request) => {
    if (request.upstream !== "unifiedpush" || request.token !== id) return undefined;
    const notification = at(request.payload, "notification");
    const fields = isJsonObject(notification) ? notification : {};
    return seen(fields["event_id"], at(fields, "counts", "unread"), [
      ...missing("prio", typeof fields["prio"] === "string"),
      ...surplus("sender", fields["sender"] !== undefined),
    ]);
  });
}

type Check = (payload: JsonObject) => readonly string[];

function apple(app: App, options: PhoneOptions, data: object, check: Check): Phone {
  const token = options.token ?? randomBytes(32).toString("hex");
  return make(app, options, Buffer.from(token, "hex").toString("base64"), data, (request) => {
    if (request.upstream !== "apns" || request.token !== token || !isJsonObject(request.payload))
      return undefined;
    const { payload } = request;
    const unread = payload["unread_count"] ?? at(payload, "aps", "badge");
    return seen(payload["event_id"], unread, payload["event_id"] === undefined ? [] : check(payload));
  });
}

function android(app: App, options: PhoneOptions, data: object, check: Check): Phone {
  const token =
    options.token ?? `f${randomBytes(8).toString("hex")}:APA91b${randomBytes(60).toString("base64url")}`;
  return make(app, options, token, data, (request) => {
    const fields = request.token === token ? fcmData(request) : undefined;
    if (fields === undefined) return undefined;
    const unread = fields["unread"] === undefined ? undefined : Number(fields["unread"]);
    return seen(fields["event_id"], unread, fields["event_id"] === undefined ? [] : check(fields));
  });
}

function make(app: App, options: PhoneOptions, pushkey: string, data: object, see: Phone["see"]): Phone {
  const { user, url } = options;
  return {
    name: `${user.name} ${app}`,
    app,
    user,
    idsOnly: "format" in data,
    wantsCounts: true,
    see,
    pusher: {
      app_id: apps[app],
      pushkey,
      app_display_name: app,
      device_display_name: `${user.name}'s`,
      lang: "en",
      data: { url, ...data },
    },
  };
}

function seen(eventId: unknown, unread: unknown, problems: readonly string[]): Seen {
  return {
    ...(typeof eventId === "string" ? { eventId } : {}),
    ...(typeof unread === "number" ? { unread } : {}),
    problems,
  };
}

function fcmData(request: RecordedRequest): JsonObject | undefined {
  if (request.upstream !== "fcm") return undefined;
  const data = at(request.payload, "message", "data");
  return isJsonObject(data) ? data : {};
}

/** What the text says; undefined when it is no JSON. */
function jsonText(text: JsonValue | undefined): JsonValue | undefined {
  if (typeof text !== "string") return undefined;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function args(payload: JsonObject): readonly JsonValue[] {
  const list = at(payload, "aps", "alert", "loc-args");
  return Array.isArray(list) ? (list as readonly JsonValue[]) : [];
}

/** The value at a path, through objects and lists. */
export function at(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  let here: unknown = value;
  for (const key of path) {
    if (typeof here !== "object" || here === null) return undefined;
    here = (here as Readonly<Record<string, unknown>>)[key];
  }
  return here as JsonValue | undefined;
}

const missing = (what: string, isThere: boolean): readonly string[] => (isThere ? [] : [`no ${what}`]);
const surplus = (what: string, isThere: boolean): readonly string[] =>
  isThere ? [`${what} given away`] : [];
