import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { Digests } from "../core/digest.ts";
import { tracingTarget } from "../metrics/config.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { version } from "../version.ts";

/** How many hex digits of an event's digest name it in a span, as in log lines. */
const EVENT_DIGITS = 8;

/** Tracing, when it is configured. Its libraries are loaded by those who use it only. */
export async function openTracing(
  { metrics, tracing }: Config,
  clock: Clock,
  installationKey: Uint8Array,
): Promise<Tracing | undefined> {
  const target = tracingTarget(tracing, metrics);
  if (target === undefined) return undefined;
  const digests = new Digests(installationKey);
  const { startTracing } = await import("../tracing/tracing.ts");
  return startTracing({
    ...target,
    clock,
    version,
    eventDigest: (eventId) => digests.event(eventId).slice(0, EVENT_DIGITS),
  });
}
