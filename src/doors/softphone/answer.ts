import { assertNever, type DropReason, type RejectReason, type Settled } from "../../core/outcome.ts";
import { errorHeaders, jsonAnswer, type Answer } from "../../http/answer.ts";
import type { HttpError } from "../../http/errors.ts";
import type { JsonObject } from "../../json.ts";
import type { SendRequest, Slot } from "./parse.ts";

/** What one push came to, as the API says it. */
interface Said {
  readonly code: number;
  readonly response: string;
}

const sent: Said = { code: 200, response: "Your message was sent." };
const failed: Said = {
  code: 500,
  response: "The push could be neither handed over nor kept; try again later.",
};

/** `POST …/send`: HTTP 200, and the outcome in the body. */
export function answerSend({ slots }: SendRequest, settled: readonly Settled[]): Answer {
  const [slot] = slots;
  return jsonAnswer(200, slot === undefined ? asJson(failed) : answerSlot(slot, settled));
}

/** `POST …/multisend`: an answer for each object, in its place. */
export function answerMultisend({ slots }: SendRequest, settled: readonly Settled[]): Answer {
  return jsonAnswer(
    200,
    slots.map((slot) => answerSlot(slot, settled)),
  );
}

/** The legacy form: the HTTP status is the outcome, the body one line of text. */
export function answerForm({ slots }: SendRequest, settled: readonly Settled[]): Answer {
  const [slot] = slots;
  return line(slot === undefined ? failed : saidOf(slot, settled));
}

/** A refusal of the JSON paths: an object with `code` like everything else. */
export function refuseJson(error: HttpError): Answer {
  const said = saidOfError(error);
  return jsonAnswer(said.code, asJson(said), errorHeaders(error));
}

/** A refusal of the legacy form. */
export function refuseForm(error: HttpError): Answer {
  return { ...line(saidOfError(error)), headers: errorHeaders(error) };
}

function line({ code, response }: Said): Answer {
  return { status: code, body: response, contentType: "text/plain; charset=utf-8" };
}

/** The API knows no 405, and for the gateway's own failures 500 alone (softphone.md, send). */
function saidOfError(error: HttpError): Said {
  const code = error.code === "wrong-method" ? 400 : error.status >= 500 ? 500 : error.status;
  return { code, response: error.message };
}

/** The documentation's prose calls the number `status`, its examples `code`: both, always equal. */
function asJson({ code, response }: Said): JsonObject {
  return { code, status: code, response };
}

function answerSlot(slot: Slot, settled: readonly Settled[]): JsonObject {
  const said = asJson(saidOf(slot, settled));
  if (slot.kind !== "devices") return said;
  // The app alone names a device: tokens are never read back.
  const devices = slot.devices.map(({ appId, push }) => ({
    AppId: appId,
    ...asJson(saidOfPush(settled[push])),
  }));
  return { ...said, devices };
}

function saidOf(slot: Slot, settled: readonly Settled[]): Said {
  switch (slot.kind) {
    case "refused":
      return slot;
    case "device":
      return saidOfPush(settled[slot.push]);
    case "devices": {
      const all = slot.devices.map(({ push }) => saidOfPush(settled[push]));
      // Reached on one device is reached; a token may only be forgotten when none is left.
      return all.find(({ code }) => code === 200) ?? all.find(({ code }) => code !== 404) ?? all[0] ?? failed;
    }
    default:
      return assertNever(slot);
  }
}

function saidOfPush(settled: Settled | undefined): Said {
  if (settled === undefined) return failed;
  switch (settled.kind) {
    case "delivered":
    case "accepted":
      return sent;
    case "rejected":
      return rejections[settled.reason];
    case "dropped":
      return drops[settled.reason];
    case "retryable":
      return failed;
    default:
      return assertNever(settled);
  }
}

const gone: Said = { code: 404, response: "The device token is no longer registered." };

const rejections: Readonly<Record<RejectReason, Said>> = {
  unregistered: gone,
  "bad-token": gone,
  "token-of-another-app": gone,
  "known-dead": gone,
  // Not 404, at which a sender drops the token: the mistake is in the request or the configuration.
  "invalid-pushkey": { code: 400, response: "Bad attributes: DeviceToken is no device token." },
  "unknown-app": { code: 400, response: "Bad attributes: AppId is not served here." },
};

const refused: Said = { code: 500, response: "The upstream refuses the push." };

const drops: Readonly<Record<DropReason, Said>> = {
  duplicate: sent,
  superseded: sent,
  "nothing-to-send": { code: 400, response: "There is nothing in the push to send." },
  "not-wanted": { code: 400, response: "The app takes no such push." },
  "too-large": { code: 400, response: "The push is too large for its upstream." },
  "endpoint-not-allowed": { code: 400, response: "The push leads where this gateway does not send." },
  expired: { code: 500, response: "The push has expired." },
  "refused-by-upstream": refused,
  "registered-since": refused,
  quarantined: refused,
};
