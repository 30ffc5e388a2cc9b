import type { MatrixContent, Push } from "../../core/push.ts";
import type { JsonObject } from "../../json.ts";
import { truncateText } from "../truncate.ts";
import { MAX_FIELD_BYTES, setSealed, type Data, type Layout } from "./data.ts";

/**
 * The layout that the Matrix Dart SDK reads (matrix-push 7.2): the request's own names, with `counts`, `content` and
 * `devices` as JSON text. `devices` must be there, with the one device.
 */
export function hedwigData(
  data: Data,
  push: Push,
  content: MatrixContent,
  rendering: { readonly sendBadgeCounts: boolean },
): Layout {
  const texts: readonly (readonly [string, string | undefined])[] = [
    ["sender_display_name", content.senderDisplayName],
    ["room_name", content.roomName],
    ["room_alias", content.roomAlias],
  ];
  const fields: readonly (readonly [string, string | undefined])[] = [
    ["event_id", content.eventId],
    ["room_id", content.roomId],
    ["type", content.type],
    ["sender", content.sender],
    ["membership", content.membership],
    ...texts,
  ];
  for (const [key, value] of fields)
    if (value !== undefined) data.set(key, truncateText(value, MAX_FIELD_BYTES));
  setSealed(data, content);
  data.set("prio", push.priority);
  if (rendering.sendBadgeCounts && (content.unread !== undefined || content.missedCalls !== undefined)) {
    data.set("counts", JSON.stringify({ unread: content.unread, missed_calls: content.missedCalls }));
  }
  if (content.userIsTarget !== undefined) data.set("user_is_target", String(content.userIsTarget));
  if (content.content !== undefined) data.set("content", contentText(content.content));
  data.set("devices", deviceText(push, content));
  const names = texts.map(([key]) => key);
  return { data, texts: names, optional: [...names, "content"] };
}

/** What is longer than a field may be keeps its kind and a shortened body: cut JSON text would be no JSON. */
function contentText(content: JsonObject): string {
  let text = contentTexts.get(content);
  if (text === undefined) {
    text = JSON.stringify(content);
    if (Buffer.byteLength(text) > MAX_FIELD_BYTES * 2) {
      const { msgtype, body } = content;
      text = JSON.stringify({
        ...(typeof msgtype === "string" ? { msgtype: truncateText(msgtype, 128) } : {}),
        ...(typeof body === "string" ? { body: truncateText(body, MAX_FIELD_BYTES) } : {}),
      });
    }
    contentTexts.set(content, text);
  }
  return text;
}

/** The devices of one request share its content: a large one is made text once, not once per device. */
const contentTexts = new WeakMap<JsonObject, string>();

function deviceText(push: Push, content: MatrixContent): string {
  // The app's own keys are in the data already; a second copy would only fill it up.
  const { default_payload: _own, ...data } = content.data;
  return JSON.stringify([
    {
      app_id: push.appId,
      pushkey: push.pushkey,
      ...(push.pushkeyTsMs === undefined ? {} : { pushkey_ts: Math.floor(push.pushkeyTsMs / 1_000) }),
      data,
      tweaks: {
        ...(content.sound === undefined ? {} : { sound: content.sound }),
        ...(content.highlight === undefined ? {} : { highlight: content.highlight }),
      },
    },
  ]);
}
