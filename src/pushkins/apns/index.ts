import { createHash } from "node:crypto";
import { signalOf } from "../../cancellation.ts";
import { assertNever, type Dropped, type Rejected } from "../../core/outcome.ts";
import {
  definePushkin,
  type Attempt,
  type AttemptContext,
  type Message,
  type Pushkin,
  type PushkinDeps,
} from "../../core/pushkin.ts";
import type { MatrixContent, Push } from "../../core/push.ts";
import { outcomeWithoutAnswer } from "../net-outcome.ts";
import { ApnsClient, type ApnsResult } from "./client.ts";
import { ApnsConfig, apnsOrigin, apnsWarnings, checkApns, type ApnsOptions } from "./config.ts";
import { loadCredentials, type ApnsCredentials } from "./credentials.ts";
import { deviceTokenHex } from "./device-token.ts";
import { diagnoseApns } from "./diagnose.ts";
import { renderEvent } from "./event.ts";
import { renderMatrix } from "./matrix.ts";
import { apnsVerdict, type Reaction, type Verdict } from "./outcome.ts";
import { fitPayloads, leanPayload, MAX_PAYLOAD_BYTES, MAX_VOIP_PAYLOAD_BYTES } from "./payload.ts";
import { renderSoftphone } from "./softphone.ts";

/** A ring is worthless after that, however long its door would wait (apns.md 8, G-22). */
const VOIP_LIFE_MS = 30_000;
/** The whole of an attempt, an immediate repeat included (reliability.md 1.3). */
const ATTEMPT_LIMIT_MS = 10_000;
/** apns.md 2. */
const VOIP_TOPIC = ".voip";
/** What Apple takes as a collapse id, and a header can carry: at most 64 bytes (apns.md 2). */
const COLLAPSE_ID = /^[\x21-\x7e]{1,64}$/;

type Environment = "production" | "sandbox";

/** What was decided at rendering beside the payload. */
interface ApnsMessage extends Message {
  readonly environment: Environment;
  readonly pushType: string;
  readonly priority: number;
  readonly collapseId?: string;
  /** The device's own; absent = the credentials'. */
  readonly apnsTopic?: string;
  /** Apple tries once and stores nothing. */
  readonly isOnce?: true;
}

/** What a renderer of a content kind has decided. */
interface Rendered {
  readonly body: string;
  readonly pushType: string;
  /** Of 10 and 5; absent = as the push type and the push have it. */
  readonly priority?: number;
  readonly collapseId?: string;
  readonly isOnce?: true;
}

/** Apple's push service (apns.md). */
export const apns = definePushkin({
  types: ["apns"],
  config: ApnsConfig,
  check: checkApns,
  warnings: apnsWarnings,
  diagnose: diagnoseApns,
  create: async (name, config, deps) =>
    new ApnsPushkin(name, config, await loadCredentials(config, deps), deps),
});

class ApnsPushkin implements Pushkin {
  readonly name: string;
  readonly type = "apns";
  readonly fingerprint: string;
  readonly certificateExpiresAtMs?: number;
  readonly takesCalls?: true;
  readonly #config: ApnsOptions;
  readonly #credentials: ApnsCredentials;
  readonly #deps: PushkinDeps;
  readonly #hosts: Readonly<Record<Environment, string>>;
  readonly #clients = new Map<Environment, ApnsClient>();
  /** Some push was taken with these credentials: a later refusal of the token is the connection's fault. */
  #proven = false;
  #closed = false;

  constructor(name: string, config: ApnsOptions, credentials: ApnsCredentials, deps: PushkinDeps) {
    this.name = name;
    this.#config = config;
    this.#credentials = credentials;
    this.#deps = deps;
    const hostOf = (environment: Environment): string => new URL(apnsOrigin(config, environment)).host;
    this.#hosts = { production: hostOf("production"), sandbox: hostOf("sandbox") };
    if (credentials.expiresAtMs !== undefined) this.certificateExpiresAtMs = credentials.expiresAtMs;
    if (config.push_type === "voip" || credentials.apnsTopic.endsWith(VOIP_TOPIC)) this.takesCalls = true;
    this.fingerprint = [
      credentials.fingerprint,
      credentials.apnsTopic,
      apnsOrigin(config, config.platform),
    ].join(" ");
  }

  render(push: Push): ApnsMessage | Rejected | Dropped {
    const to = this.#deviceToken(push);
    if (to === undefined) return { kind: "rejected", reason: "invalid-pushkey" };
    const pushType = this.#pushType(push);
    const rendered = this.#renderContent(push, pushType);
    if ("kind" in rendered) return rendered;
    return {
      body: rendered.body,
      to,
      environment: push.environment ?? this.#config.platform,
      pushType: rendered.pushType,
      priority: priorityOf(push, rendered),
      ...(rendered.collapseId === undefined ? {} : { collapseId: rendered.collapseId }),
      ...(push.apnsTopic === undefined ? {} : { apnsTopic: push.apnsTopic }),
      ...(rendered.isOnce === undefined ? {} : { isOnce: rendered.isOnce }),
    };
  }

