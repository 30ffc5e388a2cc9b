import type { SoftphoneAction, SoftphoneContent } from "../core/push.ts";

/** The verbs by which apps know what to do (softphone.md, send). */
const VERBS: Readonly<Record<SoftphoneAction, string>> = {
  message: "NotifyTextMessage",
  notice: "NotifyGenericTextMessage",
  reprovision: "NotifyReprovision",
};

/** What the app itself reads beside what its system shows, under the names of the API (softphone.md, What is sent on). */
export function softphoneFields(
  content: SoftphoneContent,
  text: string | undefined,
): Readonly<Record<string, string | number>> {
  const { selector, messageId, userName, userDisplayName, contentType, threadId, badge } = content;
  return {
    verb: VERBS[content.action],
    ...(selector === undefined ? {} : { Selector: selector }),
    ...(messageId === undefined ? {} : { Id: messageId }),
    ...(userName === undefined ? {} : { UserName: userName }),
    ...(userDisplayName === undefined ? {} : { UserDisplayName: userDisplayName }),
    ...(contentType === undefined ? {} : { ContentType: contentType }),
    ...(threadId === undefined ? {} : { ThreadId: threadId }),
    ...(text === undefined ? {} : { Message: text }),
    ...(badge === undefined ? {} : { Badge: badge }),
  };
}
