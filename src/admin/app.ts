import type { RequestListener } from "node:http";
import express, { type ErrorRequestHandler } from "express";
import type { Clock } from "../clock.ts";
import { errorAnswer, sendAnswer, type Answer } from "../http/answer.ts";
import { parseJson, readText } from "../http/body.ts";
import { logBug } from "../http/door.ts";
import { HttpError } from "../http/errors.ts";
import { assignRequestId, requestIdOf } from "../http/request-id.ts";
import type { JsonValue } from "../json.ts";
import type { Log } from "../log.ts";
import { strangerRefusal, tokenRefusal, type GateOptions } from "./gate.ts";
import type { AdminRoute } from "./route.ts";

/** What the admin listener is made of. */
export interface AdminAppOptions extends GateOptions {
  readonly routes: readonly AdminRoute[];
  readonly clock: Clock;
  readonly log: Log;
}

const MAX_BODY_BYTES = 16 * 1_024;
const MAX_DEPTH = 8;
/** What is here changes by the second and is nobody else's business. */
const HEADERS = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
} as const;

/** The admin listener's application: the gate, then the routes by path, nothing of it on the public listener (P11). */
export function createAdminApp(options: AdminAppOptions): RequestListener {
  const { clock, log, routes } = options;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.disable("query parser");
  app.enable("case sensitive routing");
  app.enable("strict routing");
  app.use((req, res, next) => {
    assignRequestId(res);
    const refusal = strangerRefusal(req, options);
    if (refusal !== undefined) throw refusal;
    next();
  });
  for (const [path, served] of Map.groupBy(routes, (route) => route.path)) {
    app.all(path, async (req, res) => {
      const method = req.method === "HEAD" ? "GET" : req.method;
      const route = served.find((each) => each.method === method);
      const refusal = tokenRefusal(req, options);
      if (route?.open !== true && refusal !== undefined) throw refusal;
      if (route === undefined) {
        const allow = served.map((each) => (each.method === "GET" ? "GET, HEAD" : each.method)).join(", ");
        throw new HttpError("wrong-method", { allow });
      }
      let body: JsonValue | undefined;
      if (route.method === "POST") {
        const text = await readText(req, res, MAX_BODY_BYTES);
        if (text === undefined) return;
        if (text instanceof HttpError) throw text;
        const parsed = text === "" ? undefined : parseJson(text, MAX_DEPTH);
        if (parsed instanceof HttpError) throw parsed;
        body = parsed;
      }
      const answer = await route.handle({ body, isAuthorized: refusal === undefined });
      log.debug("an operator asked", {
        request_id: requestIdOf(res),
        method: req.method,
        path,
        status: answer.status,
      });
      sendAnswer(req, res, withHeaders(answer), clock);
    });
  }
  app.use(() => {
    throw new HttpError("unknown-path");
  });
  // Express tells an error handler by its four parameters.
  const onError: ErrorRequestHandler = (error: unknown, req, res, _next) => {
    const refusal = error instanceof HttpError ? error : new HttpError("internal");
    if (refusal !== error) logBug(log, error, requestIdOf(res));
    if (res.headersSent) res.destroy();
    else sendAnswer(req, res, withHeaders(errorAnswer(refusal)), clock);
  };
  app.use(onError);
  return app;
}

function withHeaders(answer: Answer): Answer {
  return { ...answer, headers: { ...HEADERS, ...answer.headers } };
}
