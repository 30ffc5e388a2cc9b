import type { Static } from "@sinclair/typebox";
import { Type } from "../../json-schema.ts";
import { appOptions } from "../app-options.ts";
import {
  checkService,
  contactWarnings,
  serviceOptions,
  vapidContactOption,
  vapidKeyOption,
} from "../push-service/config.ts";

/** An app of `type: unifiedpush`. */
export const UnifiedPushConfig = Type.Object(
  {
    type: Type.Literal("unifiedpush"),
    vapid_private_key: Type.Optional(vapidKeyOption),
    vapid_contact_email: Type.Optional(vapidContactOption),
    ttl: Type.Integer({
      default: 86_400,
      minimum: 0,
      description: "Seconds that a push server keeps a message for a phone that is away, at the most.",
    }),
    ...serviceOptions,
    ...appOptions,
  },
  { description: "Apps that get their pushes from a UnifiedPush distributor." },
);

export type UnifiedPushOptions = Static<typeof UnifiedPushConfig>;

/** What the schema cannot say, as `option: sentence`. */
export async function checkUnifiedPush(config: UnifiedPushOptions): Promise<readonly string[]> {
  const problems = [...(await checkService(config))];
  if (config.vapid_private_key !== undefined && config.vapid_contact_email === undefined) {
    problems.push("vapid_contact_email: is missing; `vapid_private_key` needs it");
  }
  if (config.vapid_private_key === undefined && config.vapid_contact_email !== undefined) {
    problems.push("vapid_private_key: is missing; `vapid_contact_email` needs it");
  }
  return problems;
}

/** What works and will disappoint. */
export function unifiedPushWarnings(config: UnifiedPushOptions): readonly string[] {
  return contactWarnings(config.vapid_contact_email);
}
