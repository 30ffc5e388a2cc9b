import type { Verdict } from "./responder.ts";

/** Whose manner of speaking a simulated push service has. */
export type Dialect = "mozilla" | "apple" | "google";

interface ServiceError {
  readonly status: number;
  /** Mozilla's `errno`. */
  readonly errno: number;
  /** Apple's `reason`. */
  readonly reason: string;
  /** Google's line of text. */
  readonly text: string;
  /** Where a service differs from the others. */
  readonly statuses?: Readonly<Partial<Record<Dialect, number>>>;
}

/** What push services refuse, as each of them says it (webpush.md 4). Names are this simulator's own. */
const errors: Readonly<Record<string, ServiceError>> = {
  NOT_FOUND: {
    status: 404,
    errno: 102,
    reason: "BadPath",
    text: "A valid push subscription endpoint should be specified",
  },
  GONE: {
    status: 410,
    errno: 103,
    reason: "Unregistered",
    text: "push subscription has unsubscribed or expired.",
  },
  BAD_METHOD: { status: 405, errno: 100, reason: "MethodNotAllowed", text: "method not allowed" },
  BAD_TTL: { status: 400, errno: 111, reason: "BadTtl", text: "TTL header is missing" },
  BAD_URGENCY: { status: 400, errno: 112, reason: "BadUrgency", text: "invalid urgency" },
  BAD_TOPIC: { status: 400, errno: 113, reason: "BadWebPushTopic", text: "invalid topic" },
  BAD_CRYPTO: { status: 400, errno: 110, reason: "BadWebPushRequest", text: "invalid encryption" },
  BAD_VAPID: {
    status: 401,
    errno: 109,
    reason: "BadJwtToken",
    text: "UnauthorizedRegistration",
    statuses: { apple: 403 },
  },
  OTHER_KEY: {
    status: 403,
    errno: 109,
    reason: "VapidPkHashMismatch",
    text: "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.",
    statuses: { mozilla: 401, apple: 400 },
  },
  TOO_LARGE: { status: 413, errno: 104, reason: "PayloadTooLarge", text: "message too large" },
  TOO_MANY: { status: 429, errno: 200, reason: "TooManyRequests", text: "too many requests" },
  UNAVAILABLE: { status: 503, errno: 201, reason: "ServiceUnavailable", text: "try again later" },
  NOBODY_LISTENS: { status: 507, errno: 202, reason: "InsufficientStorage", text: "no active subscriber" },
};

/**
 * A refusal in a service's dialect. A name that is not of the table becomes the body's own word, with status 400
 * unless another is given.
 */
export function serviceError(
  dialect: Dialect,
  name: string,
  given: { readonly status?: number | undefined; readonly retryAfter?: string | undefined } = {},
): Verdict {
  const known = Object.hasOwn(errors, name) ? errors[name] : undefined;
  const error = known ?? { status: 400, errno: 999, reason: name, text: name };
  const status = given.status ?? error.statuses?.[dialect] ?? error.status;
  return {
    reply: {
      status,
      headers: {
        "content-type": dialect === "google" ? "text/plain; charset=utf-8" : "application/json",
        ...(given.retryAfter === undefined ? {} : { "retry-after": given.retryAfter }),
      },
      body: bodyOf(dialect, { ...error, status }),
    },
    reason: name,
    accepted: false,
  };
}

function bodyOf(dialect: Dialect, { status, errno, reason, text }: ServiceError): string {
  switch (dialect) {
    case "mozilla":
      return JSON.stringify({ code: status, errno, error: reason, message: text });
    case "apple":
      return JSON.stringify({ reason });
    case "google":
      return `${text}\n`;
  }
}
