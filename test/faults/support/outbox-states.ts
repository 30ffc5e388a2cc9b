import assert from "node:assert/strict";

/** The states of promised pushes, as the metric has them. */
export interface OutboxStates {
  readonly accepted: number;
  readonly handed: number;
  readonly rejected: number;
  readonly expired: number;
  readonly dropped: number;
  readonly pending: number;
}

const STATES = ["accepted", "handed", "rejected", "expired", "dropped", "pending"] as const;

/** Reads the states of every app from a scrape and holds them against their sum (reliability G24). */
export function outboxStates(scrape: string): ReadonlyMap<string, OutboxStates> {
  const apps = new Map<string, Record<string, number>>();
  for (const [, app = "", state = "", value = ""] of scrape.matchAll(
    /^signalbox_outbox_pushes\{app="([^"]*)",state="([^"]*)"\} (\S+)$/gm,
  )) {
    const states = apps.get(app) ?? {};
    states[state] = Number(value);
    apps.set(app, states);
  }
  return new Map(
    [...apps].map(([app, states]) => {
      const full = Object.fromEntries(STATES.map((state) => [state, states[state] ?? 0]));
      const { accepted, handed, rejected, expired, dropped, pending } = full as unknown as OutboxStates;
      assert.equal(
        accepted,
        handed + rejected + expired + dropped + pending,
        `the sum of ${app} is not closed`,
      );
      return [app, { accepted, handed, rejected, expired, dropped, pending }];
    }),
  );
}

/** All apps together. */
export function totalStates(scrape: string): OutboxStates {
  const total = { accepted: 0, handed: 0, rejected: 0, expired: 0, dropped: 0, pending: 0 };
  for (const states of outboxStates(scrape).values())
    for (const state of STATES) total[state] += states[state];
  return total;
}
