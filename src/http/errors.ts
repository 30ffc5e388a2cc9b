/** One row: what a caller gets for a request that a listener or a door refuses. */
interface ErrorRow {
  readonly status: number;
  /** Matrix's code for it (matrix-push 4.4); doors with another shape of error use the status and the sentence. */
  readonly errcode: string;
  /** Shown to the caller. Never holds anything that the caller sent. */
  readonly sentence: string;
}

const table = {
  "not-json": { status: 400, errcode: "M_NOT_JSON", sentence: "The body is not JSON in UTF-8." },
  "not-an-object": { status: 400, errcode: "M_BAD_JSON", sentence: "The body must be a JSON object." },
  "not-a-list": { status: 400, errcode: "M_BAD_JSON", sentence: "The body must be a JSON list or object." },
  "too-deep": { status: 400, errcode: "M_BAD_JSON", sentence: "The JSON is nested too deeply." },
  "too-many-keys": { status: 400, errcode: "M_BAD_JSON", sentence: "The JSON has too many keys." },
  "too-many-items": { status: 400, errcode: "M_TOO_LARGE", sentence: "The JSON has too many items." },
  "no-notification": {
    status: 400,
    errcode: "M_BAD_JSON",
    sentence: "The key 'notification' must hold an object.",
  },
  "no-devices": { status: 400, errcode: "M_BAD_JSON", sentence: "The list 'devices' is missing or empty." },
  "no-usable-device": {
    status: 400,
    errcode: "M_BAD_JSON",
    sentence: "No device has both an 'app_id' and a 'pushkey' that are strings.",
  },
  "too-many-devices": { status: 400, errcode: "M_TOO_LARGE", sentence: "Too many devices in one request." },
  "wrong-content-type": {
    status: 400,
    errcode: "M_UNKNOWN",
    sentence: "The body's Content-Type is missing or not the one that is taken here.",
  },
  "not-a-form": { status: 400, errcode: "M_UNKNOWN", sentence: "The body is no form in UTF-8." },
  "bad-idempotency-key": {
    status: 400,
    errcode: "M_UNKNOWN",
    sentence: "An Idempotency-Key has 1 to 255 characters and is sent once.",
  },
  "bad-request": { status: 400, errcode: "M_UNKNOWN", sentence: "The request is not valid HTTP." },
  unauthorized: {
    status: 401,
    errcode: "M_UNAUTHORIZED",
    sentence: "The credentials are missing or wrong.",
  },
  forbidden: { status: 403, errcode: "M_FORBIDDEN", sentence: "This may not be asked from there." },
  "unknown-path": { status: 404, errcode: "M_UNRECOGNIZED", sentence: "Nothing is served here." },
  "wrong-method": { status: 405, errcode: "M_UNRECOGNIZED", sentence: "This method is not served here." },
  "too-slow": { status: 408, errcode: "M_UNKNOWN", sentence: "The request did not end in time." },
  "body-too-large": { status: 413, errcode: "M_TOO_LARGE", sentence: "The body is too large." },
  "too-many-pushes": { status: 413, errcode: "M_TOO_LARGE", sentence: "Too many pushes in one request." },
  "encoded-body": {
    status: 415,
    errcode: "M_UNKNOWN",
    sentence: "The body must be sent without a content coding.",
  },
  "idempotency-key-reused": {
    status: 422,
    errcode: "M_UNKNOWN",
    sentence: "This Idempotency-Key came with another body before.",
  },
  limited: { status: 429, errcode: "M_LIMIT_EXCEEDED", sentence: "Too many requests." },
  "header-too-large": { status: 431, errcode: "M_TOO_LARGE", sentence: "The request's header is too large." },
  internal: { status: 500, errcode: "M_UNKNOWN", sentence: "The gateway failed." },
  "try-again": { status: 502, errcode: "M_UNKNOWN", sentence: "Not every push could be handed over yet." },
  unavailable: { status: 503, errcode: "M_UNKNOWN", sentence: "The gateway takes no more pushes now." },
} as const satisfies Record<string, ErrorRow>;

/** Stable name of a refusal, also its label in logs. */
export type HttpErrorCode = keyof typeof table;

/** A request is refused: a value that a parser returns, or, where a route has no other way, throws. */
export class HttpError extends Error {
  readonly code: HttpErrorCode;
  readonly status: number;
  /** Matrix's error code. */
  readonly errcode: string;
  /** When another try makes sense, milliseconds from now. */
  readonly retryAfterMs?: number;
  /** With 405: the methods that are served. */
  readonly allow?: string;
  /** With 401: the schemes that are taken, as `WWW-Authenticate` has them. */
  readonly challenge?: string;

  constructor(
    code: HttpErrorCode,
    options: { readonly retryAfterMs?: number; readonly allow?: string; readonly challenge?: string } = {},
  ) {
    super(table[code].sentence);
    this.name = "HttpError";
    this.code = code;
    this.status = table[code].status;
    this.errcode = table[code].errcode;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    if (options.allow !== undefined) this.allow = options.allow;
    if (options.challenge !== undefined) this.challenge = options.challenge;
  }
}
