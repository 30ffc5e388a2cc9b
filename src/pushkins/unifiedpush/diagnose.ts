import type { Diagnosis } from "../../core/diagnosis.ts";
import type { PushkinDeps } from "../../core/pushkin.ts";
import { diagnoseService, endpointsOfOthers, vapidLine } from "../push-service/diagnose.ts";
import type { UnifiedPushOptions } from "./config.ts";

/** The VAPID key, when there is one, and the `endpoint` that stands for all; each phone's own server is its matter. */
export async function diagnoseUnifiedPush(
  _name: string,
  config: UnifiedPushOptions,
  deps: PushkinDeps,
): Promise<readonly Diagnosis[]> {
  const key = config.vapid_private_key;
  return [
    ...(key === undefined ? [] : [await vapidLine(key)]),
    ...(config.endpoint === undefined
      ? [endpointsOfOthers("phones")]
      : await diagnoseService(config.endpoint, config, deps)),
  ];
}
