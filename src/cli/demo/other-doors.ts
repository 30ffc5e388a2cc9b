import { createHash } from "node:crypto";
import type { JsonObject } from "../../json.ts";
import type { DemoRequest } from "./requests.ts";

/** The apps of a softphone, its calls an entry of their own, and of a back end's Android app. */
export const SOFTPHONE_APP = "com.example.softphone";
export const CALLS_APP = "com.example.softphone.pushkit";
export const BACK_END_APP = "com.example.fax";

/** The demo's own, like everything in it. */
const PBX_KEY = "demo-pbx-2c7e9a41";
const EVENT_KEY = "demo-events-8f3b6d05";
const BEARER = "demo-bearer-e41c7d92";
const OWNER = "9aed5e94-3803-11e3-8475-0024e8f90cc0";
const SELECTOR = "12869E0E6E553673C54F29105A0647204C416A2A:7C3A0D14";

/** The sections that open the other doors. */
export const otherDoors: JsonObject = {
  softphone: { api_keys: [PBX_KEY] },
  registry: {
    accounts: [{ id: OWNER, token_hash: `sha256:${createHash("sha256").update(BEARER).digest("hex")}` }],
    event_keys: [EVENT_KEY],
    fcm_app: BACK_END_APP,
  },
};

/** What a PBX and a back end send: a message, a call, and a fax for a user who has registered two phones. */
export function otherDoorRequests(): readonly DemoRequest[] {
  const pbx = (title: string, body: JsonObject): DemoRequest => ({
    title,
    path: "/pnm2/send",
    headers: { "x-api-key": PBX_KEY },
    body,
  });
  const register = (title: string, body: JsonObject): DemoRequest => ({
    title,
    path: "/api/push",
    headers: { authorization: `Bearer ${BEARER}` },
    body: { action: "add", ...body },
  });
  return [
    pbx("A PBX has a text message for a softphone", {
      verb: "NotifyTextMessage",
      AppId: SOFTPHONE_APP,
      DeviceToken: deviceToken("50"),
      Selector: SELECTOR,
      Id: "sms-17",
      UserDisplayName: "Captain Ahab",
      Message: "Thar she blows",
      Badge: 3,
      Sound: "default",
    }),
    pbx("A PBX has a call for it: the same phone's other token", {
      verb: "NotifyTextMessage",
      AppId: CALLS_APP,
      DeviceToken: deviceToken("51"),
      Selector: SELECTOR,
      UserDisplayName: "Captain Ahab",
    }),
    register("A user's iPhone registers with the back end", {
      system: "apns",
      device_token: "f0".repeat(32),
      application_id: `39JSDKGJ38.${SOFTPHONE_APP}`,
    }),
    register("… and his Android phone", { system: "fcm", device_token: "fax-phone:APA91bDemo" }),
    {
      title: "The back end has a fax for that user",
      path: "/api/push/events",
      headers: { "x-api-key": EVENT_KEY },
      body: {
        owner: OWNER,
        message: "fax_new",
        fax: "af729cc0-3251-11e2-81c1-0800200c9a66",
        phone: "+492215587412",
        page_count: 2,
      },
    },
  ];
}

/** As an app reports it: base64 of 32 bytes. */
function deviceToken(byte: string): string {
  return Buffer.from(byte.repeat(32), "hex").toString("base64");
}
