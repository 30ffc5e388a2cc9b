import { setTimeout as realDelay } from "node:timers/promises";
import type { Clock } from "../../src/clock.ts";
import { isFinal, type Outcome } from "../../src/core/outcome.ts";
import type { Attempt, Message, Pushkin } from "../../src/core/pushkin.ts";
import type { Push } from "../../src/core/push.ts";
import type { Answer } from "../../src/simulator/script.ts";

/** A pushkin before its simulated upstream. */
export interface PushkinRig {
  readonly pushkin: Pushkin;
  /** A push that the upstream takes as long as nothing else is scripted. */
  readonly push: Push;
  /** The clock that the pushkin was given. */
  readonly clock: Clock;
  /** Lets so much of that clock's time pass. */
  passTime(ms: number): Promise<void>;
  /** The upstream's answer to every push from now on; undefined = the usual one. */
  answerWith(answer: Answer | undefined): void;
  /** How many pushes have arrived at the upstream (requests for credentials left out). */
  requests(): number;
  /** The upstream goes away: nobody listens any more, and its connections are cut. */
  stopUpstream(): Promise<void>;
  /** Frees everything, also after `pushkin.close` or `stopUpstream`. */
  stop(): Promise<void>;
}

/** In what an upstream differs from the others. */
export interface PushkinTraits {
  /** Statuses that mean a dead pushkey whatever the body says (Web Push: 404, 410). Default none. */
  readonly rejectingStatuses?: readonly number[];
  /** Statuses below 500 that are worth another attempt whatever the body says. Default 429 alone. */
  readonly retryableStatuses?: readonly number[];
  /** Codes of RST_STREAM that are tried. Default some that do not say that the request was left unprocessed. */
  readonly resetCodes?: readonly number[];
}

/** The whole of one attempt (reliability.md 1.3). */
const ATTEMPT_LIMIT_MS = 10_000;

const notJson: Readonly<Record<string, string>> = {
  "an HTML page": "<html><head><title>Sorry</title></head><body><h1>Sorry</h1></body></html>",
  "nothing at all": "",
  "JSON that is no object": '["reason","Unregistered"]',
  "the JSON value null": "null",
  "JSON that breaks off": '{"reason":"Unregist',
  "JSON nested ten thousand deep": "[".repeat(10_000),
  "a reason that is no text": '{"reason":{"a":1},"error":7,"timestamp":"x"}',
};

