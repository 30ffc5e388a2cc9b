import { HttpError, type HttpErrorCode } from "../http/errors.ts";
import type { Refusal } from "./refusals.ts";
import type { Words } from "./words.ts";

const body = "A matter for whoever makes the sender: what it sends is not what this path takes.";
const limits =
  "Check `limits` and `http.trusted_proxies`: behind a proxy that is not named there all senders are one.";
const key =
  "A matter for whoever makes the sender: another key for each request, the same one for its repeats.";

/** THE TABLE: what to do about each way a request is refused. */
const todos: Readonly<Record<HttpErrorCode, string>> = {
  "not-json": body,
  "not-an-object": body,
  "not-a-list": body,
  "too-deep": `${body} \`limits.max_depth\` says how deep it may be.`,
  "too-many-keys": body,
  "too-many-items": body,
  "no-notification": body,
  "no-devices": body,
  "no-usable-device": body,
  "too-many-devices":
    "`limits.max_devices` says how many one request may have. A homeserver sends one request a pusher.",
  "wrong-content-type": body,
  "not-a-form": body,
  "bad-idempotency-key": key,
  "bad-request": body,
  unauthorized:
    "Compare the key, token or password of the sender with what the gateway's configuration has for this path.",
  forbidden: "Ask from where it is allowed.",
  "unknown-path":
    "Compare the URL that the sender uses with the doors that the configuration opens: `/_matrix/push/v1/notify` for homeservers.",
  "wrong-method": "The path is right, the method is not: pushes are sent with POST.",
  "too-slow": "The sender's connection is slow, or a proxy before the gateway holds the request back.",
  "body-too-large": "`limits.max_body` says how large a request may be.",
  "too-many-pushes": "`limits.max_multisend` says how many pushes one request may have.",
  "encoded-body": "Switch compression of requests off at the sender.",
  "idempotency-key-reused": key,
  limited: `It may come again after the time that \`Retry-After\` named. ${limits}`,
  "header-too-large": "A matter for whoever makes the sender, or a proxy that adds headers.",
  internal: "The gateway's log has the error; please report it to the makers of Signalbox.",
  "try-again":
    "Nothing, if its sender sends it again. The gateway's log and `signalbox doctor` say what it waits for.",
  unavailable: "Check the gateway's store: `signalbox doctor`. The sender may send it again.",
};

/** What a refused request was refused for, in words to send on. */
export function wordsForRefusal({ code, status }: Refusal): Words {
  if (code === undefined) {
    return {
      what: `The request was refused with ${status} before any push was made of it; the body of the answer told its sender why.`,
      todo: body,
    };
  }
  return {
    what: `The request was refused with ${status} before any push was made of it: ${new HttpError(code).message}`,
    todo: todos[code],
  };
}
