import type { RequestListener } from "node:http";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Engine } from "../core/engine.ts";
import { frontDoors } from "../doors/index.ts";
import { createApp } from "../http/app.ts";
import { Idempotency } from "../http/idempotency.ts";
import type { HttpObserver } from "../http/observer.ts";
import type { Log } from "../log.ts";
import { doorOptions } from "./doors.ts";

/** What stays the same for requests over all reloads. */
export interface HandlerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: HttpObserver;
  readonly engine: Engine;
  /** How long a request's answer is remembered for its repeat. */
  readonly dedupeForMs: number;
  readonly isStopping: () => boolean;
}

/** Makes what answers requests with a configuration's doors and limits. */
export function requestHandlers(parts: HandlerParts): (config: Config) => RequestListener {
  const { clock, engine, isStopping, log, observer } = parts;
  // One for the whole life: a reload must not forget what is under way.
  const idempotency = new Idempotency(engine.dedupe, engine.digests, clock, parts.dedupeForMs);
  return (config) => {
    const { delivery, http, limits } = config;
    return createApp({
      clock,
      log,
      observer,
      dispatcher: engine.dispatcher,
      doors: frontDoors(doorOptions(config, engine, clock, observer)),
      limits: { maxBodyBytes: limits.max_body, maxDevices: limits.max_devices, maxDepth: limits.max_depth },
      lifetimesMs: delivery.expire_after,
      answerWithinMs: delivery.answer_within,
      idempotency,
      isStopping,
      trustedProxies: http.trusted_proxies,
      makeBuckets: engine.makeBuckets,
      logsClaimedAddress: config.log.access.x_forwarded_for,
      ...(limits.per_source === null
        ? {}
        : { perSource: { count: limits.per_source.count, windowMs: limits.per_source.window } }),
    });
  };
}
