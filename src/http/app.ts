import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express, { type ErrorRequestHandler } from "express";
import { TokenBuckets, type Allowance } from "../core/token-buckets.ts";
import { accessLog, createAccessLog } from "./access-log.ts";
import { errorAnswer, sendAnswer } from "./answer.ts";
import { logBug, type DoorDeps, type FrontDoor } from "./door.ts";
import { HttpError } from "./errors.ts";
import { FastLane } from "./fast-lane.ts";
import { health } from "./health.ts";
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
  /** `log.access.x_forwarded_for`: the access log shows what the caller says. Default false. */
  readonly logsClaimedAddress?: boolean;
}

/**
 * The public listener's application: middleware in order, the doors, health, 404, and the error handler last. The usual
 * push takes a lane of its own past Express.
 */
export function createApp(options: AppOptions): RequestListener {
  const { clock, log, observer, doors, isStopping, trustedProxies } = options;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.disable("query parser");
  app.enable("case sensitive routing");

  const remoteAddress = createRemoteAddress(trustedProxies);
  const logged = options.logsClaimedAddress === true ? claimedAddress : remoteAddress;
  const noteAccess = createAccessLog(observer, clock, logged);
  const lane = new FastLane();
  const source = (req: IncomingMessage): string => sourceOf(remoteAddress(req));
  const sources = options.perSource === undefined ? undefined : new TokenBuckets(options.perSource, clock);
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
    if (res.headersSent) res.destroy();
    else sendAnswer(req, res, errorAnswer(refusal), clock);
  };

  app.use((_req, res, next) => {
    assignRequestId(res);
    next();
  });
  app.use(accessLog(noteAccess));
  app.use((req, _res, next) => {
    // Whoever looks whether we are well must not be told otherwise by a flood from beside it.
    const refusal = req.path === "/health" ? manyHeaders(req) : refusalOf(req);
    if (refusal !== undefined) throw refusal;
    next();
  });
  for (const door of doors) door.mount(app, { ...options, lane, sourceOf: source });
  app.use(health(isStopping, clock));
  app.use((req, res) => sendAnswer(req, res, errorAnswer(new HttpError("unknown-path")), clock));
  // Express tells an error handler by its four parameters.
  const onError: ErrorRequestHandler = (error: unknown, req, res, _next) => fail(error, req, res);
  app.use(onError);

  return (req, res) => {
    const handler = lane.find(req);
    if (handler === undefined) {
      req.url = pathAndQuery(req.url ?? "/");
      app(req, res);
      return;
    }
    assignRequestId(res);
    const refusal = refusalOf(req);
    const path = refusal === undefined ? req.url : undefined;
    noteAccess(req, res, () => path);
    if (refusal !== undefined) fail(refusal, req, res);
    else handler(req, res).catch((error: unknown) => fail(error, req, res));
  };
}

function manyHeaders({ rawHeaders }: IncomingMessage): HttpError | undefined {
  return rawHeaders.length > 2 * maxHeaders ? new HttpError("header-too-large") : undefined;
}

/** A proxy may send the whole URL as target. What is no path at all becomes one that nothing is served at. */
function pathAndQuery(target: string): string {
  if (target.startsWith("/")) return target;
  const url = URL.parse(target);
  return url === null || !url.pathname.startsWith("/") ? "/*" : url.pathname + url.search;
}