/** What every pushkin does, whatever its upstream (examples.md 5, `Pushkin.attempt`). `open` gives a fresh rig. */
export function pushkinContract(
  name: string,
  open: () => Promise<PushkinRig>,
  traits: PushkinTraits = {},
): void {
  const rejecting = traits.rejectingStatuses ?? [];
  const retryable = [429, ...(traits.retryableStatuses ?? [])];

  describe(`the ${name} pushkin`, () => {
    let rig: PushkinRig;
    beforeEach(async () => {
      rig = await open();
    });
    afterEach(() => rig.stop());

    const messageOf = (push: Push = rig.push): Message => {
      const rendered = rig.pushkin.render(push);
      if (!("body" in rendered)) throw new Error(`not rendered: ${JSON.stringify(rendered)}`);
      return rendered;
    };
    const attempt = (signal = new AbortController().signal, message = messageOf()): Promise<Attempt> =>
      rig.pushkin.attempt(message, { push: rig.push, signal });
    const outcomeOf = async (answer: Answer): Promise<Outcome> => {
      rig.answerWith(answer);
      return (await attempt()).outcome;
    };
    const raw = (status: number, body: string, headers: Record<string, string> = {}): Answer => ({
      kind: "raw",
      status,
      headers,
      body,
    });

    it("delivers a push with one request", async () => {
      expect((await attempt()).outcome).toMatchObject({ kind: "delivered", answer: { status: 200 } });
      expect(rig.requests()).toBe(1);
    });

    it("renders the same push to the same message, which survives being stored as JSON (D11)", async () => {
      const message = messageOf();
      expect(messageOf()).toEqual(message);
      const stored = JSON.parse(JSON.stringify(message)) as Message;
      expect(stored).toEqual(message);
      expect((await attempt(new AbortController().signal, stored)).outcome.kind).toBe("delivered");
    });

    it("delivers fifty pushes side by side", async () => {
      const results = await Promise.all(Array.from({ length: 50 }, () => attempt()));
      expect(new Set(results.map(({ outcome }) => outcome.kind))).toEqual(new Set(["delivered"]));
      expect(rig.requests()).toBe(50);
      expect(rig.pushkin.waiting()).toBe(0);
    });

    describe("when the upstream fails", () => {
      it.each([500, 501, 502, 503, 504, 520, 599])("status %i is worth another attempt", async (status) => {
        const outcome = await outcomeOf(raw(status, "<h1>Bad Gateway</h1>"));
        expect(outcome).toMatchObject({ kind: "retryable", answer: { status } });
      });

      it.each([500, 503])("%i with a reason that nobody knows is worth another attempt", async (status) => {
        const outcome = await outcomeOf({ kind: "error", reason: "NeverHeardOf", status });
        expect(outcome).toMatchObject({ kind: "retryable", answer: { status } });
      });

      it("a redirection is not followed, and worth another attempt or dropped", async () => {
        const outcome = await outcomeOf(raw(307, "", { location: "https://127.0.0.1:1/" }));
        expect(["retryable", "dropped"]).toContain(outcome.kind);
      });
    });

    describe("when the upstream refuses in a way that nobody knows", () => {
      const unknown = [400, 402, 404, 406, 409, 410, 418, 422, 451, 499].filter(
        (status) => !rejecting.includes(status) && !retryable.includes(status),
      );

      it.each(unknown)("status %i is dropped, loudly, and rejects nothing", async (status) => {
        const outcome = await outcomeOf(raw(status, "<h1>No</h1>"));
        expect(outcome).toMatchObject({ kind: "dropped", alarm: true, answer: { status } });
      });

      it.each([400, 401, 403, 404, 410].filter((status) => !rejecting.includes(status)))(
        "%i with a reason that nobody knows rejects nothing",
        async (status) => {
          const outcome = await outcomeOf({ kind: "error", reason: "NeverHeardOf", status });
          expect(["dropped", "retryable"]).toContain(outcome.kind);
          expect(outcome).toMatchObject({ alarm: true });
        },
      );

      for (const [what, body] of Object.entries(notJson)) {
        it.each([400, 403, 404, 410, 502].filter((status) => !rejecting.includes(status)))(
          `%i with ${what} in its body is judged by its status and rejects nothing`,
          async (status) => {
            const outcome = await outcomeOf(raw(status, body, { "content-type": "application/json" }));
            expect(["dropped", "retryable"]).toContain(outcome.kind);
          },
        );
      }

      it("a body of megabytes is not read to its end", async () => {
        const outcome = await outcomeOf({ kind: "raw", status: 503, bodyBytes: 8 * 1024 * 1024 });
        expect(outcome).toMatchObject({ kind: "retryable", answer: { status: 503 } });
      });

      it("nothing of the answer's text but a plain word gets into the outcome", async () => {
        const outcome = await outcomeOf(
          raw(400, JSON.stringify({ reason: "to token 00ff: no", error: { message: "token 00ff" } })),
        );
        expect(JSON.stringify(outcome)).not.toContain("00ff");
      });
    });

    describe("when it is asked to wait", () => {
      it.each([429, 503])("%i with Retry-After in seconds is honoured", async (status) => {
        const outcome = await outcomeOf(raw(status, "", { "retry-after": "120" }));
        expect(outcome).toMatchObject({ kind: "retryable", retryAfterMs: 120_000 });
      });

      it.each([429, 503])("%i with Retry-After as an HTTP date is honoured", async (status) => {
        const date = new Date(rig.clock.now() + 300_000).toUTCString();
        const outcome = await outcomeOf(raw(status, "", { "retry-after": date }));
        if (outcome.kind !== "retryable") throw new Error(outcome.kind);
        expect(outcome.retryAfterMs).toBeGreaterThan(290_000);
        expect(outcome.retryAfterMs).toBeLessThanOrEqual(300_000);
      });

      it.each(["soon", "-5", "1e99", "", "\t", "Mon, 99 Xyz 2026"])(
        "a Retry-After of %j does no harm",
        async (text) => {
          const outcome = await outcomeOf(raw(429, "", { "retry-after": text }));
          if (outcome.kind !== "retryable") throw new Error(outcome.kind);
          const { retryAfterMs = 0 } = outcome;
          expect(retryAfterMs).toBeGreaterThanOrEqual(0);
          expect(retryAfterMs).toBeLessThanOrEqual(3_600_000);
        },
      );
    });

    describe("when there is no answer", () => {
      it.each(traits.resetCodes ?? [1, 2, 8, 11])(
        "a stream reset with code %i is worth another attempt",
        async (code) => {
          const outcome = await outcomeOf({ kind: "reset", code });
          expect(outcome).toMatchObject({ kind: "retryable", reason: "connection-lost" });
        },
      );

      it("a connection cut after the request is worth another attempt", async () => {
        const outcome = await outcomeOf({ kind: "close" });
        expect(outcome).toMatchObject({ kind: "retryable", reason: "connection-lost" });
      });

      it("silence ends after ten seconds and is worth another attempt", async () => {
        rig.answerWith({ kind: "hang" });
        const started = rig.clock.monotonic();
        const ended = attempt();
        await until(() => rig.requests() > 0);
        await Promise.race([ended, rig.passTime(ATTEMPT_LIMIT_MS + 500)]);
        expect((await ended).outcome).toMatchObject({ kind: "retryable", reason: "timeout" });
        expect(rig.clock.monotonic() - started).toBeLessThanOrEqual(ATTEMPT_LIMIT_MS + 1_000);
      });

      it("an upstream that is not there is worth another attempt", async () => {
        await rig.stopUpstream();
        expect((await attempt()).outcome).toMatchObject({ kind: "retryable", reason: "connect" });
        expect(rig.requests()).toBe(0);
      });

      it("goes on after each of these faults", async () => {
        for (const answer of [{ kind: "close" }, { kind: "reset", code: 2 }, raw(500, "")] as const) {
          rig.answerWith(answer);
          expect(isFinal((await attempt()).outcome)).toBe(false);
          rig.answerWith(undefined);
          const next = attempt();
          await Promise.race([next, rig.passTime(2_000)]);
          // What came during the wait for a new connection may be told to come back: then it is delivered.
          const { outcome } = await next;
          if (isFinal(outcome)) expect(outcome.kind).toBe("delivered");
          else {
            await rig.passTime(8_000);
            expect((await attempt()).outcome.kind).toBe("delivered");
          }
        }
      });
    });

    describe("when it is told to stop", () => {
      it("a signal that has aborted before sends nothing", async () => {
        const { outcome } = await attempt(AbortSignal.abort());
        expect(outcome.kind).toBe("retryable");
        expect(rig.requests()).toBe(0);
      });

      it("a signal ends an attempt under way at once", async () => {
        rig.answerWith({ kind: "hang" });
        const abort = new AbortController();
        const ended = attempt(abort.signal);
        await until(() => rig.requests() > 0);
        abort.abort();
        const outcome = await withinRealTime(2_000, ended);
        expect(outcome.outcome.kind).toBe("retryable");
      });

      it("close lets what is under way finish", async () => {
        const ended = attempt();
        await until(() => rig.requests() > 0);
        await withinRealTime(2_000, Promise.race([rig.pushkin.close(new AbortController().signal), ended]));
        expect((await ended).outcome.kind).toBe("delivered");
      });

      it("close ends what is under way when its patience is over", async () => {
        rig.answerWith({ kind: "hang" });
        const ended = attempt();
        await until(() => rig.requests() > 0);
        const patience = new AbortController();
        const closed = rig.pushkin.close(patience.signal);
        patience.abort();
        await withinRealTime(2_000, closed);
        expect((await withinRealTime(2_000, ended)).outcome.kind).toBe("retryable");
      });

      it("an attempt after close comes to nothing and throws nothing", async () => {
        await rig.pushkin.close(AbortSignal.abort());
        expect((await attempt()).outcome).toMatchObject({ kind: "retryable" });
        expect(rig.requests()).toBe(0);
      });
    });
  });
}

/** Waits for what real sockets bring. */
async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not so within ${timeoutMs} ms`);
    await realDelay(2);
  }
}

async function withinRealTime<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const abort = new AbortController();
  const late = realDelay(timeoutMs, undefined, { signal: abort.signal }).then(
    () => Promise.reject(new Error(`not ended within ${timeoutMs} ms`)),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
