import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { ownBuckets, type Allowance, type MakeBuckets } from "../core/token-buckets.ts";
import { lateListener } from "../late-listener.ts";
import { createAccessLog } from "./access-log.ts";
import { errorAnswer, sendAnswer } from "./answer.ts";
import { logBug, type DoorDeps, type FrontDoor } from "./door.ts";
import { HttpError } from "./errors.ts";
import { FastLane } from "./fast-lane.ts";
import { health, healthPath } from "./health.ts";
import { noteRefusal } from "./refusal.ts";
import { claimedAddress, createRemoteAddress, sourceOf } from "./remote-address.ts";
import { assignRequestId, requestIdOf } from "./request-id.ts";

/** Sygnal's bound; names and values are bounded by the header's size. */
const maxHeaders = 500;

/** What the public listener serves. */
export interface AppOptions extends DoorDeps {
  readonly doors: readonly FrontDoor[];
  /** True from the moment a stop was asked for: the health answer turns to 503. */
  readonly isStopping: () => boolean;
  /** `http.trusted_proxies`: CIDRs or addresses, already checked. */
  readonly trustedProxies: readonly string[];
  /** `limits.per_source`: requests from one address. Absent = no limit. */
  readonly perSource?: Allowance;
  /** Absent = this thread is the only one. */
  readonly makeBuckets?: MakeBuckets;
  /** `log.access.x_forwarded_for`: the access log shows what the caller says. Default false. */
  readonly logsClaimedAddress?: boolean;
}

/**
 * The public listener's application: the usual push and the question after its health take a lane of their own; for
 * everything else Express is loaded when it is first needed.
 */
export function createApp(options: AppOptions): RequestListener {
  const { clock, log, observer, doors, isStopping, trustedProxies } = options;
  const remoteAddress = createRemoteAddress(trustedProxies);
  const loggedAddress = options.logsClaimedAddress === true ? claimedAddress : remoteAddress;
  const noteAccess = createAccessLog({ observer, clock, remoteAddress, loggedAddress });
  const lane = new FastLane();
  const source = (req: IncomingMessage): string => sourceOf(remoteAddress(req));
  const { makeBuckets = ownBuckets, perSource } = options;
  const sources = perSource === undefined ? undefined : makeBuckets("source", perSource, clock);
  /** Why a request is not looked at, whichever way it goes. */
  const refusalOf = (req: IncomingMessage): HttpError | undefined => {
    const refusal = manyHeaders(req);
    if (refusal !== undefined) return refusal;
    const retryAfterMs = sources?.take(source(req)) ?? 0;
    if (retryAfterMs === 0) return undefined;
    observer.limited("source");
    return new HttpError("limited", { retryAfterMs });
  };
  const fail = (error: unknown, req: IncomingMessage, res: ServerResponse): void => {
    const refusal = error instanceof HttpError ? error : new HttpError("internal");
    if (refusal !== error) logBug(log, error, requestIdOf(res));
    noteRefusal(res, refusal);
    if (res.headersSent) res.destroy();
    else sendAnswer(req, res, errorAnswer(refusal), clock);
  };

  const mountDeps = { ...options, sourceOf: source };
  for (const door of doors) door.enter?.(lane, mountDeps);
  const serveHealth = health(isStopping, clock);
  const wide = lateListener(async () => {
    const { createExpressApp } = await import("./express-app.ts");
    return createExpressApp({ doors, mountDeps, noteAccess, serveHealth, refusalOf, manyHeaders, fail });
  }, fail);
  // Whoever has doors of that kind shall not wait for it at his first request.
  if (doors.some((door) => door.enter === undefined)) wide.load();

  return (req, res) => {
    const isHealth = req.url === healthPath;
    const handler: LaneHandler | undefined = isHealth ? serveHealth : lane.find(req);
    if (handler === undefined) {
      req.url = pathAndQuery(req.url ?? "/");
      wide.serve(req, res);
      return;
    }
    assignRequestId(res);
    const refusal = isHealth ? manyHeaders(req) : refusalOf(req);
    const path = refusal === undefined ? req.url : undefined;
    noteAccess(req, res, () => path);
    if (refusal !== undefined) fail(refusal, req, res);
    else void handler(req, res)?.catch((error: unknown) => fail(error, req, res));
  };
}

type LaneHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void> | undefined;

function manyHeaders({ rawHeaders }: IncomingMessage): HttpError | undefined {
  return rawHeaders.length > 2 * maxHeaders ? new HttpError("header-too-large") : undefined;
}

/** A proxy may send the whole URL as target. What is no path at all becomes one that nothing is served at. */
function pathAndQuery(target: string): string {
  if (target.startsWith("/")) return target;
  const url = URL.parse(target);
  return url === null || !url.pathname.startsWith("/") ? "/*" : url.pathname + url.search;
}
