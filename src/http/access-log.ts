import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, RequestHandler, Response } from "express";
import type { Clock } from "../clock.ts";
import type { HttpObserver } from "./observer.ts";
import { refusalCodeOf } from "./refusal.ts";
import { sourceOf, type RemoteAddress } from "./remote-address.ts";
import { requestIdOf } from "./request-id.ts";

/** What nginx logs for a caller that hung up first; never sent. */
const callerHungUp = 499;

/**
 * Tells the observer of a request when it is over: answered, or left by its caller.
 *
 * @param pathOf asked at the end: the pattern of the route that served it
 */
export type NoteAccess = (
  req: IncomingMessage,
  res: ServerResponse,
  pathOf: () => string | undefined,
) => void;

/** Who is told of, and by what address a caller is known. */
export interface AccessLogOptions {
  readonly observer: HttpObserver;
  readonly clock: Clock;
  readonly remoteAddress: RemoteAddress;
  /** What is logged as the caller's address. */
  readonly loggedAddress: RemoteAddress;
}

/** What notes every request, whichever way it goes through the listener. */
export function createAccessLog(options: AccessLogOptions): NoteAccess {
  const { clock, loggedAddress, observer, remoteAddress } = options;
  return (req, res, pathOf) => {
    const startedMs = clock.monotonic();
    // Read now: a closed socket has forgotten its peer.
    const address = remoteAddress(req);
    const remote = loggedAddress === remoteAddress ? address : loggedAddress(req);
    res.on("close", () => {
      const path = pathOf();
      const status = res.headersSent ? res.statusCode : callerHungUp;
      observer.accessed({
        requestId: requestIdOf(res),
        remote,
        method: req.method ?? "",
        ...(path === undefined ? {} : { path }),
        httpVersion: req.httpVersion,
        status,
        bytes: res.headersSent && req.method !== "HEAD" ? Number(res.getHeader("Content-Length") ?? 0) : 0,
        durationMs: clock.monotonic() - startedMs,
      });
      if (status < 400) return;
      const code = refusalCodeOf(res);
      if (code === undefined && !isRefusal(status)) return;
      observer.refused({
        requestId: requestIdOf(res),
        source: sourceOf(address),
        method: req.method ?? "",
        ...(path === undefined ? {} : { path }),
        status,
        ...(code === undefined ? {} : { code }),
      });
    });
  };
}

/** Without a code: what is 5xx is told of by its pushes, and who hung up was refused nothing. */
function isRefusal(status: number): boolean {
  return status < 500 && status !== callerHungUp;
}

/** For requests that go through Express. */
export function accessLog(note: NoteAccess): RequestHandler {
  return (req, res, next) => {
    note(req, res, () => servedPath(req, res));
    next();
  };
}

/** For a route that Express knows by a pattern of its own only: what it is called here, nothing of the caller's. */
export function nameRoute(res: Response, path: string): void {
  res.locals["routeName"] = path;
}

/** The pattern of the route that Express chose, which holds nothing of the caller's. */
function servedPath(req: Request, res: Response): string | undefined {
  const name: unknown = res.locals["routeName"];
  if (typeof name === "string") return name;
  const route = req.route as { readonly path?: unknown } | undefined;
  return typeof route?.path === "string" ? route.path : undefined;
}
