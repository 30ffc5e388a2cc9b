import type { SoftphoneContent } from "../../core/push.ts";
import type { JsonObject } from "../../json.ts";
import { fitText } from "../fit-text.ts";
import { softphoneFields } from "../softphone-fields.ts";
import { jsonCost } from "../truncate.ts";

/** A push for a softphone as the payload for APNs (softphone.md, What is sent on); undefined when it is too large. */
export function renderSoftphone(content: SoftphoneContent, maxBytes: number): string | undefined {
  const aps = content.isSilent ? silentAps : shownAps;
  const build = (text: string | undefined): string =>
    JSON.stringify({ aps: aps(content, text), ...softphoneFields(content, text) });
  return fitText(content.text, build, (body) => Buffer.byteLength(body), {
    maxBytes,
    // A text that is shown stands in the alert and among the app's own fields.
    copies: content.isSilent ? 1 : 2,
    cost: jsonCost,
  });
}

/** Wakes the app; a badge may go with it. */
function silentAps({ badge }: SoftphoneContent): JsonObject {
  return { "content-available": 1, ...(badge === undefined ? {} : { badge }) };
}

function shownAps(content: SoftphoneContent, text: string | undefined): JsonObject {
  const sound = content.sound === undefined || content.sound === "" ? {} : { sound: content.sound };
  const body = text === undefined ? {} : { body: text };
  if (content.action === "notice") return { alert: body, ...sound };
  const title = content.userDisplayName ?? content.userName;
  return {
    alert: { ...(title === undefined ? {} : { title }), ...body },
    ...(content.badge === undefined ? {} : { badge: content.badge }),
    ...sound,
    ...(content.threadId === undefined ? {} : { "thread-id": content.threadId }),
    // The app fetches the message meanwhile, and its extension may put the message's text in place of the preview.
    "content-available": 1,
    "mutable-content": 1,
  };
}
