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

/** An app of `type: webpush` (sygnal-compat 4.3, and this project's own options). */
export const WebPushConfig = Type.Object(
  {
    type: Type.Literal("webpush"),
    vapid_private_key: vapidKeyOption,
    vapid_contact_email: vapidContactOption,
    ttl: Type.Integer({
      default: 900,
      minimum: 0,
      description: "Seconds that a push service keeps a message for a browser that is away, at the most.",
    }),
    ...serviceOptions,
    ...appOptions,
  },
  { description: "A web app, by its browser's push service." },
);

export type WebPushOptions = Static<typeof WebPushConfig>;

/** What the schema cannot say, as `option: sentence`. */
export function checkWebPush(config: WebPushOptions): Promise<readonly string[]> {
  return checkService(config);
}

/** What works and will disappoint. */
export function webPushWarnings(config: WebPushOptions): readonly string[] {
  return contactWarnings(config.vapid_contact_email);
}
