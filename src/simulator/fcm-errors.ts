import type { JsonObject } from "../json.ts";
import type { Verdict } from "./responder.ts";

const TYPE = "type.googleapis.com/";

/** An FCM error body before it is written out. */
export interface FcmError {
  readonly status: number;
  readonly message: string;
  /** google.rpc.Code. */
  readonly code: string;
  readonly details?: readonly JsonObject[];
  /** What the record calls it. */
  readonly name?: string;
}

/** FCM's own detail: its error code. */
export const fcmDetail = (errorCode: string): JsonObject => ({
  "@type": `${TYPE}google.firebase.fcm.v1.FcmError`,
  errorCode,
});

/** google.rpc.BadRequest with one violation. */
export const badRequest = (field: string, description: string): JsonObject => ({
  "@type": `${TYPE}google.rpc.BadRequest`,
  fieldViolations: [field === "" ? { description } : { field, description }],
});

const errorInfo = (reason: string, metadata: JsonObject): JsonObject => ({
  "@type": `${TYPE}google.rpc.ErrorInfo`,
  reason,
  domain: "googleapis.com",
  metadata,
});

const unauthenticated = (message: string, reason: string): FcmError => ({
  status: 401,
  code: "UNAUTHENTICATED",
  message,
  details: [errorInfo(reason, { service: "fcm.googleapis.com" })],
});

const forbidden = (message: string, reason: string): FcmError => ({
  status: 403,
  code: "PERMISSION_DENIED",
  message,
  details: [errorInfo(reason, { service: "fcm.googleapis.com" })],
});

const BAD_CREDENTIALS =
  "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";

