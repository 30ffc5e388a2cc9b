import type { Priority } from "../../core/push.ts";
import { isJsonObject, type JsonObject } from "../../json.ts";
import type { Data } from "./data.ts";

/** fcm.md 2: 28 days. */
const MAX_TTL_SECONDS = 2_419_200;

/** What a renderer puts into a message. */
export interface MessageContent {
  readonly data: Data;
  /** What Android shows by itself; absent = the app decides (fcm.md 2). */
  readonly notification?: JsonObject;
}

/** The end of every body made here: what comes with the time of sending goes between `android`'s last field and it. */
const END = "}}}";

/**
 * An FCM message without its time to live, as JSON (fcm.md 2, sygnal-compat 11.2): the app's `fcm_options` with the
 * push's data, token and priority. A copy each time, so that no push's priority leaks into another's (G-08).
 */
export function messageBody(
  base: JsonObject,
  { data, notification }: MessageContent,
  token: string,
  priority: Priority,
): string {
  const { android, ...rest } = base;
  const { ttl: _configured, priority: _overruled, ...own } = isJsonObject(android) ? android : {};
  return JSON.stringify({
    message: {
      ...rest,
      ...(notification === undefined
        ? {}
        : {
            notification: {
              ...(isJsonObject(rest["notification"]) ? rest["notification"] : {}),
              ...notification,
            },
          }),
      token,
      data: Object.fromEntries(data),
      // Last, and never empty: `withTtl` relies on both.
      android: { ...own, priority: priority === "low" ? "normal" : "high" },
    },
  });
}

/** The body with `android.ttl`: what remains of the push's life, or less when the app says so (design, Settled points). */
export function withTtl(
  body: string,
  remainingSeconds: number,
  configuredSeconds: number | undefined,
): string {
  const seconds = Math.max(
    0,
    Math.min(remainingSeconds, configuredSeconds ?? MAX_TTL_SECONDS, MAX_TTL_SECONDS),
  );
  return `${body.slice(0, -END.length)},"ttl":"${seconds}s"${END}`;
}

/** `fcm_options.android.ttl` in whole seconds; undefined when it is absent or no duration of Google's. */
export function configuredTtlSeconds(base: JsonObject): number | undefined {
  const ttl = isJsonObject(base["android"]) ? base["android"]["ttl"] : undefined;
  const match = typeof ttl === "string" ? /^(\d{1,8})(?:\.\d{1,9})?s$/.exec(ttl) : null;
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
