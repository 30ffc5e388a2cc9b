import type { Clock } from "../clock.ts";
import type { App } from "../core/app.ts";
import { RETIRED_APP_HOLD_MS } from "../core/retired-apps.ts";
import type { CircuitState } from "../core/upstream-health.ts";
import type { JsonObject } from "../json.ts";
import type { OutboxCounts, Store } from "../store/store.ts";
import type { Board } from "./board.ts";

/** How things stand in another thread of the process. */
export interface StateElsewhere {
  readonly inFlight: readonly (readonly [app: string, count: number, limit: number])[];
  readonly circuits: readonly CircuitState[];
}

/** What the status is told from. */
export interface StatusSources {
  readonly version: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly board: Board;
  /** The apps of the moment. */
  readonly apps: () => ReadonlyMap<string, App>;
  readonly circuits: () => readonly CircuitState[];
  readonly isStopping: () => boolean;
  /** Of several threads: how many serve, of how many there should be. */
  readonly threads?: () => { readonly serving: number; readonly wanted: number };
  /** Of several threads: how things stand in the others. */
  readonly elsewhere?: () => Promise<readonly StateElsewhere[]>;
  /** Why nothing can be written to the store, a word fit for a log; undefined while it works. */
  readonly storeTrouble: () => string | undefined;
}

/** Whether pushes should be sent here. An app's bad credentials do not make it unready: its pushes are promised. */
export function readiness(sources: StatusSources): { readonly ready: boolean; readonly report: JsonObject } {
  const { board, isStopping } = sources;
  const trouble = sources.storeTrouble();
  const ready = !isStopping() && trouble === undefined;
  const refused = [...sources.apps().keys()].filter(
    (app) => board.standing(app).credentialsRefusedAtMs !== undefined,
  );
  return {
    ready,
    report: {
      ready,
      stopping: isStopping(),
      store: trouble ?? "works",
      // Those whose last answer from the upstream was a refusal of the credentials.
      credentials_refused: refused,
    },
  };
}

/** Everything that the console shows. Rejects with `StoreError`. */
export async function status(sources: StatusSources): Promise<JsonObject> {
  const { board, clock, store, version } = sources;
  const nowMs = clock.now();
  const [outbox, rejections, known, elsewhere = []] = await Promise.all([
    store.outbox.counts(),
    store.rejections.count(nowMs),
    store.knownApps.all(),
    sources.elsewhere?.(),
  ]);
  const configured = sources.apps();
  const circuits = Map.groupBy(allCircuits(sources.circuits(), elsewhere), ({ app }) => app);
  const retired = known.filter(
    ({ app, served, lastConfiguredAtMs }) =>
      served && !configured.has(app) && nowMs - lastConfiguredAtMs < RETIRED_APP_HOLD_MS,
  );
  return {
    version,
    ...readiness(sources).report,
    ...(sources.threads === undefined ? {} : { threads: sources.threads() }),
    apps: [...configured.values()].map((app) => ({
      ...appStatus(app, board, circuits.get(app.name) ?? [], elsewhere),
      outbox: outboxStatus(outbox.get(app.name)),
      remembered_rejections: rejections.get(app.name) ?? 0,
    })),
    removed_apps: retired.map(({ app, lastConfiguredAtMs }) => ({
      app,
      held_until: iso(lastConfiguredAtMs + RETIRED_APP_HOLD_MS),
      outbox: outboxStatus(outbox.get(app)),
    })),
    alarms: board.alarms.map(({ app, alarm, message, count, firstAtMs, lastAtMs }) => ({
      ...(app === undefined ? {} : { app }),
      alarm,
      message,
      count,
      first: iso(firstAtMs),
      last: iso(lastAtMs),
    })),
  };
}

/** Each upstream once: open where any thread leaves it alone, and tried again when the first of them does. */
export function allCircuits(
  own: readonly CircuitState[],
  elsewhere: readonly StateElsewhere[],
): readonly CircuitState[] {
  if (elsewhere.length === 0) return own;
  const byUpstream = new Map<string, CircuitState>();
  for (const circuit of [...own, ...elsewhere.flatMap(({ circuits }) => circuits)]) {
    const name = `${circuit.app}\n${circuit.host}`;
    const known = byUpstream.get(name);
    const isSooner = known?.isOpen !== true || circuit.nextProbeInMs < known.nextProbeInMs;
    if (known === undefined || (circuit.isOpen && isSooner)) byUpstream.set(name, circuit);
  }
  return [...byUpstream.values()];
}

function appStatus(
  { guard, inFlight, name, pushkin }: App,
  board: Board,
  circuits: readonly CircuitState[],
  elsewhere: readonly StateElsewhere[],
): JsonObject {
  const others = elsewhere.flatMap(({ inFlight: all }) => all.filter(([app]) => app === name));
  const { credentialsRefusedAtMs, lastDeliveredAtMs } = board.standing(name);
  const open = circuits.filter(({ isOpen }) => isOpen);
  return {
    app: name,
    type: pushkin.type,
    credentials:
      credentialsRefusedAtMs !== undefined ? "refused" : lastDeliveredAtMs !== undefined ? "work" : "untried",
    ...(credentialsRefusedAtMs === undefined ? {} : { refused_since: iso(credentialsRefusedAtMs) }),
    ...(lastDeliveredAtMs === undefined ? {} : { last_delivered: iso(lastDeliveredAtMs) }),
    // What the guard makes of tokens that look dead (D8).
    rejections: guard.holding === undefined ? "believed" : `held: ${guard.holding}`,
    in_flight: others.reduce((sum, [, count]) => sum + count, inFlight.count),
    in_flight_limit: others.reduce((sum, [, , limit]) => sum + limit, inFlight.limit),
    upstreams: circuits.length,
    // Hosts that users chose are nobody's to list.
    open_circuits:
      pushkin.hasManyUpstreams === true
        ? open.length
        : open.map(({ host, nextProbeInMs }) => ({ host, next_try_in_ms: Math.round(nextProbeInMs) })),
  };
}

function outboxStatus(counts: OutboxCounts | undefined): JsonObject {
  const { accepted = 0, handed = 0, rejected = 0, expired = 0, dropped = 0, pending = 0 } = counts ?? {};
  return { accepted, handed, rejected, expired, dropped, pending, pending_bytes: counts?.pendingBytes ?? 0 };
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}
