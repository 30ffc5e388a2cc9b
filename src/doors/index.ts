import type { FrontDoor } from "../http/door.ts";
import { eventsDoor, type EventsDoorOptions } from "./events/index.ts";
import { matrixDoor, type MatrixDoorOptions } from "./matrix/index.ts";
import { softphoneDoor, type SoftphoneDoorOptions } from "./softphone/index.ts";

/** What the doors need of the configuration and the core, one key a door; a door that is absent is closed. */
export interface DoorOptions {
  readonly matrix: MatrixDoorOptions;
  readonly softphone?: SoftphoneDoorOptions;
  readonly events?: EventsDoorOptions;
}

/** THE LIST of front doors. */
export function frontDoors({ events, matrix, softphone }: DoorOptions): readonly FrontDoor[] {
  return [
    matrixDoor(matrix),
    ...(softphone === undefined ? [] : [softphoneDoor(softphone)]),
    ...(events === undefined ? [] : [eventsDoor(events)]),
  ];
}
