import type { Delivered, Dropped, Outcome, Rejected, Retryable, Settled } from "./outcome.ts";
import type { Throttled } from "./push-limits.ts";
import type { Push, PushFacts } from "./push.ts";

/** One try at an upstream, as it ended. */
export interface AttemptEvent {
  /** The app's key in the configuration. */
  readonly app: string;
  /** `apns`, `gcm`, … */
  readonly pushkin: string;
  /** The host that it went to. */
  readonly upstream: string;
  /** The host is one that users choose, out of any number. */
  readonly isUsersChoice: boolean;
  readonly facts: PushFacts;
  /** 1 for the first. */
  readonly attempt: number;
  readonly outcome: Outcome;
  /** The whole try, the wait for a connection included. Milliseconds. */
  readonly durationMs: number;
  /** The wait for a connection or a free stream within it. Milliseconds; absent when it never got that far. */
  readonly queueMs?: number;
}

/** One push, as it was answered to its sender. */
export interface SettledEvent {
  /** The app's key in the configuration; absent when no app was found. */
  readonly app?: string;
  readonly pushkin?: string;
  readonly push: Push;
  /** The request that brought it; absent when it came by none. */
  readonly requestId?: string;
  /** Keyed digest of (app, pushkey): log its prefix only. */
  readonly device: string;
  readonly settled: Settled;
  /** From the request's last byte. Milliseconds. */
  readonly durationMs: number;
  /** How many tries it took; 0 when the upstream was not asked. */
  readonly attempts: number;
}

/** A try at a promised push came to nothing, and it goes on waiting. */
export interface PostponedEvent {
  /** The app's key in the configuration. */
  readonly app: string;
  readonly pushkin: string;
  readonly facts: PushFacts;
  /** Keyed digest of (app, pushkey): log its prefix only. */
  readonly device: string;
  readonly outcome: Retryable;
  /** Tries in all. */
  readonly attempts: number;
}

/** How a promised push ended, after its sender had been answered. */
export interface ConcludedEvent {
  /** The app's key in the configuration. */
  readonly app: string;
  readonly pushkin: string;
  readonly facts: PushFacts;
  /** Keyed digest of (app, pushkey): log its prefix only. */
  readonly device: string;
  readonly outcome: Delivered | Rejected | Dropped;
  /** Tries in all, those before the answer included. */
  readonly attempts: number;
}

/**
 * A promised push that waited has ended unsent: a newer one of its device took its place, or was handed over (P8). Who
 * tells it may be another process than the one that promised it.
 */
export interface SupersededEvent {
  /** The app's key in the configuration. */
  readonly app: string;
  readonly pushkin: string;
  /** Keyed digest of (app, pushkey): log its prefix only. */
  readonly device: string;
  /** The push's id. */
  readonly push: string;
  /** Tries in all. */
  readonly attempts: number;
}

/** Something that an operator must look at. */
export interface AlarmEvent {
  /** The app's key in the configuration; absent when it concerns the whole gateway. */
  readonly app?: string;
  /** From a closed list of each caller's: a metric label. */
  readonly alarm: string;
  /** In plain words, without secrets: what it means and what to do. */
  readonly message: string;
}

/** What the core tells whoever counts or logs; never the other way. No method throws or waits. */
export interface Observer {
  /** A device of a request, before its app is looked up. */
  deviceReceived(push: Push): void;
  /** A push was given to this app's pushkin. */
  handed(app: string, pushkin: string): void;
  attemptStarted(app: string, pushkin: string): void;
  attemptEnded(event: AttemptEvent): void;
  settled(event: SettledEvent): void;
  postponed(event: PostponedEvent): void;
  /** A push that had been accepted has ended. */
  concluded(event: ConcludedEvent): void;
  superseded(event: SupersededEvent): void;
  /** A push was turned away because its app has too many under way. */
  overloaded(app: string): void;
  /** A push came too soon after others of its app or device. */
  throttled(app: string, by: Throttled["by"]): void;
  alarm(event: AlarmEvent): void;
}

/** Tells nobody. */
export const silentObserver: Observer = {
  deviceReceived() {},
  handed() {},
  attemptStarted() {},
  attemptEnded() {},
  settled() {},
  postponed() {},
  concluded() {},
  superseded() {},
  overloaded() {},
  throttled() {},
  alarm() {},
};

/** Tells each in turn, of each event only those who listen to it. */
export function combineObservers(...observers: readonly Observer[]): Observer {
  const listenersTo = (event: keyof Observer): readonly Observer[] =>
    observers.filter((observer) => observer[event] !== silentObserver[event]);
  const deviceReceived = listenersTo("deviceReceived");
  const handed = listenersTo("handed");
  const attemptStarted = listenersTo("attemptStarted");
  const attemptEnded = listenersTo("attemptEnded");
  const settled = listenersTo("settled");
  const postponed = listenersTo("postponed");
  const concluded = listenersTo("concluded");
  const superseded = listenersTo("superseded");
  const overloaded = listenersTo("overloaded");
  const throttled = listenersTo("throttled");
  const alarm = listenersTo("alarm");
  return {
    deviceReceived(push) {
      for (const one of deviceReceived) one.deviceReceived(push);
    },
    handed(app, pushkin) {
      for (const one of handed) one.handed(app, pushkin);
    },
    attemptStarted(app, pushkin) {
      for (const one of attemptStarted) one.attemptStarted(app, pushkin);
    },
    attemptEnded(event) {
      for (const one of attemptEnded) one.attemptEnded(event);
    },
    settled(event) {
      for (const one of settled) one.settled(event);
    },
    postponed(event) {
      for (const one of postponed) one.postponed(event);
    },
    concluded(event) {
      for (const one of concluded) one.concluded(event);
    },
    superseded(event) {
      for (const one of superseded) one.superseded(event);
    },
    overloaded(app) {
      for (const one of overloaded) one.overloaded(app);
    },
    throttled(app, by) {
      for (const one of throttled) one.throttled(app, by);
    },
    alarm(event) {
      for (const one of alarm) one.alarm(event);
    },
  };
}
