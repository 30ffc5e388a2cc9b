import type { IncomingMessage, ServerResponse } from "node:http";
import type { IRouter } from "express";
import { isStoreFailure } from "../core/lookup.ts";
import type { JsonValue } from "../json.ts";
import { nameRoute } from "./access-log.ts";
import { errorAnswer, sendAnswer, type Answer } from "./answer.ts";
import { parseJson, readText } from "./body.ts";
import { logBug, traceHeaders, type DoorDeps } from "./door.ts";
import { HttpError } from "./errors.ts";
import { parseForm } from "./form.ts";
import { noteRefusal } from "./refusal.ts";
import { requestIdOf } from "./request-id.ts";

/** When a store that could not be asked may be asked again. */
const STORE_AGAIN_MS = 5_000;

/** A request of one of the methods that are served. */
export interface PlainRequest {
  readonly req: IncomingMessage;
  /** The path as it was sent, not decoded, without the query. */
  readonly path: string;
  /** The query as it was sent, without its question mark. */
  readonly query: string;
  /**
   * Reads the body, whose type decides how: a form, or else JSON. `undefined` when there is none, or when the caller
   * left.
   */
  body(): Promise<JsonValue | HttpError | undefined>;
}

/** One path of a door that sends nothing. */
export interface PlainRoute {
  /** The door's name. */
  readonly name: string;
  /** Served with everything below it, or (`below` absent) with a slash at its end at most. */
  readonly path: string;
  readonly below?: true;
  readonly methods: readonly ("GET" | "POST")[];
  /** Never throws but for a bug of ours and for the store's failure, which is answered 503. */
  handle(request: PlainRequest): Promise<Answer | HttpError>;
  /** A refusal as this protocol says it. Absent = as Matrix does. */
  readonly refuse?: (error: HttpError) => Answer;
}

/** Mounts a path; whoever asks another method is told which ones are served. */
export function mountPlainRoute(route: PlainRoute, router: IRouter, deps: DoorDeps): void {
  const { clock, log, observer } = deps;
  const { name, refuse = errorAnswer } = route;
  // A pattern without parameters: Express would decode them, and fail on what is no UTF-8.
  const path = route.path.replaceAll(".", "\\.");
  router.all(new RegExp(route.below === true ? `^${path}(?:/.*)?$` : `^${path}/?$`), async (req, res) => {
    nameRoute(res, route.path);
    if (!route.methods.some((method) => method === req.method)) {
      const allow = route.methods.join(", ");
      const refusal = new HttpError("wrong-method", { allow });
      noteRefusal(res, refusal);
      sendAnswer(req, res, refuse(refusal), clock);
      return;
    }
    const startedMs = clock.monotonic();
    observer.inFlight(name, 1);
    let answer: Answer;
    try {
      const result = await route.handle(readable(req, res, deps));
      if (result instanceof HttpError) {
        log.debug("request refused", {
          request_id: requestIdOf(res),
          status: result.status,
          reason: result.code,
        });
        noteRefusal(res, result);
      }
      answer = result instanceof HttpError ? refuse(result) : result;
    } catch (error) {
      const isStore = isStoreFailure(error);
      if (!isStore) logBug(log, error, requestIdOf(res));
      const refusal = isStore
        ? new HttpError("unavailable", { retryAfterMs: STORE_AGAIN_MS })
        : new HttpError("internal");
      noteRefusal(res, refusal);
      answer = refuse(refusal);
    } finally {
      observer.inFlight(name, -1);
    }
    sendAnswer(req, res, answer, clock);
    observer.answered({
      door: name,
      requestId: requestIdOf(res),
      trace: traceHeaders(req),
      status: answer.status,
      dispatched: false,
      durationMs: clock.monotonic() - startedMs,
    });
  });
}

function readable(req: IncomingMessage, res: ServerResponse, deps: DoorDeps): PlainRequest {
  const [path = "", ...query] = (req.url ?? "").split("?");
  return {
    req,
    path,
    query: query.join("?"),
    async body() {
      const text = await readText(req, res, deps.limits.maxBodyBytes);
      if (text === undefined || text instanceof HttpError) return text;
      const type = (req.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
      if (text.trim() === "") return undefined;
      // Without a type it is what it looks like.
      const isForm = type === "" ? !/^\s*[[{]/.test(text) : type === "application/x-www-form-urlencoded";
      if (isForm) return parseForm(text);
      return parseJson(text, deps.limits.maxDepth);
    },
  };
}
