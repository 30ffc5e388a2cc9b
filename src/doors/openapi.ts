import type { Operation } from "../http/openapi.ts";
import type { JsonObject } from "../json.ts";
import { describeDeviceRegistry } from "./device-registry/openapi.ts";
import { describeEvents } from "./events/openapi.ts";
import { describeMatrix } from "./matrix/openapi.ts";
import { describeSoftphone } from "./softphone/openapi.ts";
import { describeTokenReporter } from "./token-reporter/openapi.ts";

/** Where the doors are; one that is absent is closed. */
export interface DoorPaths {
  readonly softphone?: string;
  readonly tokenReporter?: readonly string[];
  readonly deviceRegistry?: string;
  readonly events?: string;
  /** Events of the operator's own: a JSON Schema of each one's fields. */
  readonly ownEvents?: Readonly<Record<string, JsonObject>>;
}

/** THE LIST of what doors say of themselves. */
export function describeDoors(paths: DoorPaths): readonly Operation[] {
  return [
    ...describeMatrix(),
    ...(paths.softphone === undefined ? [] : describeSoftphone(paths.softphone)),
    ...(paths.tokenReporter === undefined ? [] : describeTokenReporter(paths.tokenReporter)),
    ...(paths.deviceRegistry === undefined ? [] : describeDeviceRegistry(paths.deviceRegistry)),
    ...(paths.events === undefined ? [] : describeEvents(paths.events, paths.ownEvents)),
  ];
}
