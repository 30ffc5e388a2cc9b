import { parentOf } from "../../src/tracing/propagation.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";

describe("a caller's span", () => {
  it.each([
    ["W3C, sampled", { traceparent: `00-${trace}-${span}-01` }, trace, span, 1],
    ["W3C, not sampled", { traceparent: `00-${trace}-${span}-00` }, trace, span, 0],
    ["a later version of W3C", { traceparent: `01-${trace}-${span}-01-more` }, trace, span, 1],
    ["Jaeger", { uberTraceId: `${trace}:${span}:0:1` }, trace, span, 1],
    [
      "Jaeger, short and escaped",
      { uberTraceId: "abc%3Adef%3A0%3A3" },
      "abc".padStart(32, "0"),
      "def".padStart(16, "0"),
      1,
    ],
    ["W3C before Jaeger", { traceparent: `00-${trace}-${span}-00`, uberTraceId: "1:2:0:1" }, trace, span, 0],
  ])("%s", (_title, headers, traceId, spanId, traceFlags) => {
    expect(parentOf(headers)).toEqual({ traceId, spanId, traceFlags, isRemote: true });
  });

  it.each([
    {},
    { traceparent: "" },
    { traceparent: `ff-${trace}-${span}-01` },
    { traceparent: `00-${"0".repeat(32)}-${span}-01` },
    { traceparent: `00-${trace}-${"0".repeat(16)}-01` },
    { traceparent: `00-${trace.toUpperCase()}-${span}-01` },
    { traceparent: `00-${trace}-${span}-01x` },
    { uberTraceId: "0:1:0:1" },
    { uberTraceId: "1:0:0:1" },
    { uberTraceId: `${"1".repeat(33)}:1:0:1` },
    { uberTraceId: "not a trace" },
  ])("is none in %j", (headers) => {
    expect(parentOf(headers)).toBeUndefined();
  });
});
