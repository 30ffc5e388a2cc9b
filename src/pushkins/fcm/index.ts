import { assertNever, type Dropped, type Rejected, type Retryable } from "../../core/outcome.ts";
import {
  definePushkin,
  type Attempt,
  type AttemptContext,
  type Message,
  type Pushkin,
  type PushkinDeps,
} from "../../core/pushkin.ts";
import type { Push } from "../../core/push.ts";
import { TokenError } from "../../upstream/cached-token.ts";
import { outcomeWithoutAnswer } from "../net-outcome.ts";
import { FcmClient, type FcmResult } from "./client.ts";
import { checkFcm, FcmConfig, fcmOrigin, fcmWarnings, type FcmOptions } from "./config.ts";
import { loadCredentials, type FcmCredentials } from "./credentials.ts";
import { diagnoseFcm } from "./diagnose.ts";
import { renderEvent } from "./event.ts";
import { renderMatrix } from "./matrix.ts";
import { configuredTtlSeconds, messageBody, withTtl, type MessageContent } from "./message.ts";
import { fcmVerdict, type Verdict } from "./outcome.ts";
import { readRegistrationToken } from "./registration-token.ts";
import { renderSoftphone } from "./softphone.ts";

const CREDENTIALS_WAIT_MS = 30_000;

/** Firebase Cloud Messaging (fcm.md). */
export const fcm = definePushkin({
  types: ["gcm", "fcm"],
  config: FcmConfig,
  check: checkFcm,
  warnings: fcmWarnings,
  diagnose: diagnoseFcm,
  create: async (name, config, deps) =>
    new FcmPushkin(name, config, await loadCredentials(config, deps), deps),
});

class FcmPushkin implements Pushkin {
  readonly name: string;
  // Both spellings of the type: metrics and dashboards know Sygnal's.
  readonly type = "gcm";
  readonly fingerprint: string;
  readonly #config: FcmOptions;
  readonly #credentials: FcmCredentials;
  readonly #deps: PushkinDeps;
  readonly #client: FcmClient;
  readonly #host: string;
  readonly #ttlSeconds: number | undefined;

  constructor(name: string, config: FcmOptions, credentials: FcmCredentials, deps: PushkinDeps) {
    this.name = name;
    this.#config = config;
    this.#credentials = credentials;
    this.#deps = deps;
    this.#ttlSeconds = configuredTtlSeconds(config.fcm_options);
    const origin = new URL(fcmOrigin(config));
    const projectId = config.project_id ?? "";
    this.#host = origin.host;
    this.fingerprint = [credentials.fingerprint, projectId, origin.origin].join(" ");
    this.#client = new FcmClient({
      origin,
      projectId,
      tls: credentials.tls,
      accessToken: credentials.accessToken,
      deps,
    });
  }

  render(push: Push): Message | Rejected | Dropped {
    const to = push.pushkey.toWellFormed().replaceAll("\0", "");
    if (to === "") return { kind: "rejected", reason: "invalid-pushkey" };
    const content = this.#renderContent(push);
    if ("kind" in content) return content;
    return { body: messageBody(this.#config.fcm_options, content, to, push.priority), to };
  }

  readToken(text: string): string | undefined {
    return readRegistrationToken(text);
  }

  #renderContent(push: Push): MessageContent | Rejected | Dropped {
    const config = this.#config;
    const { content } = push;
    switch (content.kind) {
      case "matrix": {
        const data = renderMatrix(push, content, {
          sendBadgeCounts: config.send_badge_counts,
          countsPushes: config.counts_pushes,
          layout: config.payload_layout,
        });
        return "kind" in data ? data : { data };
      }
      case "softphone":
        return renderSoftphone(content) ?? { kind: "dropped", reason: "too-large" };
      case "event": {
        const data = renderEvent(content);
        return data === undefined ? { kind: "dropped", reason: "too-large" } : { data };
      }
      default:
        return assertNever(content);
    }
  }

  upstreamOf(): string {
    return this.#host;
  }

  attempt(message: Message, context: AttemptContext): Promise<Attempt> {
    return this.#send(message, context).then((first) => {
      if (!("answer" in first) || first.verdict.reaction === "done") return finish(first);
      const renewable = this.#credentials.accessToken.invalidate(first.accessToken);
      if (!renewable || context.signal.aborted) return finish(first);
      return this.#send(message, context).then(finish);
    });
  }

  waiting(): number {
    return this.#client.waiting();
  }

  connections(): { readonly open: number; readonly streams: number } {
    return this.#client.connections();
  }

  close(signal: AbortSignal): Promise<void> {
    return this.#client.close(signal);
  }

  #send(message: Message, { push, signal }: AttemptContext): Promise<Sent> {
    const remainingSeconds = Math.floor((push.expiresAtMs - this.#deps.clock.now()) / 1_000);
    const body = withTtl(message.body, remainingSeconds, this.#ttlSeconds);
    return this.#client.send(body, signal).then(
      (result): Sent =>
        result.kind === "answer"
          ? { ...result, verdict: fcmVerdict(result.answer) }
          : { outcome: outcomeWithoutAnswer(result), queueMs: result.queueMs },
      (error: unknown): Sent => {
        if (error instanceof TokenError) return { outcome: withoutAccessToken(error) };
        throw error;
      },
    );
  }
}

/** What one request came to: FCM's answer, or why there is none. */
type Sent =
  | (Extract<FcmResult, { kind: "answer" }> & { readonly verdict: Verdict })
  | { readonly outcome: Retryable; readonly queueMs?: number };

function finish(sent: Sent): Attempt {
  const outcome = "verdict" in sent ? sent.verdict.outcome : sent.outcome;
  return { outcome, ...(sent.queueMs === undefined ? {} : { queueMs: sent.queueMs }) };
}

/** fcm.md 1: a refused assertion is the operator's matter, a silent token endpoint may come back. */
function withoutAccessToken(error: TokenError): Retryable {
  const refused = error.kind === "refused";
  return {
    kind: "retryable",
    reason: refused ? "credentials" : "connect",
    ...(refused ? { retryAfterMs: CREDENTIALS_WAIT_MS } : {}),
    alarm: true,
    detail: error.message,
  };
}
