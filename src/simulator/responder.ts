import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../clock.ts";
import type { JsonValue } from "../json.ts";
import type { Exchange, Reply } from "./listener.ts";
import type { RecordedAnswer, Recorder } from "./recorder.ts";
import type { Answer, Delay, Goaway, Rule, Script, SimulatedUpstream } from "./script.ts";

/** An answer that the upstream itself would give. */
export interface Verdict {
  readonly reply: Reply;
  /** For the record: the reason or error name in the body. */
  readonly reason?: string;
  readonly accepted: boolean;
}

/** What was understood of a request, for the script and the record. */
export interface Seen {
  readonly token?: string | undefined;
  readonly topic?: string | undefined;
  readonly payload?: JsonValue | undefined;
}

/** Builds the upstream's own error body for a scripted reason, to a request with these headers. */
export type RenderError = (
  answer: Extract<Answer, { kind: "error" }>,
  headers: IncomingHttpHeaders,
) => Verdict;

/** What a responder works with. */
export interface ResponderOptions {
  readonly upstream: SimulatedUpstream;
  readonly script: Script;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly renderError: RenderError;
}

type Planned = { readonly record: RecordedAnswer; readonly accepted: boolean; readonly perform: () => void };

const FILLER_HTML =
  "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n";

/** Joins the upstream's own verdict with the script, records the request, and answers it in time. */
export class Responder {
  /** Before each answer that no rule delays. */
  latency: Delay = 0;
  readonly #options: ResponderOptions;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Answers a request that the upstream's checks refused; the script is not asked. */
  refuse<S>(exchange: Exchange<S>, seen: Seen, verdict: Verdict): void {
    this.#finish(exchange, seen, replyWith(exchange, verdict), this.latency);
  }

  /** Answers a request that passed the checks: by the script, else by `usual`. */
  answer<S>(exchange: Exchange<S>, seen: Seen, usual: () => Verdict): void {
    const { script, upstream, renderError } = this.#options;
    const rule = script.match({ upstream, token: seen.token, topic: seen.topic });
    if (rule === undefined) {
      this.#finish(exchange, seen, replyWith(exchange, usual()), this.latency);
      return;
    }
    const planned = refusedByGoaway(exchange, rule) ?? plan(exchange, rule, usual, renderError);
    if (rule.maxConcurrentStreams !== undefined)
      exchange.connection.maxConcurrentStreams(rule.maxConcurrentStreams);
    if (rule.goaway !== undefined) exchange.connection.goaway(rule.goaway);
    this.#finish(exchange, seen, planned, rule.delay ?? this.latency);
  }

  #finish<S>(exchange: Exchange<S>, seen: Seen, planned: Planned, delay: Delay): void {
    const { recorder, upstream, clock, script } = this.#options;
    recorder.add(upstream, planned.record, planned.accepted, () => ({
      atMs: clock.now(),
      connection: exchange.connection.id,
      method: exchange.method,
      path: exchange.path,
      headers: plainHeaders(exchange),
      body: exchange.body.toString("utf8"),
      ...(seen.payload === undefined ? {} : { payload: seen.payload }),
      ...(seen.token === undefined ? {} : { token: seen.token }),
      ...(seen.topic === undefined ? {} : { topic: seen.topic }),
    }));
    const delayMs = delay === 0 ? 0 : script.delayMs(delay);
    if (delayMs <= 0) planned.perform();
    else clock.schedule(delayMs, planned.perform);
  }
}

function replyWith<S>(exchange: Exchange<S>, { reply, reason, accepted }: Verdict): Planned {
  return {
    record: { kind: "reply", status: reply.status, ...(reason === undefined ? {} : { reason }) },
    accepted,
    perform: () => exchange.reply(reply),
  };
}

function plan<S>(exchange: Exchange<S>, rule: Rule, usual: () => Verdict, renderError: RenderError): Planned {
  const answer = rule.answer;
  const accepted = rule.accepted ?? false;
  switch (answer?.kind) {
    case undefined:
      return replyWith(exchange, usual());
    case "error":
      return replyWith(exchange, { ...renderError(answer, exchange.headers), accepted });
    case "raw": {
      const reply: Reply = {
        status: answer.status,
        headers: { "content-type": "text/html; charset=UTF-8", ...answer.headers },
        body:
          answer.bodyBytes === undefined ? (answer.body ?? FILLER_HTML) : Buffer.alloc(answer.bodyBytes, "x"),
      };
      return replyWith(exchange, { reply, accepted });
    }
    case "hang":
      return { record: { kind: "hang" }, accepted, perform: () => {} };
    case "reset":
      return { record: answer, accepted, perform: () => exchange.reset(answer.code) };
    case "close":
      return { record: { kind: "close" }, accepted, perform: () => exchange.connection.destroy() };
  }
}

/** A GOAWAY whose last stream id lies below this request says that it was never looked at: RFC 9113 section 6.8. */
function refusedByGoaway<S>(exchange: Exchange<S>, { goaway }: Rule): Planned | undefined {
  if (!isBelow(goaway, exchange.streamId)) return undefined;
  return { record: { kind: "reset", code: 7 }, accepted: false, perform: () => exchange.reset(7) };
}

function isBelow(goaway: Goaway | undefined, streamId: number): boolean {
  return goaway?.lastStreamId !== undefined && goaway.lastStreamId > 0 && goaway.lastStreamId < streamId;
}

function plainHeaders<S>(exchange: Exchange<S>): Readonly<Record<string, string>> {
  const plain: Record<string, string> = {};
  for (const name of Object.keys(exchange.headers)) {
    const value = exchange.headers[name];
    plain[name] = Array.isArray(value) ? value.join(", ") : String(value);
  }
  return plain;
}
