import type { RetryReason, Retryable } from "../core/outcome.ts";
import type { Http2Result } from "../upstream/http2-api.ts";

type WithoutAnswer = Exclude<Http2Result<unknown>, { kind: "response" }>;

/** Reasons that waiting alone will not cure: a certificate, a proxy, a peer that is no HTTP/2 server. */
const OPERATORS_MATTERS = new Set<string>(["tls", "no-h2", "proxy", "local"]);

/** An upstream that did not answer is never the pushkey's fault: always to be tried again. */
export function outcomeWithoutAnswer(result: WithoutAnswer): Retryable {
  const alarm = OPERATORS_MATTERS.has(result.reason);
  return {
    kind: "retryable",
    reason: retryReason(result),
    ...(result.kind === "unsent" && result.retryAfterMs !== undefined
      ? { retryAfterMs: result.retryAfterMs }
      : {}),
    ...(alarm ? { alarm: true as const } : {}),
    detail: result.detail === undefined ? result.reason : `${result.reason} ${result.detail}`,
  };
}

/** Reasons with a meaning of their own; all others are a connection that did not stand or did not last. */
const RETRY_REASONS: ReadonlyMap<WithoutAnswer["reason"], RetryReason> = new Map([
  ["queue-full", "overloaded"],
  ["pool-closed", "shutting-down"],
  ["timeout", "timeout"],
  ["queue-timeout", "timeout"],
  ["request-timeout", "timeout"],
  ["aborted", "timeout"],
  ["no-ping-ack", "timeout"],
]);

function retryReason(result: WithoutAnswer): RetryReason {
  // A connection that did not stand in time: nothing was sent, unlike with the other timeouts.
  if (result.kind === "unsent" && result.reason === "timeout") return "connect";
  return RETRY_REASONS.get(result.reason) ?? (result.kind === "unsent" ? "connect" : "connection-lost");
}
