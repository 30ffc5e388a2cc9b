import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express, { type ErrorRequestHandler } from "express";
import { accessLog, type NoteAccess } from "./access-log.ts";
import type { FrontDoor, MountDeps } from "./door.ts";
import { HttpError } from "./errors.ts";
import { healthPath } from "./health.ts";
import { assignRequestId } from "./request-id.ts";

/** What goes for every request, whichever way it takes. */
export interface ExpressAppOptions {
  readonly doors: readonly FrontDoor[];
  readonly mountDeps: MountDeps;
  readonly noteAccess: NoteAccess;
  readonly serveHealth: RequestListener;
  /** Why a request is not looked at. */
  readonly refusalOf: (req: IncomingMessage) => HttpError | undefined;
  /** … and why one is not that no limit of its source concerns. */
  readonly manyHeaders: (req: IncomingMessage) => HttpError | undefined;
  readonly fail: (error: unknown, req: IncomingMessage, res: ServerResponse) => void;
}

/** The whole listener: middleware in order, the doors, health, 404, and the error handler last. */
export function createExpressApp(options: ExpressAppOptions): RequestListener {
  const { doors, fail, manyHeaders, mountDeps, noteAccess, refusalOf, serveHealth } = options;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.disable("query parser");
  app.enable("case sensitive routing");

  app.use((_req, res, next) => {
    assignRequestId(res);
    next();
  });
  app.use(accessLog(noteAccess));
  app.use((req, _res, next) => {
    // Whoever looks whether we are well must not be told otherwise by a flood from beside it.
    const refusal = req.path === healthPath ? manyHeaders(req) : refusalOf(req);
    if (refusal !== undefined) throw refusal;
    next();
  });
  for (const door of doors) door.mount(app, mountDeps);
  const health = express.Router({ strict: true, caseSensitive: true });
  health.all(healthPath, serveHealth);
  app.use(health);
  app.use(() => {
    throw new HttpError("unknown-path");
  });
  // Express tells an error handler by its four parameters.
  const onError: ErrorRequestHandler = (error: unknown, req, res, _next) => fail(error, req, res);
  app.use(onError);
  return app;
}
