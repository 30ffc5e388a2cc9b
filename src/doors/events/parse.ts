import type { AppDirectory } from "../../core/app.ts";
import type { Audience, AudienceDevice } from "../../core/audience.ts";
import { orUnknown } from "../../core/lookup.ts";
import type { EventContent, Push } from "../../core/push.ts";
import type { ParseContext, Parsed } from "../../http/door.ts";
import { HttpError } from "../../http/errors.ts";
import { cleanObject, isJsonObject, type JsonValue } from "../../json.ts";
import { uuid } from "../../uuid.ts";
import type { EventType } from "./event-types.ts";

/** Apple asks for a push type of its own there, and the phone rings (apns.md 2). */
const callsTopic = ".voip";
const maxNameLength = 255;

/** What an event is understood with. */
export interface EventParsing {
  readonly apps: AppDirectory;
  readonly audience: Pick<Audience, "ofOwner">;
  readonly types: ReadonlyMap<string, EventType>;
}

/** An event, understood: a push for each device of its owner; or every reason why it is none. */
export interface EventRequest extends Parsed {
  readonly problems: readonly string[];
}

/** The body of `POST /api/push/events` (registry.md, push events). */
export async function parseEvent(
  body: JsonValue,
  context: ParseContext,
  { apps, audience, types }: EventParsing,
): Promise<EventRequest | HttpError> {
  if (!isJsonObject(body)) return new HttpError("not-an-object");
  const { owner, message: name, ...sent } = context.needsCleaning ? cleanObject(body) : body;
  const problems: string[] = [];
  if (!isText(owner)) problems.push(`owner ${wrong(owner)}`);
  const type = isText(name) ? types.get(name) : undefined;
  if (!isText(name)) problems.push(`message ${wrong(name)}`);
  else if (type === undefined) problems.push("message is no event that is known here");
  const read = type?.(sent);
  if (read !== undefined && "problems" in read) problems.push(...read.problems);
  if (!isText(owner) || !isText(name) || read === undefined || "problems" in read) {
    return { pushes: [], problems };
  }
  const devices = await orUnknown<readonly AudienceDevice[] | undefined>(audience.ofOwner(owner), undefined);
  if (devices === undefined) return new HttpError("unavailable", { retryAfterMs: 5000 });
  const content: EventContent = { kind: "event", name, owner, fields: read.fields };
  return { pushes: devices.map((device) => makePush(device, content, context, apps)), problems };
}

function makePush(
  { appId, apnsTopic, environment, pushkey, pushkeyTsMs }: AudienceDevice,
  content: EventContent,
  context: ParseContext,
  apps: AppDirectory,
): Push {
  const rings =
    apnsTopic === undefined ? apps.find(appId)?.takesCalls === true : apnsTopic.endsWith(callsTopic);
  const urgency = rings ? "call" : "message";
  return {
    id: uuid(),
    appId,
    pushkey,
    pushkeyTsMs,
    ...(environment === undefined ? {} : { environment }),
    ...(apnsTopic === undefined ? {} : { apnsTopic }),
    content,
    priority: "high",
    urgency,
    receivedAtMs: context.receivedAtMs,
    expiresAtMs: context.receivedAtMs + context.lifetimesMs[urgency],
    ...(context.repeatScope === undefined
      ? {}
      : { dedupeOn: JSON.stringify(["event", context.repeatScope]) }),
  };
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === "string" && value !== "" && value.length <= maxNameLength;
}

function wrong(value: JsonValue | undefined): string {
  return value === undefined || value === ""
    ? "is missing"
    : `must be string of at most ${maxNameLength} characters`;
}
