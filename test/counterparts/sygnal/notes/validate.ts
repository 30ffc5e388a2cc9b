import { isJsonObject, type JsonObject, type JsonValue } from "../../../../src/json.ts";
import type { Answer } from "../case.ts";
import { processingFailed, refused } from "./http.ts";

/** A notification that Sygnal takes. */
export interface Notification {
  readonly fields: JsonObject;
  readonly unread: number | undefined;
  readonly missedCalls: number | undefined;
  readonly devices: readonly Device[];
}

/** A device of it. */
export interface Device {
  readonly appId: string;
  readonly pushkey: string;
  readonly data: JsonObject | undefined;
}

/** The checks of sygnal-compat 6 from row 2 on, in their order. */
export function validate(json: JsonValue): Notification | Answer {
  const noNotification = refused("Invalid notification: expecting object in 'notification' key");
  if (json === null || typeof json === "number" || typeof json === "boolean") return processingFailed();
  if (typeof json === "string") return json.includes("notification") ? processingFailed() : noNotification;
  if (!isJsonObject(json) || !isJsonObject(json["notification"])) return noNotification;
  const fields = json["notification"];
  const list = fields["devices"];
  if (!Array.isArray(list)) return refused("Expected list in 'devices' key");
  const counts = readCounts(fields);
  if ("kind" in counts) return counts;
  const devices: Device[] = [];
  for (const each of list as readonly JsonValue[]) {
    const device = readDevice(each);
    if ("kind" in device) return device;
    devices.push(device);
  }
  if (devices.length === 0) return refused("No devices in notification");
  return { fields, ...counts, devices };
}

type Counts = Pick<Notification, "unread" | "missedCalls">;

function readCounts(fields: JsonObject): Counts | Answer {
  const none = { unread: undefined, missedCalls: undefined };
  if (!Object.hasOwn(fields, "counts")) return none;
  const counts = fields["counts"] ?? null;
  if (Array.isArray(counts) || typeof counts === "string") return none;
  if (!isJsonObject(counts)) return processingFailed();
  const read: Record<string, number | undefined> = {};
  for (const key of ["unread", "missed_calls"]) {
    if (!Object.hasOwn(counts, key)) continue;
    const value = counts[key];
    if (!isInteger(value)) return refused(`${key} is of invalid type`);
    read[key] = Number(value);
  }
  return { unread: read["unread"], missedCalls: read["missed_calls"] };
}

/** Python takes booleans for integers. */
const isInteger = (value: JsonValue | undefined): boolean =>
  typeof value === "boolean" || (typeof value === "number" && Number.isInteger(value));

function readDevice(value: JsonValue): Device | Answer {
  if (value === null || typeof value === "number" || typeof value === "boolean") return processingFailed();
  const device = isJsonObject(value) ? value : {};
  const { app_id: appId, pushkey } = device;
  if (typeof appId !== "string") return refused("Device with missing or non-string app_id");
  if (typeof pushkey !== "string") return refused("Device with missing or non-string pushkey");
  const wrong = (key: string, isRight: (given: JsonValue | undefined) => boolean, of = device): boolean =>
    Object.hasOwn(of, key) && !isRight(of[key]);
  if (wrong("pushkey_ts", isInteger)) return refused("pushkey_ts is of invalid type");
  if (wrong("data", isJsonObject)) return refused("data is of invalid type");
  if (wrong("tweaks", isJsonObject)) return refused("tweaks is of invalid type");
  const tweaks = isJsonObject(device["tweaks"]) ? device["tweaks"] : {};
  if (wrong("sound", (sound) => typeof sound === "string", tweaks))
    return refused("sound is of invalid type");
  return { appId, pushkey, data: isJsonObject(device["data"]) ? device["data"] : undefined };
}

/** What Python takes for false. */
export function isFalsy(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}
