import type { Static } from "@sinclair/typebox";
import { doorKeys, doorPath } from "../../config/fields.ts";
import type { Finding } from "../../config/problem.ts";
import { Type } from "../../json-schema.ts";

/** `softphone`: the push API of SIP softphones. */
export const SoftphoneConfig = Type.Object(
  {
    path: doorPath({
      default: "/pnm2",
      description: "Where forms are posted; /send and /multisend below it.",
    }),
    api_keys: doorKeys({ description: "Who may send: Bearer or X-Api-Key." }),
    allow_anonymous: Type.Boolean({
      default: false,
      description: "Everybody may send who knows a token, as with the hosted service.",
    }),
    silent_content_types: Type.Unsafe<string[]>(
      Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
        default: ["message/imdn+xml", "application/im-iscomposing+xml"],
        maxItems: 100,
        description: "Messages of these types wake the app and show nothing.",
      }),
    ),
  },
  { additionalProperties: false, description: "The push API of SIP softphones. Absent: closed." },
);

export type SoftphoneSettings = Static<typeof SoftphoneConfig>;

/** What the schema cannot say: a door without keys is opened knowingly. */
export function checkSoftphone(softphone: SoftphoneSettings): readonly Finding[] {
  const { allow_anonymous: isOpen, api_keys: keys } = softphone;
  if (keys.length > 0 && isOpen) {
    return [
      { path: ["softphone", "allow_anonymous"], message: "makes api_keys useless; leave one of them out" },
    ];
  }
  if (keys.length > 0 || isOpen) return [];
  const message = "is missing: nobody could send; give keys, or allow_anonymous: true";
  return [{ path: ["softphone", "api_keys"], message }];
}
