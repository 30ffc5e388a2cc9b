import type { ApiKeys } from "../../http/auth.ts";
import { pushDoor, pushRoute, type FrontDoor } from "../../http/door.ts";
import { answerForm, answerMultisend, answerSend, refuseForm, refuseJson } from "./answer.ts";
import { parseForm, parseMultisend, parseSend, type SoftphoneParsing } from "./parse.ts";

/** An object has ten attributes, and may have some that are ignored. */
const keysPerPush = 40;

/** What the door is made of. */
export interface SoftphoneDoorOptions extends SoftphoneParsing {
  readonly path: string;
  /** Absent: everybody may send. */
  readonly keys?: ApiKeys;
}

/** The push API of SIP softphones: one push, a list of pushes, and the legacy form. */
export function softphoneDoor(options: SoftphoneDoorOptions): FrontDoor {
  const common = {
    isRepeatable: true,
    ...(options.keys === undefined ? {} : { keys: options.keys }),
  } as const;
  const json = { ...common, body: "json", refuse: refuseJson } as const;
  return pushDoor("softphone", [
    pushRoute({
      ...json,
      path: `${options.path}/send`,
      parse: (body, context) => parseSend(body, context, options),
      answer: answerSend,
    }),
    pushRoute({
      ...json,
      path: `${options.path}/multisend`,
      maxKeys: Math.max(20_000, options.maxMultisend * keysPerPush),
      parse: (body, context) => parseMultisend(body, context, options),
      answer: answerMultisend,
    }),
    pushRoute({
      ...common,
      path: options.path,
      body: "form",
      refuse: refuseForm,
      parse: (body, context) => parseForm(body, context, options),
      answer: answerForm,
    }),
  ]);
}
