import type { IncomingMessage, ServerResponse } from "node:http";
import type { IRouter } from "express";
import type { Clock } from "../clock.ts";
import { Deadlines } from "../core/deadlines.ts";
import type { Dispatcher } from "../core/dispatcher.ts";
import { whenKnown } from "../core/lookup.ts";
import type { Settled } from "../core/outcome.ts";
import type { Push, Urgency } from "../core/push.ts";
import type { JsonValue } from "../json.ts";
import { errorFields, type Log } from "../log.ts";
import { errorAnswer, sendAnswer, type Answer } from "./answer.ts";
import { givenKey, type ApiKeys } from "./auth.ts";
import { parseJson, readText, type BodyLimits } from "./body.ts";
import { HttpError } from "./errors.ts";
import type { FastLane, RouteHandler } from "./fast-lane.ts";
import { parseForm } from "./form.ts";
import { idempotencyKey, type Concluded, type Idempotency } from "./idempotency.ts";
import type { HttpObserver, TraceHeaders } from "./observer.ts";
import { noteRefusal } from "./refusal.ts";
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
  /** For doors whose senders may name a repeat. Absent = such a name says nothing. */
  readonly idempotency?: Idempotency;
}

/** What a door's routes are served with. */
export interface MountDeps extends DoorDeps {
  /** Where a request came from, as limits count it. */
  readonly sourceOf: (req: IncomingMessage) => string;
}

/** An HTTP protocol we serve. Adding one is a folder and a line in `doors/index.ts`. */
export interface FrontDoor {
  /** In metrics and logs. */
  readonly name: string;
  /** Adds the door's routes. Paths are case-sensitive, one trailing slash is accepted, queries are not looked at. */
  mount(router: IRouter, deps: MountDeps): void;
  /** Lets its usual requests past Express. Absent: all of them need it. */
  enter?(lane: FastLane, deps: MountDeps): void;
}

/** What parsing may know besides the body. */
export interface ParseContext {
  readonly limits: DoorLimits;
  readonly lifetimesMs: Readonly<Record<Urgency, number>>;
  /** When the body's last byte had come, milliseconds since 1970. */
  readonly receivedAtMs: number;
  /** The body's text has escapes of NUL or of surrogates: only then may a string hold NUL or be ill-formed. */
  readonly needsCleaning: boolean;
  /** What the request's `Idempotency-Key` makes of it: its pushes are duplicates of those of a request with the same. */
  readonly repeatScope?: string;
}

/** The least that a door's parser makes of a body. */
export interface Parsed {
  readonly pushes: readonly Push[];
}

/** One path of a door that sends. */
export interface PushRoute<P extends Parsed> {
  readonly path: string;
  /** Who may send, asked before the body is read. Absent = whoever reaches the listener. */
  readonly keys?: ApiKeys;
  /** What the body must be. Absent = JSON, whatever its type is said to be. */
  readonly body?: "json" | "form";
  /** Keys that JSON may have here. Absent = as everywhere. */
  readonly maxKeys?: number;
  /** Repeats under an `Idempotency-Key` are one request. */
  readonly isRepeatable?: true;
  /** What becomes of a body, already bounded: pushes, or why it is refused. Never throws on any body. */
  parse(body: JsonValue, context: ParseContext): P | HttpError | Promise<P | HttpError>;
  /** Pure: what became of `parsed.pushes`, in that order, as this protocol says it. */
  answer(parsed: P, settled: readonly Settled[]): Answer;
  /** Pure: a refusal as this protocol says it. Absent = as Matrix does. */
  readonly refuse?: (error: HttpError) => Answer;
  /** What GET answers. Absent = it is refused like every method but POST. */
  readonly onGet?: Answer;
}

/** A path with what is made of its bodies: doors list paths of different types. */
export interface MountedRoute {
  mount(name: string, router: IRouter, deps: MountDeps): void;
  enter(name: string, lane: FastLane, deps: MountDeps): void;
}

/** Ties a path to the type that its parser makes and its answer takes. */
export function pushRoute<P extends Parsed>(route: PushRoute<P>): MountedRoute {
  return {
    mount: (name, router, deps) => void router.all(route.path, handlerFor(name, route, deps)),
    enter: (name, lane, deps) => lane.add(route.path, handlerFor(name, route, deps)),
  };
}

