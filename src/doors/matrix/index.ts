import { jsonAnswer } from "../../http/answer.ts";
import { pushDoor, pushRoute, type FrontDoor } from "../../http/door.ts";
import { answerNotify } from "./answer.ts";
import { parseNotify } from "./parse.ts";

/** The one endpoint of the Matrix push gateway API (matrix-push 1). */
export const notifyPath = "/_matrix/push/v1/notify";

/** Says that a UnifiedPush app may take this as its gateway, in today's form and in that of older apps (7.4). */
const discovery = jsonAnswer(200, { unifiedpush: { gateway: "matrix" }, gateway: "matrix" });

/** The Matrix door's part of the configuration. */
export interface MatrixDoorOptions {
  /** `matrix.unifiedpush_gateway`: answer UnifiedPush discovery on GET. */
  readonly unifiedpushGateway: boolean;
}

/** The Matrix push gateway API. */
export function matrixDoor(options: MatrixDoorOptions): FrontDoor {
  const route = pushRoute({
    path: notifyPath,
    parse: parseNotify,
    answer: answerNotify,
    ...(options.unifiedpushGateway ? { onGet: discovery } : {}),
  });
  return pushDoor("matrix", [route]);
}
