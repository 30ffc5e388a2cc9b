import type { Clock } from "./clock.ts";
import type { AlarmEvent, Observer, SettledEvent } from "./core/observer.ts";
import { silentObserver } from "./core/observer.ts";
import { silentHttpObserver, type HttpObserver } from "./http/observer.ts";
import { accessMessage, type Log, type LogFields } from "./log.ts";

/** The same alarm of the same app is logged once in this time. */
const alarmEveryMs = 60_000;
/** Alarms told apart; apps come from the configuration and alarms from closed lists, so this is a last bound. */
const maxAlarms = 10_000;
/** Hex digits of a device's digest in a line: enough to follow one device, too few to tell its pushkey. */
const deviceDigits = 8;

/** Who looks at a line looks for these paths rarely. */
const quietPaths: ReadonlySet<string> = new Set(["/health"]);

/**
 * Logs what the core tells: pushes at debug, rejections at info (of an unknown app at warn), alarms at error. Never a pushkey or content (D14,
 * sygnal-gaps G-44).
 */
export function createLogObserver(log: Log, clock: Clock): Observer {
  const told = new Map<string, { atMs: number; suppressed: number }>();
  return {
    ...silentObserver,
    settled(event) {
      if (event.settled.kind === "rejected") {
        // The app_id that nobody serves is a mistake of somebody's, a dead token is not (sygnal-compat 14).
        if (event.settled.reason === "unknown-app") log.warn("push rejected", settledFields(event));
        else log.info("push rejected", settledFields(event));
      } else log.debug(`push ${event.settled.kind}`, () => settledFields(event));
    },
    concluded({ app, pushkin, device, outcome, attempts }) {
      const fields: LogFields = {
        app,
        pushkin,
        device: device.slice(0, deviceDigits),
        outcome: outcome.kind,
        ...("reason" in outcome ? { reason: outcome.reason } : {}),
        ...(outcome.answer === undefined ? {} : { status: outcome.answer.status }),
        attempt: attempts,
      };
      if (outcome.kind === "delivered") log.debug("promised push delivered", fields);
      else log.info(`promised push ${outcome.kind}`, fields);
    },
    superseded({ app, pushkin, device, attempts }) {
      log.debug("promised push superseded", () => ({
        app,
        pushkin,
        device: device.slice(0, deviceDigits),
        attempt: attempts,
      }));
    },
    alarm(event) {
      const key = JSON.stringify([event.app, event.alarm]);
      const nowMs = clock.monotonic();
      const last = told.get(key);
      if (last !== undefined && nowMs - last.atMs < alarmEveryMs) {
        last.suppressed += 1;
        return;
      }
      if (told.size >= maxAlarms && last === undefined) told.clear();
      told.set(key, { atMs: nowMs, suppressed: 0 });
      log.error(event.message, alarmFields(event, last?.suppressed ?? 0));
    },
  };
}

/** The access log: one line for each request when it ends, health checks at debug (sygnal-compat 14). */
export function createAccessLogObserver(log: Log): HttpObserver {
  return {
    ...silentHttpObserver,
    accessed({ requestId, remote, method, path, httpVersion, status, bytes, durationMs }) {
      const fields: LogFields = {
        request_id: requestId,
        remote,
        method,
        ...(path === undefined ? {} : { path }),
        http_version: httpVersion,
        status,
        bytes,
        duration_ms: Math.round(durationMs),
      };
      if (path !== undefined && quietPaths.has(path)) log.debug(accessMessage, fields);
      else log.info(accessMessage, fields);
    },
    unreadable: (status) => log.debug("no complete HTTP request", { status }),
  };
}

function settledFields({ app, pushkin, device, settled, durationMs, attempts }: SettledEvent): LogFields {
  return {
    ...(app === undefined ? {} : { app }),
    ...(pushkin === undefined ? {} : { pushkin }),
    ...(device === "" ? {} : { device: device.slice(0, deviceDigits) }),
    outcome: settled.kind,
    ...("reason" in settled ? { reason: settled.reason } : {}),
    ...("answer" in settled && settled.answer !== undefined ? { status: settled.answer.status } : {}),
    attempt: attempts,
    duration_ms: Math.round(durationMs),
  };
}

function alarmFields({ app, alarm }: AlarmEvent, suppressed: number): LogFields {
  return {
    ...(app === undefined ? {} : { app }),
    reason: alarm,
    // How many of the same kind were left out since the last line.
    ...(suppressed === 0 ? {} : { count: suppressed }),
  };
}
