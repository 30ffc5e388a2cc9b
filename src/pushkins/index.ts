import type { PushkinType } from "../core/pushkin.ts";
import { apns } from "./apns/index.ts";
import { fcm } from "./fcm/index.ts";
import { unifiedpush } from "./unifiedpush/index.ts";
import { webpush } from "./webpush/index.ts";

/** THE LIST of pushkins: what `apps.<id>.type` can select. */
export const pushkinTypes: readonly PushkinType[] = [apns, fcm, webpush, unifiedpush];
