import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import { errorAnswer, sendAnswer } from "./answer.ts";
import { HttpError } from "./errors.ts";
import { noteRefusal } from "./refusal.ts";

/** Without a trailing slash, as in Sygnal (sygnal-compat 5). */
export const healthPath = "/health";

/** Empty on purpose: 200 while serving, 503 from the moment a stop is asked for, so that a balancer looks elsewhere. */
export function health(
  isStopping: () => boolean,
  clock: Clock,
): (req: IncomingMessage, res: ServerResponse) => undefined {
  const wrongMethod = new HttpError("wrong-method", { allow: "GET, HEAD" });
  return (req, res) => {
    const asks = req.method === "GET" || req.method === "HEAD";
    if (!asks) noteRefusal(res, wrongMethod);
    const answer = asks ? { status: isStopping() ? 503 : 200, body: "" } : errorAnswer(wrongMethod);
    sendAnswer(req, res, answer, clock);
  };
}