/** A door that sends, with its paths. */
export function pushDoor(name: string, routes: readonly MountedRoute[]): FrontDoor {
  return {
    name,
    mount(router, deps) {
      for (const route of routes) route.mount(name, router, deps);
    },
    enter(lane, deps) {
      for (const route of routes) route.enter(name, lane, deps);
    },
  };
}

function handlerFor<P extends Parsed>(name: string, route: PushRoute<P>, deps: MountDeps): RouteHandler {
  const { clock, observer } = deps;
  const { onGet, refuse = errorAnswer } = route;
  const wrongMethod = new HttpError("wrong-method", {
    allow: onGet === undefined ? "POST" : "GET, HEAD, POST",
  });
  const routeDeps: RouteDeps = { ...deps, lastResorts: new Deadlines(clock) };
  return (req, res) => {
    if (req.method !== "POST") {
      const reads = onGet !== undefined && (req.method === "GET" || req.method === "HEAD");
      if (!reads) noteRefusal(res, wrongMethod);
      sendAnswer(req, res, reads ? onGet : refuse(wrongMethod), clock);
      return Promise.resolve();
    }
    const startedMs = clock.monotonic();
    observer.inFlight(name, 1);
    const ended = ({ answer, dispatched }: Served): void => {
      observer.inFlight(name, -1);
      if (answer !== undefined) sendAnswer(req, res, answer, clock);
      const status = answer?.status ?? (res.headersSent ? res.statusCode : undefined);
      if (status === undefined) return;
      const durationMs = clock.monotonic() - startedMs;
      const requestId = requestIdOf(res);
      observer.answered({ door: name, requestId, trace: traceHeaders(req), status, dispatched, durationMs });
    };
    return serve(name, route, routeDeps, { req, res, startedMs }).then(ended, (error: unknown) => {
      logBug(deps.log, error, requestIdOf(res));
      ended({ dispatched: true, answer: refuse(new HttpError("internal")) });
    });
  };
}

/** What a route's requests are served with. */
interface RouteDeps extends MountDeps {
  readonly lastResorts: Deadlines;
}

/** How a request to a door ended; no answer when the caller left, or the server answered, before the body was in. */
interface Served {
  readonly dispatched: boolean;
  readonly answer?: Answer;
}

async function serve<P extends Parsed>(
  name: string,
  route: PushRoute<P>,
  deps: RouteDeps,
  { req, res, startedMs }: BegunRequest,
): Promise<Served> {
  const refusal = route.keys?.refusal(req) ?? checkContentType(route, req);
  if (refusal !== undefined) return refused(route, deps, res, refusal);
  const key = route.isRepeatable === true ? idempotencyKey(req) : undefined;
  if (key instanceof HttpError) return refused(route, deps, res, key);
  const text = await readText(req, res, deps.limits.maxBodyBytes);
  if (text === undefined) return { dispatched: false };
  if (text instanceof HttpError) return refused(route, deps, res, text);
  const endedMs = deps.clock.monotonic();
  if (key === undefined || deps.idempotency === undefined) {
    const concluded = await conclude(name, route, deps, {
      req,
      res,
      startedMs,
      text,
      endedMs,
      scope: undefined,
    });
    return concluded instanceof HttpError
      ? refused(route, deps, res, concluded)
      : { dispatched: true, answer: concluded.answer };
  }
  // Without a key the senders of one address are one: strangers who count from 1 must not have each other's answers.
  // No header can hold a line end, so no key is taken for an address.
  const shown = givenKey(req) ?? "";
  const credential = shown === "" ? `\n${deps.sourceOf(req)}` : shown;
  const work = async (scope: string): Promise<Concluded | HttpError> =>
    conclude(name, route, deps, { req, res, startedMs, text, endedMs, scope });
  const answer = await deps.idempotency.run({ credential, path: route.path, key, body: text }, work);
  return answer instanceof HttpError ? refused(route, deps, res, answer) : { dispatched: true, answer };
}

/** A request whose headers are in. */
interface BegunRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** On the monotonic clock. */
  readonly startedMs: number;
}

/** A request whose body is in. */
interface ReadRequest extends BegunRequest {
  readonly text: string;
  /** When its last byte had come, on the monotonic clock. */
  readonly endedMs: number;
  readonly scope: string | undefined;
}

