import type { MatrixContent } from "../../core/push.ts";
import { isJsonObject, type JsonValue } from "../../json.ts";
import { truncateText } from "../truncate.ts";

/** A text that the app has in its own language, and what goes into it. */
export interface AlertText {
  readonly locKey: string;
  readonly locArgs: readonly string[];
}

/** No longer text can be kept in a payload, so the rest of it need not be carried through every step. */
const MAX_BODY_BYTES = 8_192;
/** Names longer than this are cut before anything else (sygnal-compat 10.4). Code points. */
const MAX_NAME_LENGTH = 1024;

/**
 * What the alert says: the twelve keys that existing apps have built in, with the order of their arguments
 * (sygnal-compat 10.4). Undefined when there is nothing to say, so that only the badge goes out.
 */
export function alertText(content: MatrixContent): AlertText | undefined {
  if (content.type === undefined) return undefined;
  const sender = cutName(senderName(content));
  const room = roomName(content);
  switch (content.type) {
    case "m.room.message":
    case "m.room.encrypted":
      return messageText(content.content, sender, room);
    case "m.call.invite":
      return {
        locKey: isVideoCall(content) ? "VIDEO_CALL_FROM_USER" : "VOICE_CALL_FROM_USER",
        locArgs: [sender],
      };
    case "m.room.member":
      if (!isInvite(content)) return undefined;
      return room === undefined
        ? { locKey: "USER_INVITE_TO_CHAT", locArgs: [sender] }
        : { locKey: "USER_INVITE_TO_NAMED_ROOM", locArgs: [sender, room] };
    default:
      return { locKey: "MSG_FROM_USER", locArgs: [sender] };
  }
}

function messageText(content: MatrixContent["content"], sender: string, room: string | undefined): AlertText {
  const msgtype = asText(content?.["msgtype"]);
  const wholeBody = asText(content?.["body"]);
  const body = wholeBody === undefined ? undefined : truncateText(wholeBody, MAX_BODY_BYTES);
  if (msgtype === "m.image" && body !== undefined) {
    return room === undefined
      ? { locKey: "IMAGE_FROM_USER", locArgs: [sender, body] }
      : { locKey: "IMAGE_FROM_USER_IN_ROOM", locArgs: [sender, body, room] };
  }
  // An empty or missing body is text without content (matrix-push case 48).
  if (content?.["msgtype"] === undefined || body === undefined || body === "") {
    return room === undefined
      ? { locKey: "MSG_FROM_USER", locArgs: [sender] }
      : { locKey: "MSG_FROM_USER_IN_ROOM", locArgs: [sender, room] };
  }
  if (msgtype === "m.emote") {
    return room === undefined
      ? { locKey: "ACTION_FROM_USER", locArgs: [sender, body] }
      : { locKey: "ACTION_FROM_USER_IN_ROOM", locArgs: [room, sender, body] };
  }
  return room === undefined
    ? { locKey: "MSG_FROM_USER_WITH_CONTENT", locArgs: [sender, body] }
    : { locKey: "MSG_FROM_USER_IN_ROOM_WITH_CONTENT", locArgs: [sender, room, body] };
}

/** matrix-push 3.3: `user_is_target` is unknown when absent, not false. */
function isInvite(content: MatrixContent): boolean {
  return content.membership === "invite" && content.userIsTarget !== false;
}

/** matrix-push 3.2; an offer that is not an object is a voice call (case 49). */
function isVideoCall(content: MatrixContent): boolean {
  const offer = content.content?.["offer"];
  const sdp = isJsonObject(offer) ? asText(offer["sdp"]) : undefined;
  return sdp?.includes("m=video") ?? false;
}

function senderName(content: MatrixContent): string {
  const { sender, senderDisplayName } = content;
  if (
    (sender === undefined || sender === "") &&
    (senderDisplayName === undefined || senderDisplayName === "")
  )
    return " ";
  return senderDisplayName ?? sender ?? " ";
}

function roomName(content: MatrixContent): string | undefined {
  const name = [content.roomName, content.roomAlias].find((each) => each !== undefined && each !== "");
  return name === undefined ? undefined : cutName(name);
}

function cutName(name: string): string {
  if (name.length <= MAX_NAME_LENGTH) return name;
  // Twice as many UTF-16 units surely hold that many code points; the rest need not be taken apart.
  const head = Array.from(name.slice(0, MAX_NAME_LENGTH * 2));
  return head.slice(0, MAX_NAME_LENGTH).join("");
}

function asText(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
