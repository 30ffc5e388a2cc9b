import type { MatrixContent, Push } from "../../core/push.ts";
import type { ParseContext } from "../../http/door.ts";
import { HttpError } from "../../http/errors.ts";
import { cleanText, isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { uuid } from "../../uuid.ts";
import { fieldReader, pushkeyTime, type FieldReader } from "./clean.ts";
import {
  contentFor,
  isOwnTest,
  readDevice,
  readNotification,
  urgencyOf,
  type Notification,
} from "./content.ts";

/** The longest app_id and pushkey, in bytes, that anybody is asked about (case 22). */
const maxIdentifierBytes = 4096;

/** An app's own test is the same each time: what comes later than this is no repeat but somebody who tests again. */
const ownTestPeriodMs = 10_000;

/** One usable device of the request. */
export interface DeviceSlot {
  /** Exactly as it came: only so the homeserver knows it again in `rejected`. */
  readonly pushkey: string;
  /** The place of its push in `pushes`, which devices that are the same share; absent = rejected without asking. */
  readonly push?: number;
}

/** The push of a Matrix notification. */
export interface MatrixPush extends Push {
  readonly content: MatrixContent;
}

/** A notify body, understood. */
export interface NotifyRequest {
  readonly pushes: readonly MatrixPush[];
  /** In the request's order; unusable devices are left out (case 20). */
  readonly devices: readonly DeviceSlot[];
}

/** The body of `POST /_matrix/push/v1/notify` as pushes, one a device (matrix-push 2 and 3). */
export function parseNotify(body: JsonValue, context: ParseContext): NotifyRequest | HttpError {
  if (!isJsonObject(body)) return new HttpError("not-an-object");
  const fields = body["notification"];
  if (!isJsonObject(fields)) return new HttpError("no-notification");
  const devices = fields["devices"];
  if (!Array.isArray(devices) || devices.length === 0) return new HttpError("no-devices");
  if (devices.length > context.limits.maxDevices) return new HttpError("too-many-devices");

  const read = fieldReader(context.needsCleaning);
  const notification = readNotification(fields, read);
  const pushes: MatrixPush[] = [];
  const slots: DeviceSlot[] = [];
  // One device, as usual, can have no double.
  const seen = devices.length === 1 ? undefined : new Map<string, number>();
  for (const device of devices as readonly JsonValue[]) {
    if (!isJsonObject(device)) continue;
    const { app_id: appId, pushkey } = device;
    if (typeof appId !== "string" || typeof pushkey !== "string") continue;
    const made = makePush(notification, device, appId, pushkey, read, context);
    if (made === undefined) {
      slots.push({ pushkey });
      continue;
    }
    const known = seen?.get(made.identity);
    if (known === undefined) {
      seen?.set(made.identity, pushes.length);
      slots.push({ pushkey, push: pushes.length });
      pushes.push(made.push);
    } else {
      slots.push({ pushkey, push: known });
      // The latest registration counts: an old one's must not get the device rejected.
      const first = pushes[known];
      if ((made.push.pushkeyTsMs ?? 0) > (first?.pushkeyTsMs ?? 0)) pushes[known] = made.push;
    }
  }
  return slots.length === 0 ? new HttpError("no-usable-device") : { pushes, devices: slots };
}

/** A push and what two devices of one request must have in common to be the same (case 25). */
interface Made {
  readonly push: MatrixPush;
  readonly identity: string;
}

/** `undefined` when no upstream can have given out such a pushkey (cases 21, 22). */
function makePush(
  notification: Notification,
  fields: JsonObject,
  sentAppId: string,
  sentPushkey: string,
  read: FieldReader,
  context: ParseContext,
): Made | undefined {
  if (isTooLong(sentAppId) || isTooLong(sentPushkey)) return undefined;
  const appId = context.needsCleaning ? cleanText(sentAppId) : sentAppId;
  const pushkey = context.needsCleaning ? cleanText(sentPushkey) : sentPushkey;
  if (pushkey === "") return undefined;
  const device = readDevice(fields, read, context.limits.maxDepth);
  const content = contentFor(notification, device);
  const urgency = urgencyOf(notification, content);
  const pushkeyTsMs = pushkeyTime(fields["pushkey_ts"]);
  const data = JSON.stringify(device.data);
  const repeatPeriod = isOwnTest(notification, device, content)
    ? `,${Math.floor(context.receivedAtMs / ownTestPeriodMs)}`
    : "";
  const push: MatrixPush = {
    id: uuid(),
    appId,
    pushkey,
    ...(pushkeyTsMs === undefined ? {} : { pushkeyTsMs }),
    content,
    priority: notification.priority,
    urgency,
    receivedAtMs: context.receivedAtMs,
    expiresAtMs: context.receivedAtMs + context.lifetimesMs[urgency],
    // Two accounts in one app share the token and the event; only their pusher data differs (matrix-push 5).
    ...(content.eventId === undefined
      ? {}
      : { dedupeOn: `[${JSON.stringify(content.eventId)},${data}${repeatPeriod}]` }),
  };
  return { push, identity: `${appId}\0${pushkey}\0${data}` };
}

/** A character is three bytes at most, so most strings need no counting. */
function isTooLong(text: string): boolean {
  return text.length * 3 > maxIdentifierBytes && Buffer.byteLength(text) > maxIdentifierBytes;
}
