import type { Dropped, Rejected } from "../../core/outcome.ts";
import type { MatrixContent, Push } from "../../core/push.ts";
import type { JsonObject } from "../../json.ts";
import { truncateText } from "../truncate.ts";
import {
  contentTexts,
  fitData,
  flattenDefaultPayload,
  MAX_FIELD_BYTES,
  setSealed,
  type Data,
  type Layout,
} from "./data.ts";
import { hedwigData } from "./matrix-hedwig.ts";

/** What of an app's settings shapes the data. */
export interface MatrixRendering {
  /** Put counts into the data (sygnal-compat 4.2). */
  readonly sendBadgeCounts: boolean;
  /** Send pushes that carry counts alone; Element's Android apps drop them (matrix-push 7.2). */
  readonly countsPushes: boolean;
  readonly layout: "sygnal" | "hedwig";
}

/** A Matrix notification as the data of an FCM message (matrix-push 7.2, sygnal-compat 11.3). */
export function renderMatrix(
  push: Push,
  content: MatrixContent,
  rendering: MatrixRendering,
): Data | Rejected | Dropped {
  if (content.defaultPayloadInvalid === true) return { kind: "rejected", reason: "invalid-pushkey" };
  if (content.form === "nothing") return { kind: "dropped", reason: "nothing-to-send" };
  if (content.form === "counts" && !(rendering.countsPushes && rendering.sendBadgeCounts)) {
    return { kind: "dropped", reason: "not-wanted" };
  }
  if (content.form === "event" && isEmpty(content, rendering))
    return { kind: "dropped", reason: "nothing-to-send" };
  const layout = rendering.layout === "hedwig" ? hedwigData : sygnalData;
  const own = flattenDefaultPayload(content.defaultPayload, content.content !== undefined);
  const full = layout(own, push, content, rendering);
  const fitted = fitData(full.data, full.texts);
  if (fitted !== undefined) return fitted;
  // Shortening was not enough: ids and counts without the app's own keys and without texts (matrix-push case 33).
  const lean = layout(new Map(), push, { ...content, data: leanData(content.data) }, rendering);
  for (const key of lean.optional) lean.data.delete(key);
  return fitData(lean.data, []) ?? { kind: "dropped", reason: "too-large" };
}

/** Only a type, no id and no count: there is nothing an app could do with it (sygnal-compat 11.3, step 6). */
function isEmpty(content: MatrixContent, rendering: MatrixRendering): boolean {
  const own = content.defaultPayload;
  const hasId = [content.roomId, content.eventId, own["room_id"], own["event_id"]].some(
    (id) => id !== undefined && id !== "" && id !== null,
  );
  const counts = rendering.sendBadgeCounts ? (content.unread ?? 0) + (content.missedCalls ?? 0) : 0;
  return !hasId && counts === 0;
}

/** Sygnal's layout: fields flat, the content's texts as `content_<key>`. */
function sygnalData(data: Data, push: Push, content: MatrixContent, rendering: MatrixRendering): Layout {
  const texts = ["room_name", "room_alias", "sender_display_name"];
  for (const [key, value] of eventFields(content)) {
    if (value !== undefined) data.set(key, truncateText(value, MAX_FIELD_BYTES));
  }
  for (const [key, text] of contentTexts(content.content ?? {})) {
    data.set(key, text);
    texts.push(key);
  }
  setSealed(data, content);
  data.set("prio", push.priority === "low" ? "normal" : "high");
  if (!rendering.sendBadgeCounts) return { data, texts, optional: texts };
  // A zero clears: worth a message of its own (case 43), but beside an event Sygnal has always left it out.
  const alone = content.form === "counts" || content.isCountsOnly === true;
  for (const [key, count] of [
    ["unread", content.unread] as const,
    ["missed_calls", content.missedCalls] as const,
  ]) {
    if (count !== undefined && (count > 0 || alone)) data.set(key, String(count));
  }
  return { data, texts, optional: texts };
}

/** The few keys of the pusher's data by which apps tell their accounts apart (matrix-push 7.2). */
function leanData(data: JsonObject): JsonObject {
  return Object.fromEntries(
    ["client_name", "data_message", "format"].flatMap((key) => {
      const value = data[key];
      return typeof value === "string" ? [[key, truncateText(value, 256)]] : [];
    }),
  );
}

/** The event's flat fields. */
function eventFields(content: MatrixContent): readonly (readonly [string, string | undefined])[] {
  return [
    ["event_id", content.eventId],
    ["type", content.type],
    ["sender", content.sender],
    ["room_name", content.roomName],
    ["room_alias", content.roomAlias],
    ["membership", content.membership],
    ["sender_display_name", content.senderDisplayName],
    ["room_id", content.roomId],
  ];
}
