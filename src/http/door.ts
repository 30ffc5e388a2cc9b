import type { IncomingMessage, ServerResponse } from "node:http";
import type { IRouter } from "express";
import type { Clock } from "../clock.ts";
import type { Dispatcher } from "../core/dispatcher.ts";
import type { Settled } from "../core/outcome.ts";
import type { Push, Urgency } from "../core/push.ts";
import type { JsonValue } from "../json.ts";
import { errorFields, type Log } from "../log.ts";
import { errorAnswer, sendAnswer, type Answer } from "./answer.ts";
import { parseJson, readText, type BodyLimits } from "./body.ts";
import { HttpError } from "./errors.ts";
import type { HttpObserver } from "./observer.ts";
import { requestIdOf } from "./request-id.ts";

/** The first senders give up after 25 s of waiting (matrix-push 1); a second of it is left for the store's commit. */
const longestWaitMs = 24_000;
/** When the core has not answered by then, which is a bug, the door does. Counted from the request's last byte. */
const lastResortMs = 25_000;

/** How much of a stranger's request is worked on. */
export interface DoorLimits extends BodyLimits {
  readonly maxDevices: number;
}

/** What every door gets from the composition root. */
export interface DoorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: HttpObserver;
  readonly dispatcher: Dispatcher;
  readonly limits: DoorLimits;
  /** How long a push of each urgency is worth trying, from the request's last byte (P9). */
  readonly lifetimesMs: Readonly<Record<Urgency, number>>;
  /** `delivery.answer_within` (D6). A door may wait less, never more. */
  readonly answerWithinMs: number;
}

/** An HTTP protocol we serve. Adding one is a folder and a line in `doors/index.ts`. */
export interface FrontDoor {
  /** In metrics and logs. */
  readonly name: string;
  /** Adds the door's routes. Paths are case-sensitive, one trailing slash is accepted, queries are not looked at. */
  mount(router: IRouter, deps: DoorDeps): void;
}

/** What parsing may know besides the body. */
export interface ParseContext {
  readonly limits: DoorLimits;
  readonly lifetimesMs: Readonly<Record<Urgency, number>>;
  /** When the body's last byte had come, milliseconds since 1970. */
  readonly receivedAtMs: number;
  /** The body's text has escapes of NUL or of surrogates: only then may a string hold NUL or be ill-formed. */
  readonly needsCleaning: boolean;
}

/** The least that a door's parser makes of a body. */
export interface Parsed {
  readonly pushes: readonly Push[];
}

/** A door that sends: one path, JSON in, pushes, JSON out. */
export interface PushDoorOptions<P extends Parsed> {
  readonly name: string;
  readonly path: string;
  /** Pure: the body, already bounded, into pushes, or why it is refused. Never throws on any body. */
  parse(body: JsonValue, context: ParseContext): P | HttpError;
  /** Pure: what became of `parsed.pushes`, in that order, as this protocol says it. */
  answer(parsed: P, settled: readonly Settled[]): Answer;
  /** What GET answers. Absent = 405. */
  readonly onGet?: Answer;
}

/** Joins reading, parsing, dispatch and answer into a door. */
export function pushDoor<P extends Parsed>(options: PushDoorOptions<P>): FrontDoor {
  const { name, path, onGet } = options;
  const wrongMethod = errorAnswer(
    new HttpError("wrong-method", { allow: onGet === undefined ? "POST" : "GET, HEAD, POST" }),
  );
  return {
    name,
    mount(router, deps) {
      const { clock, observer } = deps;
      router.all(path, async (req, res) => {
        if (req.method !== "POST") {
          const reads = onGet !== undefined && (req.method === "GET" || req.method === "HEAD");
          sendAnswer(req, res, reads ? onGet : wrongMethod, clock);
          return;
        }
        const startedMs = clock.monotonic();
        let result: Served = { dispatched: false };
        observer.inFlight(name, 1);
        try {
          result = await serve(options, deps, req, res);
        } catch (error) {
          logBug(deps.log, error, requestIdOf(res));
          result = { dispatched: true, answer: errorAnswer(new HttpError("internal")) };
        } finally {
          observer.inFlight(name, -1);
        }
        if (result.answer !== undefined) sendAnswer(req, res, result.answer, clock);
        const status = result.answer?.status ?? (res.headersSent ? res.statusCode : undefined);
        if (status === undefined) return;
        const durationMs = clock.monotonic() - startedMs;
        observer.answered({ door: name, status, dispatched: result.dispatched, durationMs });
      });
    },
  };
}

/** How a request to a door ended; no answer when the caller left, or the server answered, before the body was in. */
interface Served {
  readonly dispatched: boolean;
  readonly answer?: Answer;
}

async function serve<P extends Parsed>(
  options: PushDoorOptions<P>,
  deps: DoorDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Served> {
  const { clock, limits, lifetimesMs } = deps;
  const text = await readText(req, res, limits.maxBodyBytes);
  if (text === undefined) return { dispatched: false };
  if (text instanceof HttpError) return refused(deps, res, text);
  const endedMs = clock.monotonic();
  const body = parseJson(text, limits.maxDepth);
  if (body instanceof HttpError) return refused(deps, res, body);
  const context = { limits, lifetimesMs, receivedAtMs: clock.now(), needsCleaning: hasEscapes(text) };
  const parsed = options.parse(body, context);
  if (parsed instanceof HttpError) return refused(deps, res, parsed);
  deps.observer.notificationReceived(options.name);
  if (parsed.pushes.length === 0) return { dispatched: true, answer: options.answer(parsed, []) };
  const settled = await withLastResort(
    deps,
    deps.dispatcher.dispatch(parsed.pushes, {
      requestId: requestIdOf(res),
      answerByMs: endedMs + Math.min(deps.answerWithinMs, longestWaitMs),
      callerGone: whenCallerLeaves(res),
    }),
  );
  if (settled !== undefined) return { dispatched: true, answer: options.answer(parsed, settled) };
  deps.log.error("the core did not settle a request in time", { request_id: requestIdOf(res) });
  return { dispatched: true, answer: errorAnswer(new HttpError("try-again")) };
}

function refused(deps: DoorDeps, res: ServerResponse, error: HttpError): Served {
  const fields = { request_id: requestIdOf(res), status: error.status, reason: error.code };
  deps.log.warn("request refused", fields);
  return { dispatched: false, answer: errorAnswer(error) };
}

/** Aborts when the connection closes while the answer is still awaited; nothing else hears of it (matrix-push 5.6). */
function whenCallerLeaves(res: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (res.destroyed || res.closed) gone.abort();
  res.once("close", () => {
    if (!res.writableEnded) gone.abort();
  });
  return gone.signal;
}

function withLastResort<T>(deps: DoorDeps, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = deps.clock.schedule(lastResortMs, () => resolve(undefined));
    work.then(resolve, reject).finally(cancel);
  });
}

/** Raw NUL is no JSON and raw surrogates no UTF-8: only escapes can bring them in. */
function hasEscapes(text: string): boolean {
  return text.includes("\\u0000") || text.includes("\\ud") || text.includes("\\uD");
}

/** Logs what can only be our own fault. */
export function logBug(log: Log, error: unknown, requestId: string): void {
  log.error("a bug ended a request", { request_id: requestId, ...errorFields(error) });
}
