import type { MatrixContent, MatrixForm, Priority, Urgency } from "../../core/push.ts";
import { parseJson } from "../../http/body.ts";
import { cleanObject, isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { count, flag, type FieldReader } from "./clean.ts";

/** Events that ring (matrix-push 3.2). */
const callInvite = "m.call.invite";
const rtcNotifications: readonly string[] = ["m.rtc.notification", "org.matrix.msc4075.rtc.notification"];

/** The server should have left the counts out for such a pusher; where it did not, the gateway does (MSC4076). */
const badgeLeftToApp = "org.matrix.msc4076.disable_badge_count";

/** The counts, which every form carries. */
type Counts = Pick<MatrixContent, "unread" | "missedCalls">;
/** What is encrypted to the app (MSC3013). */
type Sealed = Pick<MatrixContent, "ciphertext" | "ephemeral" | "mac" | "isCountsOnly">;
/** What a privacy-minded app asks not to be sent. */
type Details = Pick<
  MatrixContent,
  | "type"
  | "sender"
  | "senderDisplayName"
  | "roomName"
  | "roomAlias"
  | "membership"
  | "userIsTarget"
  | "content"
>;
type Ids = Pick<MatrixContent, "eventId" | "roomId">;

/** What all devices of a request have in common, cleaned, sorted by who may see it. */
export interface Notification {
  readonly ids: Ids;
  readonly details: Details;
  readonly counts: Counts;
  readonly sealed: Sealed;
  readonly priority: Priority;
  /** The sender has named a priority. */
  readonly saysPriority: boolean;
}

/** What a device brings to the content. */
export interface Device {
  readonly data: JsonObject;
  readonly eventIdOnly: boolean;
  readonly badgeLeftToApp: boolean;
  readonly payload: Pick<MatrixContent, "defaultPayload" | "defaultPayloadInvalid">;
  readonly tweaks: Pick<MatrixContent, "sound" | "highlight">;
}

/** A value that may be absent, as an optional property: `exactOptionalPropertyTypes` tells the two apart. */
type Maybe<T> = { readonly [K in keyof T]: T[K] | undefined };

/** Leaves out what is absent. */
function present<T extends object>(fields: Maybe<Required<T>>): T {
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(fields) as (keyof T & string)[]) {
    if (fields[key] !== undefined) result[key] = fields[key];
  }
  return result as T;
}

/** The notification's fields by the table of matrix-push 2.1. */
export function readNotification(fields: JsonObject, read: FieldReader): Notification {
  const content = read.object(fields["content"]);
  const counts = isJsonObject(fields["counts"]) ? fields["counts"] : {};
  return {
    ids: present<Ids>({
      // `id` is the name of 2015; Synapse sends it empty in badge updates.
      eventId: read.identifier(fields["event_id"]) ?? read.identifier(fields["id"]),
      roomId: read.identifier(fields["room_id"]),
    }),
    details: present<Details>({
      type: read.identifier(fields["type"]),
      sender: read.text(fields["sender"]),
      senderDisplayName: read.text(fields["sender_display_name"]),
      roomName: read.text(fields["room_name"]),
      roomAlias: read.text(fields["room_alias"]),
      membership: read.identifier(fields["membership"]) ?? read.identifier(content?.["membership"]),
      userIsTarget: flag(fields["user_is_target"]),
      content,
    }),
    counts: present<Counts>({ unread: count(counts["unread"]), missedCalls: count(counts["missed_calls"]) }),
    sealed: present<Sealed>({
      ciphertext: read.identifier(fields["ciphertext"]),
      ephemeral: read.identifier(fields["ephemeral"]),
      mac: read.identifier(fields["mac"]),
      isCountsOnly: flag(fields["is_counts_only"]),
    }),
    priority: fields["prio"] === "low" ? "low" : "high",
    saysPriority: fields["prio"] !== undefined,
  };
}

/** A device's `data` and `tweaks` by the table of matrix-push 2.3. */
export function readDevice(fields: JsonObject, read: FieldReader, maxDepth: number): Device {
  const data = read.object(fields["data"]) ?? {};
  const tweaks = isJsonObject(fields["tweaks"]) ? fields["tweaks"] : {};
  return {
    data,
    eventIdOnly: data["format"] === "event_id_only",
    badgeLeftToApp: data[badgeLeftToApp] === true,
    payload: readDefaultPayload(data["default_payload"], maxDepth),
    tweaks: present<Device["tweaks"]>({
      sound: read.text(tweaks["sound"]),
      highlight: flag(tweaks["highlight"]),
    }),
  };
}

/** An object, or the text of one (case 30). */
function readDefaultPayload(value: JsonValue | undefined, maxDepth: number): Device["payload"] {
  if (value === undefined) return { defaultPayload: {} };
  if (isJsonObject(value)) return { defaultPayload: value };
  const parsed = typeof value === "string" ? parseJson(value, maxDepth) : undefined;
  // A text within a text can hide escapes from the look at the body, so this one is always cleaned.
  if (isJsonObject(parsed) && !(parsed instanceof Error)) return { defaultPayload: cleanObject(parsed) };
  return { defaultPayload: {}, defaultPayloadInvalid: true };
}

/** Which push this is, decided in the order of matrix-push 3. */
function formOf(notification: Notification, device: Device, counts: Counts): MatrixForm {
  if (notification.sealed.ciphertext !== undefined) return "encrypted";
  const { type } = notification.details;
  if (notification.ids.eventId !== undefined && (type === undefined || device.eventIdOnly)) return "minimal";
  if (type !== undefined) return "event";
  return counts.unread !== undefined || counts.missedCalls !== undefined ? "counts" : "nothing";
}

/** The content as this device gets it: what its form does not show is not in it, so no renderer can leak it (case 35). */
export function contentFor(notification: Notification, device: Device): MatrixContent {
  const counts = device.badgeLeftToApp ? {} : notification.counts;
  const form = formOf(notification, device, counts);
  const base = { kind: "matrix", form, data: device.data, ...device.payload, ...counts } as const;
  switch (form) {
    case "encrypted":
      return { ...base, ...notification.sealed };
    case "minimal":
      return { ...base, ...notification.ids };
    case "event":
      return { ...base, ...notification.ids, ...notification.details, ...device.tweaks };
    case "counts":
    case "nothing":
      return base;
  }
}

/**
 * What apps send from their troubleshooting screens: an event's id and none of what a homeserver says beside one
 * (matrix-push 3.1). The id is the same each time, and whoever tests twice must see it twice.
 */
export function isOwnTest(notification: Notification, device: Device, content: MatrixContent): boolean {
  return (
    content.form === "minimal" &&
    device.data["format"] === undefined &&
    !notification.saysPriority &&
    notification.counts.unread === undefined &&
    notification.counts.missedCalls === undefined
  );
}

/** How long the push is worth something. A call counts as one even where its type is not sent on (matrix-push 3.2). */
export function urgencyOf(notification: Notification, content: MatrixContent): Urgency {
  if (content.form === "counts") return "badge";
  if (content.form === "encrypted") return content.isCountsOnly === true ? "badge" : "message";
  const { type, content: event } = notification.details;
  if (type === callInvite) return "call";
  if (type === undefined || !rtcNotifications.includes(type)) return "message";
  return (event?.["notification_type"] ?? event?.["notify_type"]) === "ring" ? "call" : "message";
}
