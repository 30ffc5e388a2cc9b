import type { FrontDoor } from "../http/door.ts";
import { matrixDoor, type MatrixDoorOptions } from "./matrix/index.ts";

/** What the doors need of the configuration, one key a door. */
export interface DoorOptions {
  readonly matrix: MatrixDoorOptions;
}

/** THE LIST of front doors. */
export function frontDoors(options: DoorOptions): readonly FrontDoor[] {
  return [matrixDoor(options.matrix)];
}
