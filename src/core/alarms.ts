import type { Outcome, UpstreamAnswer } from "./outcome.ts";
import type { HoldReason } from "./guard.ts";

/** What an alarm is called in metrics, and what it tells the operator. */
export interface Alarm {
  readonly alarm: string;
  readonly message: string;
}

/** The alarm that an outcome raises, or none. */
export function alarmOf(outcome: Outcome): Alarm | undefined {
  if (outcome.kind === "retryable" && outcome.alarm === true) {
    if (outcome.reason === "credentials") {
      return {
        alarm: "credentials",
        message: `the upstream refuses this app's credentials, topic or project${said(outcome.answer)}${inBrackets(outcome.detail)}; no pushkey is rejected, check the app's key, topic, project and environment`,
      };
    }
    return {
      alarm: outcome.reason,
      message: `the upstream of this app cannot be reached or answers nothing of use${said(outcome.answer)}${inBrackets(outcome.detail)}; its pushes are tried again`,
    };
  }
  if (outcome.kind === "dropped" && outcome.alarm === true) {
    return {
      alarm: outcome.reason,
      message: `the upstream refused a push for what is in it${said(outcome.answer)}; it was dropped, a repeat would not help`,
    };
  }
  return undefined;
}

/** The alarm for rejections that are held back (D8). */
export function holdAlarm(reason: HoldReason, answer: UpstreamAnswer | undefined): Alarm {
  return reason === "never-succeeded"
    ? {
        alarm: "rejections-held-unproven",
        message: `a token looks dead${said(answer)}, but no push has succeeded with this app's credentials, topic and environment yet: nothing is rejected until one does; check topic, key and platform`,
      }
    : {
        alarm: "rejections-held-mass",
        message: `too many tokens of this app look dead${said(answer)}: nothing is rejected until a push succeeds again; check topic, key and platform`,
      };
}

/** Rejections that are held back although no upstream was asked. */
export const malformedAlarm: Alarm = {
  alarm: "rejections-held-malformed",
  message:
    "too many pushkeys in a row are none that a device of this app can have: nothing is rejected until a push succeeds again; check the app's type, and how its tokens are written",
};

/** Pushes for an app that was configured until lately (C05). */
export const retiredAppAlarm: Alarm = {
  alarm: "app-removed",
  message:
    "pushes arrive for an app that is no longer configured: they are held for 7 days after it was last configured, then its pushkeys are rejected; put the app back, or wait",
};

/** A write to the store failed. */
export const storeAlarm: Alarm = {
  alarm: "store",
  message:
    "the store does not take what should be remembered; pushes go on, rejections and duplicates are forgotten",
};

/** New devices find no room. */
export const registryFullAlarm: Alarm = {
  alarm: "registry-full",
  message:
    "the registry has as many devices as registry.max_devices lets it have: new ones are answered 503, known ones keep their place; raise it, or find out who registers so many",
};

/** A reload met a configuration that cannot be (C12). */
export const reloadAlarm: Alarm = {
  alarm: "reload",
  message:
    "the changed configuration was refused, the gateway goes on with the one it had; `signalbox check` names the problems",
};

/** One of several threads has ended (`workers`). */
export const threadAlarm: Alarm = {
  alarm: "thread-ended",
  message:
    "a thread ended unexpectedly and is started again; what it had promised goes on, the log says what ended it",
};

/** One of several threads is missing (`workers`). */
export const missingThreadAlarm: Alarm = {
  alarm: "thread-missing",
  message:
    "a thread that ended cannot be started again: the others serve on, with less strength; the log says why, and it is tried again",
};

function inBrackets(detail: string | undefined): string {
  return detail === undefined ? "" : ` (${detail})`;
}

function said(answer: UpstreamAnswer | undefined): string {
  if (answer === undefined) return "";
  return answer.reason === undefined ? ` (${answer.status})` : ` (${answer.status} ${answer.reason})`;
}