function conclude<P extends Parsed>(
  name: string,
  route: PushRoute<P>,
  deps: RouteDeps,
  request: ReadRequest,
): Concluded | HttpError | Promise<Concluded | HttpError> {
  const { clock, limits, lifetimesMs } = deps;
  const { scope, text } = request;
  const body = route.body === "form" ? parseForm(text) : parseJson(text, limits.maxDepth, route.maxKeys);
  if (body instanceof HttpError) return body;
  const parsed = route.parse(body, {
    limits,
    lifetimesMs,
    receivedAtMs: clock.now(),
    needsCleaning: hasEscapes(text) || route.body === "form",
    ...(scope === undefined ? {} : { repeatScope: scope }),
  });
  return whenKnown(parsed, (one) =>
    one instanceof HttpError ? one : dispatch(name, route, deps, request, one),
  );
}

function dispatch<P extends Parsed>(
  name: string,
  route: PushRoute<P>,
  deps: RouteDeps,
  { req, res, startedMs, endedMs }: ReadRequest,
  parsed: P,
): Concluded | Promise<Concluded> {
  deps.observer.notificationReceived({
    door: name,
    requestId: requestIdOf(res),
    trace: traceHeaders(req),
    elapsedMs: deps.clock.monotonic() - startedMs,
    pushes: parsed.pushes,
  });
  if (parsed.pushes.length === 0) return { answer: route.answer(parsed, []), isFinal: true };
  const settling = deps.dispatcher.dispatch(parsed.pushes, {
    requestId: requestIdOf(res),
    answerByMs: endedMs + Math.min(deps.answerWithinMs, longestWaitMs),
    callerGone: whenCallerLeaves(res),
  });
  return orLastResort(deps.lastResorts, endedMs + lastResortMs, settling).then((settled) => {
    if (settled !== undefined) {
      const isFinal = settled.every((each) => each.kind !== "retryable");
      return { answer: route.answer(parsed, settled), isFinal };
    }
    deps.log.error("the core did not settle a request in time", { request_id: requestIdOf(res) });
    const { refuse = errorAnswer } = route;
    return { answer: refuse(new HttpError("try-again")), isFinal: false };
  });
}

/** What a request's headers say of a trace that it belongs to. */
export function traceHeaders({ headers }: IncomingMessage): TraceHeaders {
  const { traceparent } = headers;
  const uberTraceId = headers["uber-trace-id"];
  return {
    ...(typeof traceparent === "string" ? { traceparent } : {}),
    ...(typeof uberTraceId === "string" ? { uberTraceId } : {}),
  };
}

/** Matrix takes whatever is JSON; the other protocols name the type that they take, parameters aside. */
function checkContentType<P extends Parsed>(
  { body }: PushRoute<P>,
  req: IncomingMessage,
): HttpError | undefined {
  if (body === undefined) return undefined;
  const type = (req.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  const wanted = body === "form" ? "application/x-www-form-urlencoded" : "application/json";
  return type === wanted ? undefined : new HttpError("wrong-content-type");
}

function refused(
  { refuse = errorAnswer }: Pick<PushRoute<Parsed>, "refuse">,
  deps: DoorDeps,
  res: ServerResponse,
  error: HttpError,
): Served {
  const fields = { request_id: requestIdOf(res), status: error.status, reason: error.code };
  deps.log.warn("request refused", fields);
  noteRefusal(res, error);
  return { dispatched: false, answer: refuse(error) };
}

/** Aborted when the connection closes while the answer is still awaited; nothing else hears of it (matrix-push 5.6). */
function whenCallerLeaves(res: ServerResponse): { readonly aborted: boolean } {
  const caller = { aborted: res.destroyed || res.closed };
  res.on("close", () => {
    if (!res.writableEnded) caller.aborted = true;
  });
  return caller;
}

/** What the work comes to, or undefined when that is not there in time. */
function orLastResort<T>(deadlines: Deadlines, atMs: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const deadline = deadlines.add(atMs, () => resolve(undefined));
    work.then(
      (result) => {
        deadline.cancel();
        resolve(result);
      },
      (error: unknown) => {
        deadline.cancel();
        reject(error instanceof Error ? error : new Error("the core failed"));
      },
    );
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
