import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import type { AppendOnly } from "../ledger.ts";
import { type Heard } from "../ledger.ts";
import { IOS, message } from "../../support/with-gateway.ts";

/** How one push's request went. */
export interface Answered {
  readonly id: string;
  readonly app: string;
  readonly how: Heard;
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** Why there was no answer. */
  readonly error: string | undefined;
  /** On `performance.now()`. */
  readonly begunMs: number;
  readonly tookMs: number;
}

/** Requests at a fixed pace, whatever becomes of them. */
export interface Load {
  readonly answers: readonly Answered[];
  /** Requests under way. */
  readonly waiting: number;
  /** Sends one push at once, besides the pace. */
  push(app: string, overrides?: Readonly<Record<string, unknown>>): Promise<Answered>;
  /** Changes the pace; 0 pauses it. */
  pace(perSecond: number): void;
  /** Sends nothing more; resolves when everything has been answered, or `withinMs` later. */
  stop(withinMs?: number): Promise<void>;
}

/** Where to and how fast. */
export interface LoadOptions {
  /** Tried in turn for each push, as a balancer does: the next one when a connection is refused. */
  readonly urls: readonly string[];
  readonly ledger: AppendOnly;
  readonly perSecond: number;
  /** Which app a push is for. Default: the one on APNs. */
  readonly appOf?: (count: number) => string;
  /** What is special about a push. */
  readonly overridesOf?: (count: number) => Readonly<Record<string, unknown>>;
  readonly onAnswer?: (answer: Answered) => void;
}

/** A run's pushes begin alike, each has a device of its own, and the device token is the push's id in both ledgers. */
export function startLoad(options: LoadOptions): Load {
  const { ledger, onAnswer, urls } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: 8_192 });
  const run = randomBytes(4).toString("hex");
  const answers: Answered[] = [];
  let count = 0;
  let waiting = 0;
  let timer: NodeJS.Timeout | undefined;

  const push = (app: string, overrides: Readonly<Record<string, unknown>> = {}): Promise<Answered> => {
    count += 1;
    const id = `${run}${count.toString(16).padStart(56, "0")}`;
    const body = JSON.stringify({ notification: message([{ app_id: app, pushkey: id }], overrides) });
    const begunMs = performance.now();
    ledger.write("begin", id, Date.now());
    waiting += 1;
    return new Promise((resolve) => {
      const end = (how: Heard, status: number, retryAfter?: string, error?: string): void => {
        ledger.write(how, id, Date.now());
        waiting -= 1;
        const answer = {
          id,
          app,
          how,
          status,
          retryAfter,
          error,
          begunMs,
          tookMs: performance.now() - begunMs,
        };
        answers.push(answer);
        onAnswer?.(answer);
        resolve(answer);
      };
      const attempt = (which: number): void => {
        let over = false;
        const once = (work: () => void): void => {
          if (over) return;
          over = true;
          work();
        };
        const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
        const sent = request(
          urls[which] ?? "",
          { method: "POST", agent, headers, timeout: 30_000 },
          (response) => {
            let text = "";
            response.setEncoding("utf8");
            response.on("data", (chunk: string) => (text += chunk));
            response.on("error", () => once(() => end("nothing", 0)));
            response.on("end", () =>
              once(() => {
                const status = response.statusCode ?? 0;
                const isRejected = status === 200 && text !== '{"rejected":[]}';
                end(
                  isRejected ? "rejected" : status === 200 ? "ok" : "refused",
                  status,
                  response.headers["retry-after"],
                );
              }),
            );
          },
        );
        sent.on("timeout", () => sent.destroy(new Error("timeout")));
        sent.on("error", (error: NodeJS.ErrnoException) =>
          once(() => {
            // Not a byte was sent, or an idle connection was closed just then: what every balancer tries elsewhere.
            // (A connection made in the instant of a listener's closing may be reset: design, Settled points, SIGTERM.)
            const harmless = error.code === "ECONNREFUSED" || error.code === "ECONNRESET";
            if (harmless && which + 1 < urls.length) attempt(which + 1);
            else end("nothing", 0, undefined, error.code ?? error.message);
          }),
        );
        sent.end(body);
      };
      attempt(0);
    });
  };

  const pace = (perSecond: number): void => {
    clearInterval(timer);
    if (perSecond <= 0) return;
    const startedMs = performance.now();
    let sent = 0;
    timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond);
      for (; sent < due; sent += 1) {
        void push(options.appOf?.(sent) ?? IOS, options.overridesOf?.(sent) ?? {});
      }
    }, 5);
  };
  pace(options.perSecond);
  return {
    answers,
    get waiting() {
      return waiting;
    },
    push,
    pace,
    async stop(withinMs = 30_000) {
      clearInterval(timer);
      const endMs = performance.now() + withinMs;
      while (waiting > 0 && performance.now() < endMs)
        await new Promise((resolve) => setTimeout(resolve, 10));
      agent.destroy();
    },
  };
}
