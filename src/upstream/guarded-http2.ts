import type { GuardedOrigin, GuardedResult } from "./guarded-origin.ts";
import { REFUSED_CODE } from "./guarded-origin.ts";
import type { Http2PoolOptions, Http2Result } from "./http2-api.ts";
import { Http2Pool } from "./http2-pool.ts";
import type { NetErrorClass } from "./net-error.ts";

/** The connections of an origin by HTTP/2; by HTTP/1.1 from the moment that it turns out not to speak it. */
export function preferHttp2(
  http1: GuardedOrigin,
  options: Omit<Http2PoolOptions<undefined>, "createState" | "maxSessions" | "proxy">,
): GuardedOrigin {
  let pool: Http2Pool<undefined> | undefined = new Http2Pool({
    ...options,
    maxSessions: 1,
    createState: () => undefined,
  });
  const close = (): void => {
    void pool?.close(AbortSignal.abort());
    pool = undefined;
  };
  return {
    async send(request, signal) {
      if (pool === undefined) return http1.send(request, signal);
      const { url, headers, body } = request;
      const result = await pool.request(
        { path: url.pathname + url.search, headers: () => headers, body },
        signal,
      );
      if (result.kind !== "unsent" || result.reason !== "no-h2") return asGuarded(result);
      close();
      return http1.send(request, signal);
    },
    destroy() {
      close();
      http1.destroy();
    },
  };
}

/** The pool's own words for what is no failure of the network. */
const OWN_WORDS: ReadonlyMap<string, NetErrorClass> = new Map([
  ["queue-timeout", "timeout"],
  ["request-timeout", "timeout"],
  ["no-ping-ack", "timeout"],
  ["aborted", "timeout"],
  ["refused-stream", "closed"],
  ["pool-closed", "closed"],
  ["queue-full", "other"],
]);

function asGuarded(result: Http2Result<undefined>): GuardedResult {
  if (result.kind === "response") {
    const { kind, status, headers, body } = result;
    return { kind, status, headers, body };
  }
  const { detail, reason } = result;
  if (detail === REFUSED_CODE) return { kind: "refused" };
  const written = result.kind === "unknown";
  const own = OWN_WORDS.get(reason);
  if (own !== undefined) return { kind: "failed", failure: { class: own, detail: reason }, written };
  const failureClass = written ? "reset" : (reason as NetErrorClass);
  return {
    kind: "failed",
    failure: { class: failureClass, ...(detail === undefined ? {} : { detail }) },
    written,
  };
}
