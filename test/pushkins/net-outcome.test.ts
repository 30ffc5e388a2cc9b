import { outcomeWithoutAnswer } from "../../src/pushkins/net-outcome.ts";

type WithoutAnswer = Parameters<typeof outcomeWithoutAnswer>[0];
const session = { state: undefined, retire: () => {} };
const unsent = (reason: string, more: object = {}): WithoutAnswer =>
  ({ kind: "unsent", reason, queueMs: 0, ...more }) as WithoutAnswer;
const lost = (reason: string, more: object = {}): WithoutAnswer =>
  ({ kind: "unknown", reason, queueMs: 0, session, ...more }) as WithoutAnswer;

describe("an upstream that did not answer", () => {
  it.each([
    ["no address", unsent("dns", { detail: "ENOTFOUND" }), { reason: "connect", detail: "dns ENOTFOUND" }],
    [
      "nobody listens",
      unsent("refused", { retryAfterMs: 700 }),
      { reason: "connect", detail: "refused", retryAfterMs: 700 },
    ],
    ["no connection in time: nothing was sent", unsent("timeout"), { reason: "connect", detail: "timeout" }],
    [
      "a wrong certificate",
      unsent("tls", { detail: "CERT_HAS_EXPIRED" }),
      { reason: "connect", alarm: true, detail: "tls CERT_HAS_EXPIRED" },
    ],
    ["no HTTP/2", unsent("no-h2"), { reason: "connect", alarm: true, detail: "no-h2" }],
    ["a proxy that says no", unsent("proxy"), { reason: "connect", alarm: true, detail: "proxy" }],
    ["no descriptor left", unsent("local"), { reason: "connect", alarm: true, detail: "local" }],
    [
      "refused unprocessed again and again",
      unsent("refused-stream"),
      { reason: "connect", detail: "refused-stream" },
    ],
    ["a full queue", unsent("queue-full"), { reason: "overloaded", detail: "queue-full" }],
    ["no free stream in time", unsent("queue-timeout"), { reason: "timeout", detail: "queue-timeout" }],
    ["our own end", unsent("pool-closed"), { reason: "shutting-down", detail: "pool-closed" }],
    ["cut after the request", lost("reset"), { reason: "connection-lost", detail: "reset" }],
    [
      "the stream was reset",
      lost("stream-reset", { detail: "CANCEL" }),
      { reason: "connection-lost", detail: "stream-reset CANCEL" },
    ],
    ["no answer in time", lost("request-timeout"), { reason: "timeout", detail: "request-timeout" }],
    ["no sign of life", lost("no-ping-ack"), { reason: "timeout", detail: "no-ping-ack" }],
    ["aborted", lost("aborted"), { reason: "timeout", detail: "aborted" }],
    ["our own end under way", lost("pool-closed"), { reason: "shutting-down", detail: "pool-closed" }],
  ])("%s is worth another attempt", (_what, result, expected) => {
    expect(outcomeWithoutAnswer(result)).toEqual({ kind: "retryable", ...expected });
  });
});
