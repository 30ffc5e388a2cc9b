import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Clock } from "../clock.ts";
import { silentObserver, type AttemptEvent, type Observer } from "../core/observer.ts";
import type { Push } from "../core/push.ts";
import { silentHttpObserver, type HttpObserver, type TraceHeaders } from "../http/observer.ts";
import { parentOf } from "./propagation.ts";

/** Where spans go. */
export interface TracingOptions {
  /** The collector's base URL, such as `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  readonly serviceName: string;
  /** Of the requests that no caller has decided on, 0 to 1. */
  readonly share: number;
  readonly clock: Clock;
  readonly version: string;
  /** An event id as logs name it: by a keyed hash. */
  readonly eventDigest: (eventId: string) => string;
}

/** Spans of requests, pushes and attempts: two observers make them. */
export interface Tracing {
  readonly observer: Observer;
  readonly httpObserver: HttpObserver;
  /** Hands on what waits, for at most a second. */
  close(): Promise<void>;
}

/** Requests and pushes whose spans are open; past it the oldest are forgotten, and their spans are lost. */
const MAX_OPEN = 20_000;
const EXPORT_LIMIT_MS = 5_000;
const CLOSE_LIMIT_MS = 1_000;
/** Sygnal's names (sygnal-compat 15); its Web Push has no spans, ours is named like its siblings. */
const NOTIFY = "pushgateway_v1_notify";

/** The span of one push, from its request's to its end. */
interface OpenPush {
  readonly parent: Context;
  dispatch?: { readonly span: Span; readonly context: Context };
  isAnswered?: true;
}

/**
 * Spans under Sygnal's names and attributes, sent as OTLP over HTTP. They hold ids, statuses and reasons from closed
 * lists; never content, names or pushkeys, and of an event id its keyed hash (D14).
 */
export function startTracing(options: TracingOptions): Tracing {
  const exporter = new OTLPTraceExporter({
    url: `${options.endpoint.replace(/\/$/, "")}/v1/traces`,
    timeoutMillis: EXPORT_LIMIT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": options.serviceName,
      "service.version": options.version,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.share) }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  const spans = new Spans(provider.getTracer("signalbox"), options);
  return {
    observer: spans.observer,
    httpObserver: spans.httpObserver,
    async close() {
      let cancel = (): void => {};
      const limit = new Promise<void>((resolve) => {
        cancel = options.clock.schedule(CLOSE_LIMIT_MS, () => resolve());
      });
      await Promise.race([provider.shutdown().catch(() => undefined), limit]);
      cancel();
    },
  };
}

class Spans {
  readonly observer: Observer;
  readonly httpObserver: HttpObserver;
  readonly #tracer: Tracer;
  readonly #options: TracingOptions;
  /** By request id. */
  readonly #requests = new Map<string, Span>();
  /** By push id, until it has ended. */
  readonly #pushes = new Map<string, OpenPush>();

