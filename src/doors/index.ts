import type { FrontDoor } from "../http/door.ts";
import { deviceRegistryDoor, type DeviceRegistryOptions } from "./device-registry/index.ts";
import { eventsDoor, type EventsDoorOptions } from "./events/index.ts";
import { matrixDoor, type MatrixDoorOptions } from "./matrix/index.ts";
import { softphoneDoor, type SoftphoneDoorOptions } from "./softphone/index.ts";
import { tokenReporterDoor, type TokenReporterOptions } from "./token-reporter/index.ts";

/** What the doors need of the configuration and the core, one key a door; a door that is absent is closed. */
export interface DoorOptions {
  readonly matrix: MatrixDoorOptions;
  readonly softphone?: SoftphoneDoorOptions;
  readonly tokenReporter?: TokenReporterOptions;
  readonly deviceRegistry?: DeviceRegistryOptions;
  readonly events?: EventsDoorOptions;
}

/** THE LIST of front doors. */
export function frontDoors(options: DoorOptions): readonly FrontDoor[] {
  const { deviceRegistry, events, matrix, softphone, tokenReporter } = options;
  return [
    matrixDoor(matrix),
    ...(softphone === undefined ? [] : [softphoneDoor(softphone)]),
    ...(tokenReporter === undefined ? [] : [tokenReporterDoor(tokenReporter)]),
    ...(deviceRegistry === undefined ? [] : [deviceRegistryDoor(deviceRegistry)]),
    ...(events === undefined ? [] : [eventsDoor(events)]),
  ];
}
