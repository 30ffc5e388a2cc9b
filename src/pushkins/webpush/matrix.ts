import { createHash } from "node:crypto";
import type { Dropped } from "../../core/outcome.ts";
import type { MatrixContent } from "../../core/push.ts";
import type { JsonObject } from "../../json.ts";
import { truncateText } from "../truncate.ts";
import { fitDrafts, type Draft } from "../push-service/message.ts";

/** What of an app's settings shapes the payload. */
export interface MatrixRendering {
  readonly countsPushes: boolean;
  readonly maxBytes: number;
}

/** Code points of a message's text (sygnal-compat 12.3). */
const MAX_BODY_CODE_POINTS = 1_000;
/** A longer ciphertext is left out: the app fetches the event by its id. */
const MAX_CIPHERTEXT_CODE_POINTS = 2_000;

const TEXTS = [["content", "body"], ["room_name"], ["sender_display_name"], ["room_alias"]] as const;

/** A Matrix notification as the message of a Web Push (matrix-push 7.3, sygnal-compat 12.3), as JSON text. */
export function renderMatrix(content: MatrixContent, rendering: MatrixRendering): string | Dropped {
  if (content.form === "nothing") return { kind: "dropped", reason: "nothing-to-send" };
  if (content.form === "counts" && !rendering.countsPushes) return { kind: "dropped", reason: "not-wanted" };
  // Exactly `true` and no event, as in Sygnal (case 51).
  if (content.data["events_only"] === true && content.eventId === undefined && content.form !== "encrypted") {
    return { kind: "dropped", reason: "not-wanted" };
  }
  const own = content.defaultPayload;
  const ids = idsAndCounts(content);
  const drafts: readonly (() => Draft)[] = [
    () => ({
      payload: { ...own, ...details(content), ...sealed(content), ...lastFields(content) },
      texts: TEXTS,
    }),
    () => ({
      payload: { ...own, ...details(content), ...sealed(content), ...counts(content) },
      texts: TEXTS,
    }),
    () => ({ payload: { ...own, ...sealed(content), ...ids }, texts: [] }),
    () => ({ payload: { ...sealed(content), ...ids }, texts: [] }),
  ];
  return fitDrafts(drafts, rendering.maxBytes) ?? { kind: "dropped", reason: "too-large" };
}

/** The smallest form of a payload: what a service that finds it too large is offered once more. */
export function leanPayload(body: string): string {
  const payload = JSON.parse(body) as JsonObject;
  const kept = ["room_id", "event_id", "unread", "missed_calls"].filter((key) => Object.hasOwn(payload, key));
  return JSON.stringify(Object.fromEntries(kept.map((key) => [key, payload[key]])));
}

/**
 * What a newer message of the room replaces while the browser is away: 24 hash bytes as base64url are 32 characters,
 * RFC 8030's limit, and a length that Apple can decode (webpush.md 1, G-28).
 */
export function topicOf({ roomId, data }: MatrixContent): string | undefined {
  if (data["only_last_per_room"] !== true || roomId === undefined) return undefined;
  return createHash("sha256").update(roomId).digest().subarray(0, 24).toString("base64url");
}

/** In Sygnal's order, each only when it says something. */
function details(content: MatrixContent): JsonObject {
  return truthy({
    room_id: content.roomId,
    room_name: content.roomName,
    room_alias: content.roomAlias,
    membership: content.membership,
    event_id: content.eventId,
    sender: content.sender,
    sender_display_name: content.senderDisplayName,
    user_is_target: content.userIsTarget,
    type: content.type,
  });
}

/** MSC3013: passed on as it is. */
function sealed({ ciphertext, ephemeral, mac }: MatrixContent): JsonObject {
  return truthy({ ciphertext, ephemeral, mac });
}

function counts({ unread, missedCalls }: MatrixContent): JsonObject {
  return {
    ...(unread === undefined ? {} : { unread }),
    ...(missedCalls === undefined ? {} : { missed_calls: missedCalls }),
  };
}

function idsAndCounts(content: MatrixContent): JsonObject {
  return { ...truthy({ room_id: content.roomId, event_id: content.eventId }), ...counts(content) };
}

/** Counts, and the content without what browsers do not show. */
function lastFields(content: MatrixContent): JsonObject {
  const event = content.content;
  if (event === undefined || Object.keys(event).length === 0) return counts(content);
  const { formatted_body: _html, ciphertext, body, ...rest } = event;
  const isLong = typeof ciphertext === "string" && isLongerThan(ciphertext, MAX_CIPHERTEXT_CODE_POINTS);
  return {
    ...counts(content),
    content: keepOrder(event, {
      ...rest,
      ...(ciphertext === undefined || isLong ? {} : { ciphertext }),
      ...(body === undefined ? {} : { body: typeof body === "string" ? shortBody(body) : body }),
    }),
  };
}

/** The keys as the event has them, so that the payload reads as Sygnal's. */
function keepOrder(order: JsonObject, fields: JsonObject): JsonObject {
  const keys = Object.keys(order).filter((key) => Object.hasOwn(fields, key));
  return Object.fromEntries(keys.map((key) => [key, fields[key] ?? null]));
}

/** 999 code points and `…` when there are more than 1,000: each is counted as much as the `…` itself. */
function shortBody(body: string): string {
  return truncateText(body, 3 * MAX_BODY_CODE_POINTS, () => 3);
}

/** Whether there are more code points than that; looks no further. */
function isLongerThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  let count = 0;
  for (const _character of text) {
    count += 1;
    if (count > limit) return true;
  }
  return false;
}

function truthy(fields: Readonly<Record<string, string | boolean | undefined>>): JsonObject {
  const kept: Record<string, string | boolean> = {};
  for (const [key, value] of Object.entries(fields))
    if (value !== undefined && value !== "" && value !== false) kept[key] = value;
  return kept;
}
