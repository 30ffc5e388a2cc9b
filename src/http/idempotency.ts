import type { IncomingMessage } from "node:http";
import type { Clock } from "../clock.ts";
import type { DedupeMemory } from "../core/dedupe.ts";
import type { Digests } from "../core/digest.ts";
import type { Answer } from "./answer.ts";
import { HttpError } from "./errors.ts";

/** Stripe's limit, which clients are written for. Characters. */
const maxKeyLength = 255;
/** Answers that are remembered as they were; what is older is worked out anew, by the pushes' own duplicates. */
const maxAnswers = 4096;
const maxAnswerBytes = 8 * 1024 * 1024;

/** A request that its sender may repeat under the same key. */
export interface KeyedRequest {
  /** Who sends: what another sender does under the same key is another thing. Secret. */
  readonly credential: string;
  readonly path: string;
  readonly key: string;
  /** The body's text, which a repeat must have as well. */
  readonly body: string;
}

/** What a request came to. */
export interface Concluded {
  readonly answer: Answer;
  /** Nothing in it is worth another try: the repeat gets the same answer. */
  readonly isFinal: boolean;
}

interface Remembered {
  readonly whole: string;
  readonly result: Promise<Answer | HttpError>;
  readonly untilMs: number;
  bytes: number;
}

/**
 * `Idempotency-Key`, by the rules that Stripe has made usual: the same key with the same body is one request and is
 * answered once, also while the first is under way; with another body it is refused (422). Answers are kept in
 * memory, bounded; which body a key came with is remembered as delivered pushes are (D9), so an orderly restart
 * changes nothing. What was not final is tried again.
 */
export class Idempotency {
  readonly #dedupe: DedupeMemory;
  readonly #digests: Digests;
  readonly #clock: Clock;
  readonly #keepMs: number;
  /** The oldest first. */
  readonly #answers = new Map<string, Remembered>();
  #bytes = 0;

  constructor(dedupe: DedupeMemory, digests: Digests, clock: Clock, keepMs: number) {
    this.#dedupe = dedupe;
    this.#digests = digests;
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** The answer of the first request under this key; `work` is done for that one. */
  run(
    request: KeyedRequest,
    work: (scope: string) => Promise<Concluded | HttpError>,
  ): Promise<Answer | HttpError> {
    const { body, credential, key, path } = request;
    const name = this.#digests.request(credential, path, key);
    const whole = this.#digests.request(credential, path, key, body);
    const earlier = this.#answers.get(name);
    if (earlier !== undefined && earlier.untilMs > this.#clock.now()) {
      if (earlier.whole !== whole) return Promise.resolve(new HttpError("idempotency-key-reused"));
      return earlier.result.then(replayed);
    }
    this.#forget(name);
    const entry: Remembered = {
      whole,
      result: this.#first(name, whole, work),
      untilMs: this.#clock.now() + this.#keepMs,
      bytes: 0,
    };
    this.#answers.set(name, entry);
    return entry.result;
  }

  async #first(
    name: string,
    whole: string,
    work: (scope: string) => Promise<Concluded | HttpError>,
  ): Promise<Answer | HttpError> {
    let kept = false;
    try {
      if ((await this.#dedupe.wasDelivered(name)) && !(await this.#dedupe.wasDelivered(whole))) {
        return new HttpError("idempotency-key-reused");
      }
      const concluded = await work(name);
      if (concluded instanceof HttpError) return concluded;
      this.#dedupe.remember(name);
      this.#dedupe.remember(whole);
      if (!concluded.isFinal) {
        // He is expected again, and perhaps after a restart.
        await this.#dedupe.keep([name, whole]).catch(() => {});
        return concluded.answer;
      }
      kept = this.#keep(name, concluded.answer);
      return concluded.answer;
    } finally {
      if (!kept) this.#forget(name);
    }
  }

  #keep(name: string, answer: Answer): boolean {
    const entry = this.#answers.get(name);
    if (entry === undefined) return false;
    entry.bytes = answer.body.length;
    this.#bytes += entry.bytes;
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= maxAnswers && this.#bytes <= maxAnswerBytes) break;
      if (oldest !== name) this.#forget(oldest);
    }
    return true;
  }

  #forget(name: string): void {
    this.#bytes -= this.#answers.get(name)?.bytes ?? 0;
    this.#answers.delete(name);
  }
}

/** The request's key; undefined when it has none. */
export function idempotencyKey(req: IncomingMessage): string | undefined | HttpError {
  const values = req.headersDistinct["idempotency-key"];
  if (values === undefined) return undefined;
  const [key = ""] = values;
  const isKey = values.length === 1 && key !== "" && key.length <= maxKeyLength;
  return isKey ? key : new HttpError("bad-idempotency-key");
}

function replayed(result: Answer | HttpError): Answer | HttpError {
  if (result instanceof HttpError) return result;
  return { ...result, headers: { ...result.headers, "Idempotent-Replayed": "true" } };
}
