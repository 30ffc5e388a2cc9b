import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";

/** A rest of the body up to this size is read away after the answer, and the connection stays usable. */
const smallRestBytes = 64 * 1024;
/** How long, and for how many bytes, a larger rest is read away before the connection is closed. */
const lingerMs = 1500;
const lingerBytes = 4 * 1024 * 1024;

/** True for a request that announced a body. */
export function hasBody(req: IncomingMessage): boolean {
  const { headers } = req;
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length !== undefined && length !== "0";
}

/** True when so much of the request's body may still come that the connection is better closed than kept. */
export function hasUnreadRest(req: IncomingMessage): boolean {
  if (req.complete || !hasBody(req)) return false;
  // Whoever asked before sending and hears no may or may not send: the next request could not be told from the body.
  if (req.headers.expect !== undefined) return true;
  return !(Number(req.headers["content-length"]) <= smallRestBytes);
}

/**
 * Writes the body of an answer whose headers are set, reads the request's rest away for a while, then ends. A socket
 * closed with unread bytes resets the connection, and a caller that is still writing would lose the answer (H05).
 */
export function lingerThenEnd(req: IncomingMessage, res: ServerResponse, body: string, clock: Clock): void {
  let left = lingerBytes;
  const discard = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) end();
  };
  const end = (): void => {
    cancel();
    req.off("data", discard);
    req.off("end", end);
    req.off("close", end);
    res.end();
  };
  const cancel = clock.schedule(lingerMs, end);
  res.write(body);
  req.on("data", discard);
  req.once("end", end);
  req.once("close", end);
  req.resume();
}
