import type { RequestListener } from "node:http";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { TokenBuckets, type Allowance } from "../core/token-buckets.ts";
import { accessLog } from "./access-log.ts";
import { errorAnswer, sendAnswer } from "./answer.ts";
import { logBug, type DoorDeps, type FrontDoor } from "./door.ts";
import { HttpError } from "./errors.ts";
import { health } from "./health.ts";
import { createRemoteAddress, sourceOf } from "./remote-address.ts";
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
}

/** The public listener's application: middleware in order, the doors, health, 404, and the error handler last. */
export function createApp(options: AppOptions): RequestListener {
  const { clock, log, observer, doors, isStopping, trustedProxies } = options;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.disable("query parser");
  app.enable("case sensitive routing");

  app.use(assignRequestId);
  const remoteAddress = createRemoteAddress(trustedProxies);
  app.use(accessLog(observer, clock, remoteAddress));
  app.use(refuseManyHeaders);
  if (options.perSource !== undefined) {
    const sources = new TokenBuckets(options.perSource, clock);
    app.use((req, _res, next) => {
      // Whoever looks whether we are well must not be told otherwise by a flood from beside it.
      if (req.path === "/health") return next();
      const retryAfterMs = sources.take(sourceOf(remoteAddress(req)));
      if (retryAfterMs > 0) throw new HttpError("limited", { retryAfterMs });
      next();
    });
  }
  for (const door of doors) door.mount(app, options);
  app.use(health(isStopping, clock));
  app.use((req, res) => sendAnswer(req, res, errorAnswer(new HttpError("unknown-path")), clock));
  // Express tells an error handler by its four parameters.
  const onError: ErrorRequestHandler = (error: unknown, req, res, _next) => {
    const refusal = error instanceof HttpError ? error : new HttpError("internal");
    if (refusal !== error) logBug(log, error, requestIdOf(res));
    if (res.headersSent) res.destroy();
    else sendAnswer(req, res, errorAnswer(refusal), clock);
  };
  app.use(onError);

  return (req, res) => {
    req.url = pathAndQuery(req.url ?? "/");
    app(req, res);
  };
}

const refuseManyHeaders: RequestHandler = (req, _res, next) => {
  if (req.rawHeaders.length > 2 * maxHeaders) throw new HttpError("header-too-large");
  next();
};

/** A proxy may send the whole URL as target. What is no path at all becomes one that nothing is served at. */
function pathAndQuery(target: string): string {
  if (target.startsWith("/")) return target;
  const url = URL.parse(target);
  return url === null || !url.pathname.startsWith("/") ? "/*" : url.pathname + url.search;
}
