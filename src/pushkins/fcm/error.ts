import { isJsonObject, type JsonObject } from "../../json.ts";

/** What an error of FCM says (fcm.md 4): `details[]` first, then `error.status`; a body may be HTML or empty. */
export interface FcmError {
  /** google.rpc.Code. */
  readonly status?: string;
  /** FCM's own detail. */
  readonly errorCode?: string;
  /** Google's own reason, such as `SERVICE_DISABLED`. */
  readonly reason?: string;
  readonly message: string;
  /** Names of fields. */
  readonly violations: readonly string[];
}

/** Reads an error's body; whatever it is, there is an answer. */
export function parseFcmError(body: string): FcmError {
  const error = parseObject(body)?.["error"];
  if (!isJsonObject(error)) return { message: "", violations: [] };
  const details = Array.isArray(error["details"])
    ? (error["details"] as readonly unknown[]).filter(isJsonObject)
    : [];
  const errorCode = codeWord(
    details.find((detail) => hasType(detail, "google.firebase.fcm.v1.FcmError"))?.["errorCode"],
  );
  const status = codeWord(error["status"]);
  const reason = codeWord(details.find((detail) => hasType(detail, "google.rpc.ErrorInfo"))?.["reason"]);
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(status === undefined ? {} : { status }),
    ...(errorCode === undefined ? {} : { errorCode }),
    message: typeof error["message"] === "string" ? error["message"] : "",
    violations: details.filter((detail) => hasType(detail, "google.rpc.BadRequest")).flatMap(violatedFields),
  };
}

function hasType(detail: JsonObject, type: string): boolean {
  const name = detail["@type"];
  return typeof name === "string" && name.endsWith(type);
}

function violatedFields(badRequest: JsonObject): readonly string[] {
  const violations = badRequest["fieldViolations"];
  if (!Array.isArray(violations)) return [];
  return (violations as readonly unknown[]).filter(isJsonObject).flatMap((violation) => {
    const field = violation["field"];
    return typeof field === "string" ? [field] : [];
  });
}

/** Google's codes are words in capitals; anything else does not get into a log. */
function codeWord(value: unknown): string | undefined {
  return typeof value === "string" && /^[A-Z_]{1,64}$/.test(value) ? value : undefined;
}

/** A JSON object, or undefined. */
export function parseObject(body: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
