import type { AppDirectory } from "../../core/app.ts";
import type { Audience, AudienceDevice } from "../../core/audience.ts";
import { orUnknown } from "../../core/lookup.ts";
import type { Push, SoftphoneContent } from "../../core/push.ts";
import type { ParseContext, Parsed } from "../../http/door.ts";
import { HttpError } from "../../http/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { uuid } from "../../uuid.ts";
import { readAttributes, type Attributes } from "./attributes.ts";

/** What a request's objects are understood with. */
export interface SoftphoneParsing {
  readonly apps: AppDirectory;
  /** Absent when nobody registers devices here: then every push names its own. */
  readonly audience?: Pick<Audience, "ofOwner" | "ofSelector">;
  /** The account's id for what a request calls `Account`. */
  readonly ownerOf: (account: string) => string;
  /** In lower case, without parameters. */
  readonly silentContentTypes: ReadonlySet<string>;
  readonly maxMultisend: number;
}

/** One object of the request: refused, for one device, or for those that the registry knows. */
export type Slot =
  | { readonly kind: "refused"; readonly code: 400 | 404 | 500; readonly response: string }
  | { readonly kind: "device"; readonly push: number }
  | {
      readonly kind: "devices";
      readonly devices: readonly { readonly appId: string; readonly push: number }[];
    };

/** A body, understood. */
export interface SendRequest extends Parsed {
  readonly slots: readonly Slot[];
}

/**
 * An account has up to a hundred devices: a list of accounts must not become a hundred thousand pushes, which would
 * hold everybody else up (reliability H08).
 */
const maxAddressed = 10_000;

/** The answer to what is no object, in the words of the API's documentation. */
const badObject = "Bad object you sent here";

/** `POST …/send`: one object. */
export async function parseSend(
  body: JsonValue,
  context: ParseContext,
  parsing: SoftphoneParsing,
): Promise<SendRequest | HttpError> {
  return isJsonObject(body) ? parseAll([body], context, parsing, false) : new HttpError("not-an-object");
}

/** `POST …/multisend`: a list of objects, or one that counts as a list of one. */
export async function parseMultisend(
  body: JsonValue,
  context: ParseContext,
  parsing: SoftphoneParsing,
): Promise<SendRequest | HttpError> {
  if (isJsonObject(body)) return parseAll([body], context, parsing, false);
  if (!isList(body)) return new HttpError("not-a-list");
  if (body.length > parsing.maxMultisend) return new HttpError("too-many-pushes");
  return parseAll(body, context, parsing, false);
}

/** The legacy form: the attributes of one object as fields. */
export async function parseForm(
  body: JsonValue,
  context: ParseContext,
  parsing: SoftphoneParsing,
): Promise<SendRequest | HttpError> {
  return parseAll([body], context, parsing, true);
}

async function parseAll(
  elements: readonly JsonValue[],
  context: ParseContext,
  parsing: SoftphoneParsing,
  isForm: boolean,
): Promise<SendRequest> {
  const pushes: Push[] = [];
  // Looked up side by side; what needs no lookup is ready at once.
  const slots = await Promise.all(
    elements.map(async (element, index): Promise<Slot> => {
      if (!isJsonObject(element)) return { kind: "refused", code: 400, response: badObject };
      return readElement(element, { index, isForm, pushes, context, parsing });
    }),
  );
  return { pushes, slots };
}

/** One object's place in its request. */
interface Element {
  readonly index: number;
  readonly isForm: boolean;
  readonly pushes: Push[];
  readonly context: ParseContext;
  readonly parsing: SoftphoneParsing;
}

function readElement(fields: JsonObject, element: Element): Slot | Promise<Slot> {
  const { isForm, parsing, pushes } = element;
  const { apps, audience } = parsing;
  const attributes = readAttributes(fields, { apps, hasRegistry: audience !== undefined, isForm });
  if (typeof attributes === "string") return { kind: "refused", code: 400, response: attributes };
  const { device } = attributes;
  if (device === undefined) return addressDevices(attributes, element);
  return { kind: "device", push: pushes.push(makePush(attributes, device, element)) - 1 };
}

/** A push for each device that the registry has for an account or a selector. */
async function addressDevices(attributes: Attributes, element: Element): Promise<Slot> {
  const { apps, audience, ownerOf } = element.parsing;
  const { account, selector } = attributes;
  const owner = account === undefined ? undefined : ownerOf(account);
  const lookup =
    selector !== undefined
      ? audience?.ofSelector(selector, owner)
      : owner === undefined
        ? undefined
        : audience?.ofOwner(owner);
  const found =
    lookup === undefined ? [] : await orUnknown<readonly AudienceDevice[] | undefined>(lookup, undefined);
  if (found === undefined) {
    return { kind: "refused", code: 500, response: "The registered devices cannot be looked up now." };
  }
  const most = Math.max(maxAddressed, element.parsing.maxMultisend);
  if (element.pushes.length + found.length > most) {
    return { kind: "refused", code: 500, response: "Too many devices for one request; send it by itself." };
  }
  const devices = found.flatMap((device) => {
    const app = apps.find(device.appId);
    if (app === undefined) return [];
    const push = makePush(
      { ...attributes, ...(device.selector === undefined ? {} : { selector: device.selector }) },
      { ...device, app },
      element,
    );
    return [{ appId: device.appId, push: element.pushes.push(push) - 1 }];
  });
  if (devices.length === 0)
    return { kind: "refused", code: 404, response: "No device is registered for it." };
  return { kind: "devices", devices };
}

function makePush(
  attributes: Attributes,
  device: NonNullable<Attributes["device"]> & Partial<AudienceDevice>,
  { context, index, parsing }: Element,
): Push {
  const urgency = device.app.takesCalls === true ? "call" : "message";
  const dedupeOn = dedupeOf(attributes, context.repeatScope, index);
  return {
    id: uuid(),
    appId: device.appId,
    pushkey: device.pushkey,
    ...(device.pushkeyTsMs === undefined ? {} : { pushkeyTsMs: device.pushkeyTsMs }),
    ...(device.environment === undefined ? {} : { environment: device.environment }),
    ...(device.apnsTopic === undefined ? {} : { apnsTopic: device.apnsTopic }),
    content: contentOf(attributes, parsing.silentContentTypes),
    priority: "high",
    urgency,
    receivedAtMs: context.receivedAtMs,
    expiresAtMs: context.receivedAtMs + context.lifetimesMs[urgency],
    ...(dedupeOn === undefined ? {} : { dedupeOn }),
  };
}

/** The message's own id; else its place in a request that its sender has named. */
function dedupeOf(
  { action, messageId, selector }: Attributes,
  repeatScope: string | undefined,
  index: number,
): string | undefined {
  if (messageId !== undefined) return JSON.stringify(["softphone", action, selector ?? null, messageId]);
  return repeatScope === undefined ? undefined : JSON.stringify(["request", repeatScope, index]);
}

function contentOf(attributes: Attributes, silentTypes: ReadonlySet<string>): SoftphoneContent {
  const { account: _account, action, device: _device, ...fields } = attributes;
  const type = fields.contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const isSilentMessage = fields.text === undefined || silentTypes.has(type);
  const isSilent = action === "reprovision" || (action === "message" && isSilentMessage);
  return { kind: "softphone", action, isSilent, ...fields };
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
