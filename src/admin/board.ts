import type { Clock } from "../clock.ts";
import { silentObserver, type AlarmEvent, type Observer } from "../core/observer.ts";

/** An alarm, with how often it was raised since the start. */
export interface StandingAlarm extends AlarmEvent {
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** How an app has fared at its upstream since the start. Milliseconds since 1970; absent = not yet. */
export interface AppStanding {
  readonly lastDeliveredAtMs?: number;
  /** The upstream refuses the app's credentials, since then; absent when the last answer was another. */
  readonly credentialsRefusedAtMs?: number;
}

/** Alarms are from closed lists and apps from the configuration; a last bound. */
const MAX_ALARMS = 1_000;

interface MutableStanding {
  lastDeliveredAtMs?: number;
  credentialsRefusedAtMs?: number;
}

/** What an operator looks at first: the alarms, and whether each app's credentials are good for anything. */
export class Board {
  readonly #clock: Clock;
  readonly #alarms = new Map<string, StandingAlarm>();
  readonly #standings = new Map<string, MutableStanding>();
  readonly observer: Observer;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.observer = {
      ...silentObserver,
      attemptEnded: ({ app, outcome }) => {
        if (outcome.kind === "retryable" && outcome.reason !== "credentials") return;
        if (outcome.kind === "retryable") this.note(app, "refused");
        else this.note(app, outcome.kind === "delivered" ? "delivered" : "answered");
      },
      alarm: (event) => this.raise(event),
    };
  }

  /** The latest first. */
  get alarms(): readonly StandingAlarm[] {
    return [...this.#alarms.values()].sort((a, b) => b.lastAtMs - a.lastAtMs);
  }

  standing(app: string): AppStanding {
    return this.#standings.get(app) ?? {};
  }

  /** What an app's upstream has done: taken a push, answered otherwise, or refused the credentials. */
  note(app: string, what: "delivered" | "answered" | "refused"): void {
    const standing = this.#standingOf(app);
    if (what === "refused") standing.credentialsRefusedAtMs ??= this.#clock.now();
    else delete standing.credentialsRefusedAtMs;
    if (what === "delivered") standing.lastDeliveredAtMs = this.#clock.now();
  }

  #standingOf(app: string): MutableStanding {
    let standing = this.#standings.get(app);
    if (standing === undefined) this.#standings.set(app, (standing = {}));
    return standing;
  }

  /** Something has happened that an operator must look at. */
  raise(event: AlarmEvent): void {
    const key = `${event.alarm}\n${event.app ?? ""}`;
    const before = this.#alarms.get(key);
    if (before === undefined && this.#alarms.size >= MAX_ALARMS) return;
    const nowMs = this.#clock.now();
    this.#alarms.set(key, {
      ...event,
      count: (before?.count ?? 0) + 1,
      firstAtMs: before?.firstAtMs ?? nowMs,
      lastAtMs: nowMs,
    });
  }
}
