import type { Dropped, Rejected } from "../../core/outcome.ts";
import type { MatrixContent } from "../../core/push.ts";
import { isJsonObject, type JsonObject } from "../../json.ts";
import { alertText, type AlertText } from "./alert-text.ts";
import type { Payloads } from "./payload.ts";

/** What of an app's settings shapes a payload. */
export interface MatrixRendering {
  /** Put counts into payloads (sygnal-compat 4.1). */
  readonly sendBadgeCounts: boolean;
  /** Send pushes that carry counts alone. */
  readonly countsPushes: boolean;
}

/** A shown text for an app that has none of its own; Element's apps know this key (matrix-push 7.1). */
const UNREADABLE_ALERT: JsonObject = { "loc-key": "Notification", "loc-args": [] };

/** A Matrix notification as the payload for APNs (matrix-push 7.1, sygnal-compat 10.3). */
export function renderMatrix(
  content: MatrixContent,
  rendering: MatrixRendering,
): Payloads | Rejected | Dropped {
  if (content.defaultPayloadInvalid === true) return { kind: "rejected", reason: "invalid-pushkey" };
  const badge = badgeOf(content, rendering);
  switch (content.form) {
    case "nothing":
      return { kind: "dropped", reason: "nothing-to-send" };
    case "counts":
      // Not the default payload: with its alert and `mutable-content` the app's extension would find no event and
      // show a bare "Notification" (matrix-push 7.1).
      if (badge === undefined || !rendering.countsPushes) return { kind: "dropped", reason: "not-wanted" };
      return [() => ({ aps: { badge } })];
    case "minimal":
      return withAndWithoutBase(content, (base) => minimalPayload(base, content, rendering));
    case "event": {
      const text = alertText(content);
      if (text === undefined && badge === undefined) return { kind: "dropped", reason: "nothing-to-send" };
      return withAndWithoutBase(content, (base) => eventPayload(base, content, text, badge));
    }
    case "encrypted":
      return withAndWithoutBase(content, (base) => encryptedPayload(base, content, rendering));
  }
}

/** The app's own keys, and what it needs to fetch the event. `aps` stays as the app wrote it; the badge is its own. */
function minimalPayload(base: JsonObject, content: MatrixContent, rendering: MatrixRendering): JsonObject {
  return { ...base, ...ids(content), ...countKeys(content, rendering) };
}

function eventPayload(
  base: JsonObject,
  content: MatrixContent,
  text: AlertText | undefined,
  badge: number | undefined,
): JsonObject {
  const aps = isJsonObject(base["aps"]) ? base["aps"] : {};
  const alert = isJsonObject(aps["alert"]) ? aps["alert"] : {};
  return {
    ...base,
    aps: {
      ...aps,
      ...(text === undefined
        ? {}
        : { alert: { ...alert, "loc-key": text.locKey, "loc-args": text.locArgs } }),
      ...(badge === undefined ? {} : { badge }),
    },
    ...(text === undefined ? {} : ids(content)),
  };
}

/** MSC3013 (matrix-push 8): the three strings go to the app's extension, or wake the app when only counts are in them. */
function encryptedPayload(base: JsonObject, content: MatrixContent, rendering: MatrixRendering): JsonObject {
  const own = isJsonObject(base["aps"]) ? base["aps"] : {};
  const badge = badgeOf(content, rendering);
  const aps =
    content.isCountsOnly === true
      ? { "content-available": 1 }
      : {
          ...own,
          alert: own["alert"] ?? UNREADABLE_ALERT,
          "mutable-content": 1,
          ...(badge === undefined ? {} : { badge }),
        };
  return {
    ...base,
    aps,
    ...(content.ciphertext === undefined ? {} : { ciphertext: content.ciphertext }),
    ...(content.ephemeral === undefined ? {} : { ephemeral: content.ephemeral }),
    ...(content.mac === undefined ? {} : { mac: content.mac }),
    ...countKeys(content, rendering),
  };
}

/** When shortening texts is not enough the app's own keys go too (matrix-push case 33). */
function withAndWithoutBase(content: MatrixContent, build: (base: JsonObject) => JsonObject): Payloads {
  return [() => build(content.defaultPayload), () => build({})];
}

function ids(content: MatrixContent): JsonObject {
  return {
    ...(content.roomId === undefined ? {} : { room_id: content.roomId }),
    ...(content.eventId === undefined ? {} : { event_id: content.eventId }),
  };
}

function countKeys(content: MatrixContent, rendering: MatrixRendering): JsonObject {
  if (!rendering.sendBadgeCounts) return {};
  return {
    ...(content.unread === undefined ? {} : { unread_count: content.unread }),
    ...(content.missedCalls === undefined ? {} : { missed_calls: content.missedCalls }),
  };
}

function badgeOf(content: MatrixContent, rendering: MatrixRendering): number | undefined {
  const { unread, missedCalls } = content;
  if (!rendering.sendBadgeCounts || (unread === undefined && missedCalls === undefined)) return undefined;
  return (unread ?? 0) + (missedCalls ?? 0);
}
