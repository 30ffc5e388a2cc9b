import type { Push } from "../core/push.ts";
import type { HttpErrorCode } from "./errors.ts";

/** What a request's headers say of a trace that it belongs to, as they came. */
export interface TraceHeaders {
  /** W3C Trace Context. */
  readonly traceparent?: string;
  /** Jaeger's `uber-trace-id`. */
  readonly uberTraceId?: string;
}

/** A door has understood a body. */
export interface UnderstoodEvent {
  readonly door: string;
  readonly requestId: string;
  readonly trace: TraceHeaders;
  /** Since the request's headers. Milliseconds. */
  readonly elapsedMs: number;
  readonly pushes: readonly Push[];
}

/** A door's own answer, a refusal included; the 404s and 405s around it are not among them (sygnal-compat 13). */
export interface DoorAnswerEvent {
  /** The door's name: `matrix`, … */
  readonly door: string;
  readonly requestId: string;
  readonly trace: TraceHeaders;
  readonly status: number;
  /** False when the request was refused before any push was made of it. */
  readonly dispatched: boolean;
  /** From the request's headers to the answer. Milliseconds. */
  readonly durationMs: number;
}

/** One line of an access log. Holds no query, no header of the caller's and no path that is not ours (D14). */
export interface AccessEvent {
  readonly requestId: string;
  /** The caller's address, behind trusted proxies the one they name. */
  readonly remote: string;
  readonly method: string;
  /** The route that served it, parameters as `:name`; absent when nothing is served there. */
  readonly path?: string;
  readonly httpVersion: string;
  /** 499 when the caller hung up before an answer. */
  readonly status: number;
  /** Of the answer's body. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** A request was refused, so that no push was made of it. */
export interface RefusedEvent extends Pick<AccessEvent, "requestId" | "method" | "path" | "status"> {
  /** Absent when a door refused it by an answer of its own. */
  readonly code?: HttpErrorCode;
  /** Who sent it, as limits count senders: nothing that he can choose. */
  readonly source: string;
}

/** What turns requests away: `limits.per_source`, `limits.per_account`, and wrong credentials of one source. */
export const requestLimits = ["source", "account", "credentials"] as const;
export type RequestLimit = (typeof requestLimits)[number];

/** What the listener tells whoever counts or logs. No method throws or waits. */
export interface HttpObserver {
  /** A door made pushes of a body. */
  notificationReceived(event: UnderstoodEvent): void;
  /** A request to a door began (1) or ended (-1). */
  inFlight(door: string, change: 1 | -1): void;
  answered(event: DoorAnswerEvent): void;
  /** Any request ended, whatever it was for. */
  accessed(event: AccessEvent): void;
  /** … after which, of one that was refused. */
  refused(event: RefusedEvent): void;
  /** A request was turned away with 429. */
  limited(by: RequestLimit): void;
  /** What came was no complete HTTP request: refused with this status, or 0 when nothing could be written. */
  unreadable(status: number): void;
}

/** Tells nobody. */
export const silentHttpObserver: HttpObserver = {
  notificationReceived() {},
  inFlight() {},
  answered() {},
  accessed() {},
  refused() {},
  limited() {},
  unreadable() {},
};

/** Tells each in turn, of each event only those who listen to it. */
export function combineHttpObservers(...observers: readonly HttpObserver[]): HttpObserver {
  const listenersTo = (event: keyof HttpObserver): readonly HttpObserver[] =>
    observers.filter((observer) => observer[event] !== silentHttpObserver[event]);
  const notificationReceived = listenersTo("notificationReceived");
  const inFlight = listenersTo("inFlight");
  const answered = listenersTo("answered");
  const accessed = listenersTo("accessed");
  const refused = listenersTo("refused");
  const limited = listenersTo("limited");
  const unreadable = listenersTo("unreadable");
  return {
    notificationReceived(event) {
      for (const one of notificationReceived) one.notificationReceived(event);
    },
    inFlight(door, change) {
      for (const one of inFlight) one.inFlight(door, change);
    },
    answered(event) {
      for (const one of answered) one.answered(event);
    },
    accessed(event) {
      for (const one of accessed) one.accessed(event);
    },
    refused(event) {
      for (const one of refused) one.refused(event);
    },
    limited(by) {
      for (const one of limited) one.limited(by);
    },
    unreadable(status) {
      for (const one of unreadable) one.unreadable(status);
    },
  };
}
