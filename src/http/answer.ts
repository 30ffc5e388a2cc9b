import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import type { JsonValue } from "../json.ts";
import type { HttpError } from "./errors.ts";
import { hasUnreadRest, lingerThenEnd } from "./linger.ts";

/** How long a caller may take to read an answer that did not fit into the socket's buffers (reliability H04). */
const unreadAnswerMs = 10_000;

/** A complete answer, ready to be written. */
export interface Answer {
  readonly status: number;
  /** The body's text; empty for an answer without a body, which then has no content type. */
  readonly body: string;
  /** `application/json` when absent. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer whose body is this value as JSON. */
export function jsonAnswer(
  status: number,
  value: JsonValue,
  headers?: Readonly<Record<string, string>>,
): Answer {
  return { status, body: JSON.stringify(value), ...(headers === undefined ? {} : { headers }) };
}

/** Whole seconds for `Retry-After`, at least one. */
export function retryAfterSeconds(retryAfterMs: number): string {
  return String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
}

/** A refusal in Matrix's form, which is also that of every path no door serves (matrix-push 4.4). */
export function errorAnswer(error: HttpError): Answer {
  const body: Record<string, JsonValue> = { errcode: error.errcode, error: error.message };
  if (error.status === 429 && error.retryAfterMs !== undefined) {
    body["retry_after_ms"] = Math.max(0, Math.ceil(error.retryAfterMs));
  }
  return jsonAnswer(error.status, body, errorHeaders(error));
}

/** What goes with a refusal whatever the form of its body. */
export function errorHeaders(error: HttpError): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  if (error.allow !== undefined) headers["Allow"] = error.allow;
  if (error.challenge !== undefined) headers["WWW-Authenticate"] = error.challenge;
  if (error.retryAfterMs !== undefined) headers["Retry-After"] = retryAfterSeconds(error.retryAfterMs);
  return headers;
}

/**
 * Writes the answer with its length, so that HTTP/1.0 proxies work. Does nothing when one was begun already. When
 * much of the request's body was not read, the answer goes out at once and the connection is closed gently after it;
 * `mayLinger` false closes without, for a caller that has had its time.
 */
export function sendAnswer(
  req: IncomingMessage,
  res: ServerResponse,
  answer: Answer,
  clock: Clock,
  mayLinger = true,
): void {
  if (res.headersSent || res.destroyed) return;
  res.statusCode = answer.status;
  if (answer.headers !== undefined) {
    for (const name of Object.keys(answer.headers)) res.setHeader(name, answer.headers[name] ?? "");
  }
  if (answer.body !== "") res.setHeader("Content-Type", answer.contentType ?? "application/json");
  res.setHeader("Content-Length", Buffer.byteLength(answer.body));
  if (mayLinger && hasUnreadRest(req)) {
    res.setHeader("Connection", "close");
    lingerThenEnd(req, res, answer.body, clock);
    return;
  }
  res.end(answer.body);
  if (res.socket !== null && res.socket.writableLength > 0) {
    const cancel = clock.schedule(unreadAnswerMs, () => res.destroy());
    res.once("close", cancel);
  }
}
