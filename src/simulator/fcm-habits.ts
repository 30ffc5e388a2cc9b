import { constants } from "node:http2";
import type { Clock } from "../clock.ts";
import type { Connection } from "./connection.ts";

/** What FCM does to its connections, as observed: fcm.md section 3. */
export interface FcmHabits {
  /** SETTINGS_MAX_CONCURRENT_STREAMS; a client that exceeds it gets GOAWAY 1. Default 100. */
  readonly maxConcurrentStreams: number;
  /** So many PINGs without a request between: GOAWAY 11 `too_many_pings`. Default 3. */
  readonly maxIdlePings: number;
  /** Without a request for so long: GOAWAY `session_timeout`. Default 4 minutes. */
  readonly sessionTimeoutMs: number;
  /** At this age: GOAWAY `max_age`. Default 1 hour. */
  readonly maxAgeMs: number;
}

/** Watches one connection for the rest of its life. */
export function keepFcmHabits(
  connection: Connection<undefined>,
  habits: Partial<FcmHabits>,
  clock: Clock,
): void {
  const session = connection.session;
  if (session === undefined) return;
  const { maxIdlePings = 3, sessionTimeoutMs = 240_000, maxAgeMs = 3_600_000 } = habits;
  let lastActivityMs = clock.monotonic();
  let pings = 0;
  session.on("stream", (stream) => {
    pings = 0;
    lastActivityMs = clock.monotonic();
    stream.once("close", () => (lastActivityMs = clock.monotonic()));
  });
  session.on("ping", () => {
    pings += 1;
    if (pings >= maxIdlePings) {
      connection.goaway({ code: constants.NGHTTP2_ENHANCE_YOUR_CALM, debugData: "too_many_pings" });
    }
  });
  const cancelMaxAge = clock.schedule(maxAgeMs, () => connection.goaway({ debugData: "max_age" }));
  let cancelIdle = (): void => {};
  const watchIdle = (waitMs: number): void => {
    cancelIdle = clock.schedule(waitMs, () => {
      const restMs = lastActivityMs + sessionTimeoutMs - clock.monotonic();
      if (restMs > 0) watchIdle(restMs);
      else connection.goaway({ debugData: "session_timeout" });
    });
  };
  watchIdle(sessionTimeoutMs);
  connection.socket.once("close", () => {
    cancelMaxAge();
    cancelIdle();
  });
}
