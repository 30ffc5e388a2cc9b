import { accessMessage } from "../log.ts";
import type { CleanFields, LogLevel } from "./line.ts";

/**
 * Sygnal's loggers, as far as lines here have one (sygnal-compat 14), and one for UnifiedPush, which it does not have.
 * Each is below `sygnal`, and that below root.
 */
export const loggerNames = [
  "sygnal",
  "sygnal.access",
  "sygnal.http",
  "sygnal.apnspushkin",
  "sygnal.gcmpushkin",
  "sygnal.webpushpushkin",
  "sygnal.unifiedpushpushkin",
] as const;
export type LoggerName = (typeof loggerNames)[number];

/** The least urgent level that each logger writes. */
export type LoggerLevels = Readonly<Record<LoggerName, LogLevel>>;

const pushkinLoggers: Readonly<Record<string, LoggerName>> = {
  apns: "sygnal.apnspushkin",
  gcm: "sygnal.gcmpushkin",
  webpush: "sygnal.webpushpushkin",
  unifiedpush: "sygnal.unifiedpushpushkin",
};

/** Which of Sygnal's loggers would have written a line. */
export function loggerOf(message: string, fields: CleanFields): LoggerName {
  if (message === accessMessage) return "sygnal.access";
  const { pushkin } = fields;
  if (typeof pushkin === "string" && Object.hasOwn(pushkinLoggers, pushkin)) {
    return pushkinLoggers[pushkin] ?? "sygnal";
  }
  return fields["request_id"] === undefined ? "sygnal" : "sygnal.http";
}
