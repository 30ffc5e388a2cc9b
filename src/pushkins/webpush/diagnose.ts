import type { Diagnosis } from "../../core/diagnosis.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import { diagnoseBrowserServices, vapidLine } from "../push-service/diagnose.ts";
import type { WebPushOptions } from "./config.ts";

/** The VAPID key, and the way to the browsers' push services. */
export async function diagnoseWebPush(
  _name: string,
  config: WebPushOptions,
  deps: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  return [await vapidLine(config.vapid_private_key), ...(await diagnoseBrowserServices(config, deps))];
}