/** The answers of fcm.md sections 4 and 5, by the name that a script's `reason` gives. */
export const fcmErrors: Readonly<Record<string, FcmError>> = {
  UNREGISTERED: {
    status: 404,
    code: "NOT_FOUND",
    message: "Requested entity was not found.",
    details: [fcmDetail("UNREGISTERED")],
  },
  /** Names the token as the culprit by a field violation. */
  INVALID_TOKEN: {
    status: 400,
    code: "INVALID_ARGUMENT",
    message: "Request contains an invalid argument.",
    details: [fcmDetail("INVALID_ARGUMENT"), badRequest("message.token", "Invalid registration token")],
  },
  /** Names the token as the culprit by the message alone. */
  INVALID_TOKEN_MESSAGE: {
    status: 400,
    code: "INVALID_ARGUMENT",
    message: "The registration token is not a valid FCM registration token",
    details: [fcmDetail("INVALID_ARGUMENT")],
  },
  /** Says nothing about the culprit. */
  INVALID_ARGUMENT: {
    status: 400,
    code: "INVALID_ARGUMENT",
    message: "Request contains an invalid argument.",
  },
  RECIPIENT_NOT_SET: {
    status: 400,
    code: "INVALID_ARGUMENT",
    message: "Recipient of the message is not set.",
    details: [badRequest("message", "Recipient of the message is not set."), fcmDetail("INVALID_ARGUMENT")],
  },
  SENDER_ID_MISMATCH: {
    status: 403,
    code: "PERMISSION_DENIED",
    message: "SenderId mismatch",
    details: [fcmDetail("SENDER_ID_MISMATCH")],
  },
  SERVICE_DISABLED: forbidden(
    "Firebase Cloud Messaging API has not been used in project 1 before or it is disabled.",
    "SERVICE_DISABLED",
  ),
  IAM_PERMISSION_DENIED: forbidden(
    "Permission 'cloudmessaging.messages.create' denied on resource '//cloudresourcemanager.googleapis.com/projects/1' (or it may not exist).",
    "IAM_PERMISSION_DENIED",
  ),
  CONSUMER_INVALID: forbidden("Project 'projects/1' not found or permission denied.", "CONSUMER_INVALID"),
  THIRD_PARTY_AUTH_ERROR: {
    status: 401,
    code: "UNAUTHENTICATED",
    message: "Auth error from APNS or Web Push Service",
    details: [fcmDetail("THIRD_PARTY_AUTH_ERROR")],
  },
  CREDENTIALS_MISSING: unauthenticated(
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
    "CREDENTIALS_MISSING",
  ),
  ACCESS_TOKEN_EXPIRED: unauthenticated(BAD_CREDENTIALS, "ACCESS_TOKEN_EXPIRED"),
  ACCESS_TOKEN_TYPE_UNSUPPORTED: unauthenticated(BAD_CREDENTIALS, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
  /** The project is not there; without FCM's detail, so it says nothing about the token. */
  NOT_FOUND: { status: 404, code: "NOT_FOUND", message: "Requested entity was not found." },
  QUOTA_EXCEEDED: {
    status: 429,
    code: "RESOURCE_EXHAUSTED",
    message: "Quota exceeded.",
    details: [fcmDetail("QUOTA_EXCEEDED")],
  },
  /** The project's rate as real bodies show it: without FCM's detail. */
  RATE_LIMIT_EXCEEDED: {
    status: 429,
    code: "RESOURCE_EXHAUSTED",
    message:
      "Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute' of service 'fcm.googleapis.com' for consumer 'project_number:1'.",
    details: [
      errorInfo("RATE_LIMIT_EXCEEDED", {
        quota_metric: "fcm.googleapis.com/send_requests",
        quota_limit: "SendsPerMinutePerProject",
        quota_unit: "1/min/{project}",
        service: "fcm.googleapis.com",
      }),
      { "@type": `${TYPE}google.rpc.Help`, links: [] },
    ],
  },
  /** One device's, or one topic's, rate. */
  DEVICE_RATE_EXCEEDED: {
    status: 429,
    code: "RESOURCE_EXHAUSTED",
    message: "Device message rate exceeded.",
    details: [
      fcmDetail("QUOTA_EXCEEDED"),
      {
        "@type": `${TYPE}google.rpc.QuotaFailure`,
        violations: [{ subject: "device", description: "Device message rate exceeded." }],
      },
    ],
  },
  INTERNAL: {
    status: 500,
    code: "INTERNAL",
    message: "Internal error encountered.",
    details: [fcmDetail("INTERNAL")],
  },
  UNAVAILABLE: {
    status: 503,
    code: "UNAVAILABLE",
    message: "The service is currently unavailable.",
    details: [fcmDetail("UNAVAILABLE")],
  },
  UNSPECIFIED_ERROR: {
    status: 400,
    code: "UNKNOWN",
    message: "Unknown error.",
    details: [fcmDetail("UNSPECIFIED_ERROR")],
  },
};

/** The table's entry; a reason that is not in it becomes an unknown FCM error code. */
export function fcmError(reason: string): FcmError {
  const known = Object.hasOwn(fcmErrors, reason) ? fcmErrors[reason] : undefined;
  return {
    name: reason,
    ...(known ?? { status: 400, code: "UNKNOWN", message: reason, details: [fcmDetail(reason)] }),
  };
}

/** A wrong part of the message: the same text as message and as violation, as Google's JSON parser does. */
export function invalidField(field: string, description: string): FcmError {
  return {
    name: "INVALID_ARGUMENT",
    status: 400,
    code: "INVALID_ARGUMENT",
    message: description,
    details: [badRequest(field, description)],
  };
}

/** Writes an error out as FCM does. */
export function fcmErrorVerdict(error: FcmError, retryAfter?: string): Verdict {
  const { status: code, message, code: status, details } = error;
  return {
    reply: {
      status: code,
      headers: {
        "content-type": "application/json; charset=UTF-8",
        ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
      },
      body: JSON.stringify({ error: { code, message, status, details } }),
    },
    reason: error.name ?? status,
    accepted: false,
  };
}

/** What Google's front end sends for an address that is none of an API's. */
export function htmlVerdict(status: number): Verdict {
  return {
    reply: {
      status,
      headers: { "content-type": "text/html; charset=UTF-8" },
      body: `<!DOCTYPE html>\n<html lang=en>\n<title>Error ${status}</title>\n<p><b>${status}.</b> That’s an error.\n</html>\n`,
    },
    accepted: false,
  };
}
