import type { Dropped } from "../../core/outcome.ts";
import type { MatrixContent, Priority } from "../../core/push.ts";
import type { JsonObject, JsonValue } from "../../json.ts";
import { fitDrafts, type Draft } from "../push-service/message.ts";

/** What of an app's settings, and of the endpoint, shapes the message. */
export interface MatrixRendering {
  readonly countsPushes: boolean;
  readonly maxBytes: number;
}

const TEXTS = [
  ["notification", "content", "body"],
  ["notification", "room_name"],
  ["notification", "sender_display_name"],
  ["notification", "room_alias"],
] as const;

/**
 * A Matrix notification as UnifiedPush apps read it: the homeserver's request itself, `{"notification": {…}}`, without
 * `devices` (matrix-push 7.4), as JSON text. What is too long loses texts first, then the content, then all but ids
 * and counts; it is never cut.
 */
export function renderMatrix(
  content: MatrixContent,
  priority: Priority,
  rendering: MatrixRendering,
): string | Dropped {
  if (content.form === "nothing") return { kind: "dropped", reason: "nothing-to-send" };
  if (content.form === "counts" && !rendering.countsPushes) return { kind: "dropped", reason: "not-wanted" };
  const ids = present({ event_id: content.eventId, room_id: content.roomId });
  const sealed = present({ ciphertext: content.ciphertext, ephemeral: content.ephemeral, mac: content.mac });
  const last = { ...sealed, ...present({ prio: priority, counts: counts(content) }) };
  const full = { ...ids, ...details(content), ...last };
  const drafts: readonly (() => Draft)[] = [
    () => draft({ ...full, ...(content.content === undefined ? {} : { content: content.content }) }),
    () => draft(full),
    () => draft({ ...ids, ...last }),
  ];
  return fitDrafts(drafts, rendering.maxBytes) ?? { kind: "dropped", reason: "too-large" };
}

/** The smallest form of a message: ids, counts and priority. */
export function leanMessage(body: string): string {
  const notification = (JSON.parse(body) as { readonly notification: JsonObject }).notification;
  const kept = ["event_id", "room_id", "prio", "counts"].filter((key) => Object.hasOwn(notification, key));
  return JSON.stringify({ notification: Object.fromEntries(kept.map((key) => [key, notification[key]])) });
}

function draft(notification: JsonObject): Draft {
  return { payload: { notification }, texts: TEXTS };
}

function details(content: MatrixContent): JsonObject {
  return present({
    type: content.type,
    sender: content.sender,
    sender_display_name: content.senderDisplayName,
    room_name: content.roomName,
    room_alias: content.roomAlias,
    membership: content.membership,
    user_is_target: content.userIsTarget,
  });
}

function counts({ unread, missedCalls }: MatrixContent): JsonObject | undefined {
  const known = present({ unread, missed_calls: missedCalls });
  return Object.keys(known).length === 0 ? undefined : known;
}

function present(fields: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const kept: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) kept[key] = value;
  return kept;
}
