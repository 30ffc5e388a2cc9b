import type { AppDirectory, ServedApp } from "../../../src/core/app.ts";
import type { AudienceDevice } from "../../../src/core/audience.ts";
import { softphoneDoor, type SoftphoneDoorOptions } from "../../../src/doors/softphone/index.ts";
import type { AppOptions } from "../../../src/http/app.ts";
import { createApiKeys } from "../../../src/http/auth.ts";
import { deviceTokenHex } from "../../../src/pushkins/apns/device-token.ts";
import { readRegistrationToken } from "../../../src/pushkins/fcm/registration-token.ts";
import { startListener, type Listener } from "../../http/listener.ts";

export const KEY = "pbx-key-7f3a9c1e5b";
export const IOS = "com.example.app";
export const CALLS = "com.example.app.pushkit";
export const ANDROID = "com.example.android";
/** A device token of 32 bytes, as an app reports it and as APNs has it. */
export const TOKEN = Buffer.from("a1".repeat(32), "hex").toString("base64");
export const TOKEN_HEX = "a1".repeat(32);
export const SELECTOR = "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14";

const readApns = (text: string): string | undefined => deviceTokenHex(text, "auto");
const served: readonly ServedApp[] = [
  { name: IOS, type: "apns", readToken: readApns },
  { name: CALLS, type: "apns", takesCalls: true, readToken: readApns },
  { name: ANDROID, type: "gcm", readToken: readRegistrationToken },
  { name: "org.unifiedpush", type: "unifiedpush" },
];
/** Apps of each kind; the tokens are read by the real readers. */
export const apps: AppDirectory = { find: (appId) => served.find(({ name }) => name === appId) };

/** A registered device. */
export function device(overrides: Partial<AudienceDevice> = {}): AudienceDevice {
  return {
    owner: "alice-id",
    selector: SELECTOR,
    appId: IOS,
    pushkey: TOKEN_HEX,
    pushkeyTsMs: 5,
    ...overrides,
  };
}

/** The door before a core that is a recorder. */
export function startDoor(
  options: Partial<SoftphoneDoorOptions> = {},
  app: Partial<AppOptions> = {},
): Promise<Listener> {
  const door = softphoneDoor({
    path: "/pnm2",
    keys: createApiKeys([KEY]),
    apps,
    ownerOf: (account) => (account === "alice" ? "alice-id" : account),
    silentContentTypes: new Set(["message/imdn+xml", "application/im-iscomposing+xml"]),
    maxMultisend: 1000,
    ...options,
  });
  return startListener({ doors: [door], ...app });
}

/** A notice that is right. */
export function notice(overrides: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const fields = {
    verb: "NotifyGenericTextMessage",
    AppId: IOS,
    DeviceToken: TOKEN,
    Message: "Some message",
    ...overrides,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