  readToken(text: string): string | undefined {
    return deviceTokenHex(text, "auto");
  }

  /** Matrix pushkeys are written as the app is configured; the other doors have read theirs already. */
  #deviceToken({ content, pushkey }: Push): string | undefined {
    const { convert_device_token_to_hex: isConverted, token_encoding: encoding } = this.#config;
    return deviceTokenHex(pushkey, content.kind === "matrix" && isConverted ? encoding : "hex");
  }

  /** The push type that is certain before there is a payload. Apple asks for voip where the topic ends in `.voip`. */
  #pushType({ apnsTopic, content }: Push): string | undefined {
    if (apnsTopic !== undefined) return apnsTopic.endsWith(VOIP_TOPIC) ? "voip" : undefined;
    const { push_type: configured } = this.#config;
    if (configured !== undefined || content.kind === "matrix") return configured;
    return this.#credentials.apnsTopic.endsWith(VOIP_TOPIC) ? "voip" : undefined;
  }

  #renderContent(push: Push, pushType: string | undefined): Rendered | Rejected | Dropped {
    const isVoip = pushType === "voip";
    const maxBytes = isVoip ? MAX_VOIP_PAYLOAD_BYTES : MAX_PAYLOAD_BYTES;
    const tooLarge: Dropped = { kind: "dropped", reason: "too-large" };
    const { content } = push;
    switch (content.kind) {
      case "matrix": {
        const { collapse, counts_pushes: countsPushes, send_badge_counts: sendBadgeCounts } = this.#config;
        // Each VoIP push rings (apns.md 8): a count must not.
        const payloads = renderMatrix(content, { sendBadgeCounts, countsPushes: countsPushes && !isVoip });
        if ("kind" in payloads) return payloads;
        const fitted = fitPayloads(payloads, maxBytes);
        if (fitted === undefined) return tooLarge;
        const collapseId = matrixCollapseId(content, push.dedupeOn, collapse);
        return {
          body: fitted.body,
          pushType: pushType ?? fitted.pushType,
          ...(collapseId === undefined ? {} : { collapseId }),
        };
      }
      case "softphone": {
        const body = renderSoftphone(content, maxBytes);
        if (body === undefined) return tooLarge;
        const { badge, isSilent, messageId } = content;
        const fits = messageId !== undefined && COLLAPSE_ID.test(messageId);
        return {
          body,
          pushType: pushType ?? (isSilent && badge === undefined ? "background" : "alert"),
          priority: isSilent ? 5 : 10,
          ...(fits ? { collapseId: messageId } : {}),
          ...(isVoip ? { isOnce: true } : {}),
        };
      }
      case "event": {
        const body = renderEvent(content, maxBytes);
        return body === undefined ? tooLarge : { body, pushType: pushType ?? "background" };
      }
      default:
        return assertNever(content);
    }
  }

  upstreamOf(message: Message): string {
    return this.#hosts[(message as ApnsMessage).environment];
  }

  attempt(message: Message, context: AttemptContext): Promise<Attempt> {
    if (this.#closed) return Promise.resolve({ outcome: { kind: "retryable", reason: "shutting-down" } });
    const startedMs = this.#deps.clock.monotonic();
    const apnsMessage = message as ApnsMessage;
    return this.#send(apnsMessage, message.body, context).then((first) =>
      first.verdict?.reaction === "done"
        ? this.#finish(first)
        : this.#repeat(first, apnsMessage, context, startedMs),
    );
  }

  /** The immediate repeat, where the answer asks for one; else the answer is the outcome. */
  async #repeat(
    first: Sent,
    message: ApnsMessage,
    context: AttemptContext,
    startedMs: number,
  ): Promise<Attempt> {
    const { clock } = this.#deps;
    const repeat = await this.#prepareRepeat(first, message.body, context);
    if (repeat === undefined) return this.#finish(first);
    const limit = new AbortController();
    const leftMs = startedMs + ATTEMPT_LIMIT_MS - clock.monotonic();
    const cancel = clock.schedule(leftMs, () => limit.abort());
    const signal = AbortSignal.any([signalOf(context.signal), limit.signal]);
    try {
      const second = await this.#send(message, repeat, { ...context, signal });
      // The key worked once and does not any more: later pushes need not find that out on a new connection each.
      if (second.verdict?.reaction === "repeat-if-proven") this.#proven = false;
      return this.#finish(second);
    } finally {
      cancel();
    }
  }

  waiting(): number {
    return [...this.#clients.values()].reduce((sum, client) => sum + client.waiting(), 0);
  }

  connections(): { readonly open: number; readonly streams: number } {
    let open = 0;
    let streams = 0;
    for (const client of this.#clients.values()) {
      const one = client.connections();
      open += one.open;
      streams += one.streams;
    }
    return { open, streams };
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#clients.values()].map((client) => client.close(signal)));
  }

  #send(message: ApnsMessage, body: string, context: AttemptContext): Promise<Sent> {
    const request = { deviceToken: message.to, headers: this.#headers(message, context), body };
    return this.#client(message.environment)
      .send(request, context.signal)
      .then((result) => {
        if (result.kind !== "answer") return { result };
        const verdict = apnsVerdict(result.answer, context.push.pushkeyTsMs);
        if (verdict.outcome.kind === "delivered") this.#proven = true;
        return { result, verdict };
      });
  }

  /** Does what the answer asks for; the body of an immediate repeat, or undefined when the answer is the outcome. */
  async #prepareRepeat(
    { result, verdict }: Sent,
    body: string,
    context: AttemptContext,
  ): Promise<string | undefined> {
    if (verdict === undefined || result.kind !== "answer") return undefined;
    const { session } = result;
    switch (verdict.reaction) {
      case "done":
      case "retire":
        return undefined;
      case "retire-and-repeat":
        session.retire();
        break;
      case "repeat-if-proven":
        if (!this.#proven) return undefined;
        session.retire();
        break;
      case "renew-and-repeat":
        session.retire();
        await this.#credentials.token?.renew(session.state.current?.jwt);
        break;
      case "shrink-and-repeat":
        return context.signal.aborted ? undefined : leanPayload(body);
    }
    return context.signal.aborted ? undefined : body;
  }

  #finish({ result, verdict }: Sent): Attempt {
    if (verdict !== undefined && result.kind === "answer") {
      if (this.#mustRetire(verdict.reaction)) result.session.retire();
      return { outcome: verdict.outcome, queueMs: result.queueMs };
    }
    if (result.kind === "answer") throw new Error("an answer without a verdict");
    // A GOAWAY with a reason about credentials comes without any answer (apns.md 5, apns2 #117).
    const outcome = outcomeWithoutAnswer(result);
    const refused = /Certificate|ProviderToken|Topic/.test(result.detail ?? "");
    return {
      outcome: refused ? { ...outcome, reason: "credentials", alarm: true } : outcome,
      queueMs: result.queueMs,
    };
  }

  /** A connection that Apple dislikes is not used again; a key that never worked is no better on another one. */
  #mustRetire(reaction: Reaction): boolean {
    if (reaction === "repeat-if-proven") return this.#proven;
    return reaction !== "done" && reaction !== "shrink-and-repeat";
  }

  #headers(message: ApnsMessage, { push }: AttemptContext): Readonly<Record<string, string>> {
    const nowMs = this.#deps.clock.now();
    const lifeEndMs =
      message.pushType === "voip" ? Math.min(push.expiresAtMs, nowMs + VOIP_LIFE_MS) : push.expiresAtMs;
    // apns.md 2: 0 is one try now, which is all that Apple takes for push to talk, and all that a softphone's call is worth.
    const expiresAtMs = message.pushType === "pushtotalk" || message.isOnce === true ? 0 : lifeEndMs;
    return {
      "apns-id": push.id,
      "apns-topic": message.apnsTopic ?? this.#credentials.apnsTopic,
      "apns-push-type": message.pushType,
      "apns-priority": String(message.priority),
      "apns-expiration": String(Math.floor(expiresAtMs / 1_000)),
      ...(message.collapseId === undefined ? {} : { "apns-collapse-id": message.collapseId }),
    };
  }

  #client(environment: Environment): ApnsClient {
    let client = this.#clients.get(environment);
    if (client === undefined) {
      client = new ApnsClient(new URL(apnsOrigin(this.#config, environment)), this.#credentials, this.#deps);
      this.#clients.set(environment, client);
    }
    return client;
  }
}

/** One request and what became of it; no verdict when there was no answer. */
interface Sent {
  readonly result: ApnsResult;
  readonly verdict?: Verdict;
}

/** apns.md 2: a background push must be 5, a call 10; else as its door or its sender has it. */
function priorityOf(push: Push, { priority, pushType }: Rendered): number {
  if (pushType === "background") return 5;
  if (pushType === "voip" || pushType === "pushtotalk") return 10;
  return priority ?? (push.priority === "low" ? 5 : 10);
}

/** What this push replaces on the device; hashed to fit into Apple's 64 bytes. A badge replaces a badge (P2). */
function matrixCollapseId(
  content: MatrixContent,
  dedupeOn: string | undefined,
  collapse: ApnsOptions["collapse"],
): string | undefined {
  if (content.form === "counts") return "badge";
  const group = collapse === "room" ? content.roomId : collapse === "event" ? dedupeOn : undefined;
  return group === undefined ? undefined : createHash("sha256").update(group).digest("base64url");
}
