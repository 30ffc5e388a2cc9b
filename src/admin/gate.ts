import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { ApiKeys } from "../http/auth.ts";
import { singleHeader } from "../http/auth.ts";
import { HttpError } from "../http/errors.ts";

/** What keeps strangers away from the admin listener. */
export interface GateOptions {
  /** Bound to loopback: then whoever asks must have meant this machine. */
  readonly isLoopback: boolean;
  /** Absent: no token is asked for. */
  readonly token?: ApiKeys;
}

/**
 * Why a request may not be looked at, or undefined. A page in a browser on this machine can reach loopback, by a name
 * of its own that it lets point here (so `Host` must name this machine) or by a form (so a browser's request must come
 * from the console itself).
 */
export function strangerRefusal(req: IncomingMessage, { isLoopback }: GateOptions): HttpError | undefined {
  const host = singleHeader(req, "host");
  if (isLoopback && (host === undefined || !namesThisMachine(host))) return new HttpError("forbidden");
  const origin = req.headers.origin;
  if (origin !== undefined && origin !== `http://${host ?? ""}` && origin !== `https://${host ?? ""}`) {
    return new HttpError("forbidden");
  }
  const site = singleHeader(req, "sec-fetch-site");
  return site === undefined || site === "same-origin" || site === "none"
    ? undefined
    : new HttpError("forbidden");
}

/** Why a request may not see everything, or undefined when it may. */
export function tokenRefusal(req: IncomingMessage, { token }: GateOptions): HttpError | undefined {
  return token?.refusal(req);
}

function namesThisMachine(host: string): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  return name === "localhost" || name === "[::1]" || (isIP(name) === 4 && name.startsWith("127."));
}
