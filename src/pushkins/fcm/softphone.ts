import type { SoftphoneContent } from "../../core/push.ts";
import { fitText } from "../fit-text.ts";
import { softphoneFields } from "../softphone-fields.ts";
import { utf8Cost } from "../truncate.ts";
import { dataBytes, MAX_DATA_BYTES, type Data } from "./data.ts";
import type { MessageContent } from "./message.ts";

/** A push for a softphone as an FCM message (softphone.md, What is sent on); undefined when it is too large. */
export function renderSoftphone(content: SoftphoneContent): MessageContent | undefined {
  const isShown = content.action === "notice";
  const build = (text: string | undefined): MessageContent => {
    const fields = Object.entries(softphoneFields(content, text));
    const data: Data = new Map(fields.map(([key, value]) => [key, String(value)]));
    return isShown && text !== undefined ? { data, notification: { body: text } } : { data };
  };
  return fitText(content.text, build, bytesOf, {
    maxBytes: MAX_DATA_BYTES,
    copies: isShown ? 2 : 1,
    cost: utf8Cost,
  });
}

/** FCM's limit is on all of it. */
function bytesOf({ data, notification }: MessageContent): number {
  const body = notification?.["body"];
  return dataBytes(data) + (typeof body === "string" ? Buffer.byteLength(body) + "body".length : 0);
}
