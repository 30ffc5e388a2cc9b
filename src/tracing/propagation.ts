import type { SpanContext } from "@opentelemetry/api";
import type { TraceHeaders } from "../http/observer.ts";

const SAMPLED = 1;

/** The caller's span: W3C's header, else Jaeger's. Undefined when there is none, or one that is not well-formed. */
export function parentOf({ traceparent, uberTraceId }: TraceHeaders): SpanContext | undefined {
  return fromW3c(traceparent) ?? fromJaeger(uberTraceId);
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
function fromW3c(header: string | undefined): SpanContext | undefined {
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/.exec(header ?? "");
  return contextOf(match?.[1], match?.[2], match?.[3]);
}

/** https://www.jaegertracing.io/sdk-migration/#propagation-format; the client drops leading zeros. */
function fromJaeger(header: string | undefined): SpanContext | undefined {
  const match =
    /^([0-9a-f]{1,32})(?::|%3A)([0-9a-f]{1,16})(?::|%3A)[0-9a-f]{0,16}(?::|%3A)([0-9a-f]{1,2})$/i.exec(
      header ?? "",
    );
  return contextOf(match?.[1]?.padStart(32, "0"), match?.[2]?.padStart(16, "0"), match?.[3]);
}

function contextOf(
  traceId: string | undefined,
  spanId: string | undefined,
  flags: string | undefined,
): SpanContext | undefined {
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & SAMPLED) !== 0;
  return {
    traceId: traceId.toLowerCase(),
    spanId: spanId.toLowerCase(),
    traceFlags: isSampled ? SAMPLED : 0,
    isRemote: true,
  };
}