  constructor(tracer: Tracer, options: TracingOptions) {
    this.#tracer = tracer;
    this.#options = options;
    this.observer = {
      ...silentObserver,
      attemptEnded: (event) => this.#attemptEnded(event),
      settled: ({ push, pushkin, settled }) => {
        const open = this.#pushes.get(push.id);
        if (open === undefined) return;
        const dispatch = this.#dispatchOf(open, pushkin ?? "unknown", this.#options.clock.now());
        const reason = "reason" in settled ? settled.reason : "";
        dispatch.span.setAttributes({ outcome: settled.kind, ...(reason === "" ? {} : { reason }) });
        if (reason === "nothing-to-send" && pushkin === "apns") dispatch.span.addEvent("apns_no_payload");
        if (pushkin === "gcm") {
          dispatch.span.setAttributes({
            gcm_num_devices: 1,
            gcm_num_failed: settled.kind === "delivered" || settled.kind === "accepted" ? 0 : 1,
          });
        }
        dispatch.span.end(this.#options.clock.now());
        open.isAnswered = true;
        // What is promised has attempts yet to come.
        if (settled.kind !== "accepted") this.#pushes.delete(push.id);
      },
      concluded: ({ facts }) => void this.#pushes.delete(facts.id),
      superseded: ({ push }) => void this.#pushes.delete(push),
    };
    this.httpObserver = {
      ...silentHttpObserver,
      notificationReceived: ({ door, requestId, trace: headers, elapsedMs, pushes }) => {
        const span = this.#startRequest(door, requestId, headers, elapsedMs);
        span.setAttributes(this.#attributesOf(pushes));
        remember(this.#requests, requestId, span);
        const parent = trace.setSpan(ROOT_CONTEXT, span);
        for (const { id } of pushes) remember(this.#pushes, id, { parent });
      },
      answered: ({ door, requestId, trace: headers, status, durationMs }) => {
        const known = this.#requests.get(requestId);
        this.#requests.delete(requestId);
        const span = known ?? this.#startRequest(door, requestId, headers, durationMs);
        span.setAttribute("http.status_code", status);
        if (status < 200 || status > 299) {
          span.setAttribute("error", true);
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        span.end(this.#options.clock.now());
      },
    };
  }

  #startRequest(door: string, requestId: string, headers: TraceHeaders, elapsedMs: number): Span {
    const caller = parentOf(headers);
    const parent = caller === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, caller);
    return this.#tracer.startSpan(
      door === "matrix" ? NOTIFY : `pushgateway_${door}`,
      {
        kind: SpanKind.SERVER,
        startTime: this.#options.clock.now() - elapsedMs,
        attributes: { "span.kind": "server", request_id: requestId },
      },
      parent,
    );
  }

  /** Of the one notification that all the pushes are for. */
  #attributesOf(pushes: readonly Push[]): Attributes {
    const [push] = pushes;
    if (push?.content.kind !== "matrix") return {};
    const { content, eventId } = push.content;
    return {
      has_content: content !== undefined,
      ...(eventId === undefined ? {} : { event_id: this.#options.eventDigest(eventId) }),
    };
  }

  #attemptEnded({ attempt, durationMs, facts, outcome, pushkin }: AttemptEvent): void {
    const open = this.#pushes.get(facts.id);
    if (open === undefined) return;
    const endMs = this.#options.clock.now();
    const { context, span } = this.#dispatchOf(open, pushkin, endMs - durationMs);
    const { answer } = outcome;
    const attempted = this.#tracer.startSpan(
      `${pushkin}_dispatch_try`,
      {
        kind: SpanKind.CLIENT,
        startTime: endMs - durationMs,
        attributes: {
          retry_num: attempt - 1,
          outcome: outcome.kind,
          ...("reason" in outcome ? { reason: outcome.reason } : {}),
          ...(answer === undefined ? {} : { "http.status_code": answer.status }),
          ...(pushkin === "apns" ? { apns_id: facts.id, apns_reason: answer?.reason ?? "None" } : {}),
          ...(pushkin === "gcm" && answer?.reason !== undefined ? { gcm_error: answer.reason } : {}),
        },
      },
      context,
    );
    if (outcome.kind === "retryable") {
      attempted.setStatus({ code: SpanStatusCode.ERROR });
      if (pushkin === "gcm" && outcome.retryAfterMs !== undefined)
        attempted.addEvent("gcm_retry_after", { gcm_retry_after: outcome.retryAfterMs / 1_000 });
      // Nothing can be added to a span that has ended; what follows the answer has its attempts alone.
      if (open.isAnswered !== true) {
        span.addEvent(
          "temporary_fail",
          outcome.retryAfterMs === undefined ? {} : { retrying_in: outcome.retryAfterMs / 1_000 },
        );
      }
    }
    attempted.end(endMs);
  }

  #dispatchOf(open: OpenPush, pushkin: string, startMs: number): NonNullable<OpenPush["dispatch"]> {
    if (open.dispatch === undefined) {
      const span = this.#tracer.startSpan(`${pushkin}_dispatch`, { startTime: startMs }, open.parent);
      open.dispatch = { span, context: trace.setSpan(open.parent, span) };
    }
    return open.dispatch;
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.set(key, value);
  if (map.size <= MAX_OPEN) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
