import type { App } from "../../src/core/app.ts";
import { createEngine } from "../../src/core/engine.ts";
import { Guard } from "../../src/core/guard.ts";
import { InFlight } from "../../src/core/in-flight.ts";
import { silentObserver, type ConcludedEvent, type SupersededEvent } from "../../src/core/observer.ts";
import { writePayload } from "../../src/core/outbox-payload.ts";
import type { Outcome, Settled } from "../../src/core/outcome.ts";
import type { Push } from "../../src/core/push.ts";
import type { Pushkin } from "../../src/core/pushkin.ts";
import { silentLog } from "../../src/log.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import type { Outbox, OutboxEntry, Store } from "../../src/store/store.ts";
import { NOON, push } from "./builders.ts";
import { createFakeClock } from "./fake-clock.ts";

export const HOUR_MS = 60 * 60 * 1000;
const caps = { maxRows: 1_000, maxBytes: 1_000_000, maxAppRows: 1_000, maxAppBytes: 1_000_000 };
export const delivered: Outcome = { kind: "delivered", answer: { status: 200 } };
export const unavailable: Outcome = { kind: "retryable", reason: "upstream-unavailable" };

/** One attempt that the app was asked for. */
export interface Attempted {
  readonly id: string;
  readonly atMs: number;
  readonly expiresAtMs: number;
}

/** An engine on a store that counts as durable, whose one app answers by a function of the attempt. */
export function workerWorld(
  answer: (attempt: Attempted, count: number) => Outcome | Promise<Outcome>,
  options: { readonly manyHosts?: true; readonly limit?: number } = {},
) {
  const clock = createFakeClock();
  const memory = openMemoryStore(clock);
  const store: Store & { outbox: { -readonly [Call in keyof Outbox]: Outbox[Call] } } = {
    ...memory,
    durable: true,
  };
  const attempted: Attempted[] = [];
  const concluded: ConcludedEvent[] = [];
  const superseded: SupersededEvent[] = [];
  const pushkin: Pushkin = {
    name: "app",
    type: "apns",
    fingerprint: "f",
    waiting: () => 0,
    // With many hosts the token names its host, as an endpoint does.
    upstreamOf: ({ to }) => (options.manyHosts === true ? to : "api.push.example"),
    ...(options.manyHosts === true ? { hasManyUpstreams: true as const } : {}),
    render: (each) => ({ body: "{}", to: each.pushkey }),
    async attempt(_message, { push: facts }) {
      const attempt = { id: facts.id, atMs: clock.monotonic(), expiresAtMs: facts.expiresAtMs };
      attempted.push(attempt);
      return { outcome: await answer(attempt, attempted.length) };
    },
    async close() {},
  };
  const guard = new Guard({
    app: "app",
    fingerprint: "f",
    policy: undefined,
    known: undefined,
    clock,
    store: store.knownApps,
    onStoreError: () => {},
  });
  const app: App = { name: "app", pushkin, guard, inFlight: new InFlight(options.limit ?? 512) };
  const engine = createEngine({
    apps: new Map([["app", app]]),
    store,
    known: [],
    observer: {
      ...silentObserver,
      concluded: (event) => concluded.push(event),
      superseded: (event) => superseded.push(event),
    },
    clock,
    log: silentLog,
    random: () => 0.5,
    keepRejectionsMs: 30 * 24 * HOUR_MS,
    dedupeForMs: 24 * HOUR_MS,
    caps,
  });
  let made = 0;
  const entry = (overrides: Partial<OutboxEntry> = {}, pushkinType = "apns", to = "token"): OutboxEntry => {
    made += 1;
    const { id, priority, urgency, receivedAtMs } = push();
    return {
      id,
      app: "app",
      device: made.toString(16).padStart(64, "0"),
      payload: writePayload({
        pushkin: pushkinType,
        facts: { id, priority, urgency, receivedAtMs },
        message: { body: "{}", to },
      }),
      attempts: 0,
      dueInMs: 0,
      expiresInMs: HOUR_MS,
      receivedAtMs: NOON + made,
      ...overrides,
    };
  };
  return {
    clock,
    store,
    engine,
    attempted,
    concluded,
    superseded,
    entry,
    caps,
    deviceOf: ({ pushkey }: Push) => engine.digests.device("app", pushkey),
    put: (...entries: OutboxEntry[]) => store.outbox.put(entries, caps),
    /** A push that comes through a door. */
    async dispatch(each = push({ appId: "app" })): Promise<Settled> {
      const answerByMs = clock.monotonic() + 5_000;
      const callerGone = new AbortController().signal;
      const [settled] = await engine.dispatcher.dispatch([each], { requestId: "r", answerByMs, callerGone });
      if (settled === undefined) throw new Error("nothing was settled");
      return settled;
    },
    counts: async () => (await store.outbox.counts()).get("app"),
    /** Moves time in steps, as the worker's sleeps need. */
    async pass(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 250) await clock.advance(Math.min(250, left));
    },
  };
}
