import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { CleanFields } from "./line.ts";

/** Where errors are reported, as `metrics.sentry` names it. */
export interface SentryOptions {
  /** `https://KEY@HOST/PROJECT`. */
  readonly dsn: string;
  readonly release: string;
  readonly clock: Clock;
}

/** A reporter of errors. It never waits, never throws and never logs: what cannot be sent is dropped. */
export interface Sentry {
  /** Reports one error line of the log: its sentence and its allowed fields, nothing else. */
  report(message: string, fields: CleanFields): void;
  /** Waits for what is under way, for at most a second. */
  close(): Promise<void>;
}

const SEND_LIMIT_MS = 5_000;
const CLOSE_LIMIT_MS = 1_000;
/** Under way at once; an error that comes in a flood is the same error. */
const MAX_UNDER_WAY = 10;
/** After an answer of 429 that names no time. */
const REST_MS = 60_000;

/**
 * Sends error lines as events of Sentry's protocol (https://develop.sentry.dev/sdk/foundations/transport/envelopes/).
 * Undefined when the DSN is none.
 */
export function createSentry({ clock, dsn, release }: SentryOptions): Sentry | undefined {
  const target = parseDsn(dsn);
  if (target === undefined) return undefined;
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  let restUntilMs = 0;

  const send = async (envelope: string): Promise<void> => {
    const response = await fetch(target.url, {
      method: "POST",
      body: envelope,
      redirect: "error",
      headers: {
        "content-type": "application/x-sentry-envelope",
        "x-sentry-auth": `Sentry sentry_version=7, sentry_client=signalbox/${release}, sentry_key=${target.key}`,
      },
      signal: AbortSignal.any([AbortSignal.timeout(SEND_LIMIT_MS), closing.signal]),
    });
    await response.body?.cancel();
    if (response.status !== 429) return;
    const seconds = Number(response.headers.get("retry-after"));
    restUntilMs = clock.monotonic() + (seconds > 0 ? seconds * 1_000 : REST_MS);
  };

  return {
    report(message, fields) {
      if (underWay.size >= MAX_UNDER_WAY || clock.monotonic() < restUntilMs) return;
      const sending = send(envelopeOf(message, fields, clock.now(), release))
        .catch(() => undefined)
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
    },
    async close() {
      const cancel = clock.schedule(CLOSE_LIMIT_MS, () => closing.abort());
      await Promise.all(underWay);
      cancel();
    },
  };
}

interface Target {
  readonly url: string;
  readonly key: string;
}

function parseDsn(text: string): Target | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:") || url.username === "")
    return undefined;
  const [, path = "", project] = /^(\/.*)?\/([^/]+)\/?$/.exec(url.pathname) ?? [];
  if (project === undefined) return undefined;
  return { url: `${url.origin}${path}/api/${project}/envelope/`, key: url.username };
}

function envelopeOf(message: string, fields: CleanFields, nowMs: number, release: string): string {
  const eventId = randomBytes(16).toString("hex");
  const event = {
    event_id: eventId,
    timestamp: nowMs / 1_000,
    platform: "node",
    level: "error",
    logger: "signalbox",
    release: `signalbox@${release}`,
    message: { formatted: message },
    // One issue for one sentence and reason, however many apps and devices it concerns.
    fingerprint: [message, String(fields["reason"] ?? ""), String(fields["error"] ?? "")],
    tags: Object.fromEntries(
      ["app", "pushkin", "reason", "error", "status"].flatMap((name) =>
        fields[name] === undefined ? [] : [[name, String(fields[name])]],
      ),
    ),
    extra: fields,
  };
  const header = { event_id: eventId, sent_at: new Date(nowMs).toISOString() };
  return `${JSON.stringify(header)}\n{"type":"event"}\n${JSON.stringify(event)}\n`;
}
