import type { AppDirectory, ServedApp } from "../../core/app.ts";
import type { SoftphoneAction } from "../../core/push.ts";
import { cleanText, type JsonObject, type JsonValue } from "../../json.ts";

/** The verbs of the API (softphone.md, send). */
const actions: ReadonlyMap<string, SoftphoneAction> = new Map<string, SoftphoneAction>([
  ["NotifyTextMessage", "message"],
  ["NotifyGenericTextMessage", "notice"],
  ["NotifyReprovision", "reprovision"],
]);

/** The largest count a badge can show everywhere. */
const maxBadge = 2_147_483_647;
/** The longest AppId and DeviceToken that anybody is asked about, in bytes; as at the Matrix door. */
const maxIdentifierBytes = 4096;

/** The attributes of one push, each of its type or absent. */
export interface Attributes {
  readonly action: SoftphoneAction;
  /** Where it goes, unless that is for the registry to say. */
  readonly device?: { readonly appId: string; readonly app: ServedApp; readonly pushkey: string };
  readonly account?: string;
  readonly selector?: string;
  readonly messageId?: string;
  readonly threadId?: string;
  readonly userName?: string;
  readonly userDisplayName?: string;
  readonly contentType?: string;
  readonly text?: string;
  readonly badge?: number;
  readonly sound?: string;
}

/** How attributes are read. */
export interface Reading {
  readonly apps: AppDirectory;
  /** Devices may be named by account or selector. */
  readonly hasRegistry: boolean;
  /** A sender of forms may have left a plus unencoded, which then came as a space: in a token it is put back. */
  readonly isForm: boolean;
}

/** Attributes, or a sentence that names every bad one. */
export function readAttributes(fields: JsonObject, reading: Reading): Attributes | string {
  const bad: string[] = [];
  const text = (name: string): string | undefined => {
    const value = fields[name];
    if (value === undefined) return undefined;
    if (typeof value !== "string") bad.push(`${name} must be a string`);
    return typeof value === "string" ? cleanText(value) || undefined : undefined;
  };
  const isMissing = (name: string): boolean => {
    const value = fields[name];
    return value === undefined || (typeof value === "string" && cleanText(value) === "");
  };

  const verb = text("verb");
  const action = actions.get(verb ?? "");
  if (isMissing("verb")) bad.push("verb is missing");
  else if (verb !== undefined && action === undefined) bad.push("verb is unknown");

  const byRegistry =
    reading.hasRegistry &&
    isMissing("AppId") &&
    isMissing("DeviceToken") &&
    !(isMissing("Selector") && isMissing("Account"));
  const appId = text("AppId");
  const token = text("DeviceToken");
  const device = byRegistry ? undefined : readDevice(appId, token, reading, isMissing, bad);

  const selector = text("Selector");
  const account = byRegistry ? text("Account") : undefined;
  const needsSelector = action !== undefined && action !== "notice" && account === undefined;
  if (needsSelector && isMissing("Selector")) bad.push("Selector is missing");
  const message = text("Message");
  if (action === "notice" && isMissing("Message")) bad.push("Message is missing");
  const badge = readBadge(fields["Badge"]);
  if (badge === "wrong") bad.push("Badge must be a whole number from 0 or its digits");

  const optional = {
    account,
    selector,
    messageId: text("Id"),
    threadId: text("ThreadId"),
    userName: text("UserName"),
    userDisplayName: text("UserDisplayName"),
    contentType: text("ContentType"),
    text: message,
    badge: badge === "wrong" ? undefined : badge,
    sound: text("Sound"),
    device,
  };
  if (bad.length > 0 || action === undefined) return `Bad attributes: ${bad.join(", ")}.`;
  return { action, ...present(optional) };
}

/** The device that the request itself names. */
function readDevice(
  appId: string | undefined,
  sent: string | undefined,
  { apps, isForm }: Reading,
  isMissing: (name: string) => boolean,
  bad: string[],
): Attributes["device"] {
  const app = appId === undefined || isTooLong(appId) ? undefined : apps.find(appId);
  if (isMissing("AppId")) bad.push("AppId is missing");
  else if (appId !== undefined && app === undefined) bad.push("AppId is not served here");
  else if (app !== undefined && app.readToken === undefined) bad.push("AppId is no app for softphones");
  if (isMissing("DeviceToken")) bad.push("DeviceToken is missing");
  if (sent === undefined) return undefined;
  const token = isForm ? sent.replaceAll(" ", "+") : sent;
  // Without its app a token's form is not known, but white space is in none.
  const pushkey = isTooLong(token) || /[\s\p{Cc}]/u.test(token) ? undefined : readToken(token, app);
  if (pushkey === undefined) bad.push("DeviceToken is no device token");
  return app === undefined || appId === undefined || pushkey === undefined
    ? undefined
    : { appId, app, pushkey };
}

function readToken(token: string, app: ServedApp | undefined): string | undefined {
  return app?.readToken === undefined ? token : app.readToken(token);
}

function readBadge(value: JsonValue | undefined): number | undefined | "wrong" {
  if (value === undefined || value === "") return undefined;
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number) || number < 0) return "wrong";
  // Adding turns -0 into 0.
  return Math.min(number, maxBadge) + 0;
}

/** A character is three bytes at most, so most strings need no counting. */
function isTooLong(text: string): boolean {
  return text.length * 3 > maxIdentifierBytes && Buffer.byteLength(text) > maxIdentifierBytes;
}

type Optional = Omit<Attributes, "action">;

function present(fields: { readonly [Key in keyof Optional]-?: Optional[Key] | undefined }): Optional {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
