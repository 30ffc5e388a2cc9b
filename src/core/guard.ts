import type { Clock } from "../clock.ts";
import type { Digest, KnownApp, KnownApps } from "../store/store.ts";
import { RecentMap } from "./recent-map.ts";

/** When dead-token answers are too many to be believed (D8). */
export interface GuardPolicy {
  /** Trips when more than this share of the devices judged within the window are dead. */
  readonly share: number;
  /** … of at least this many devices. */
  readonly minimum: number;
  readonly windowMs: number;
}

/** Why a rejection is held back: nothing has ever succeeded with these settings, or too many tokens look dead. */
export type HoldReason = "never-succeeded" | "mass-rejection";

/** What a guard says of one verdict. */
export interface Judgement {
  /** Why it does not count; undefined when it does. */
  readonly held: HoldReason | undefined;
  /** This very verdict has tripped the guard. */
  readonly justTripped: boolean;
}

/** What an app's pushes ask of its guard, wherever that is: several threads have one for all of them. */
export interface AppGuard {
  /** Why rejections are held back now; undefined when they are believed. */
  readonly holding: HoldReason | undefined;
  /** These are the limits that it holds rejections against. */
  hasPolicy(policy: GuardPolicy | undefined): boolean;
  /** The upstream took a push: settings are right, and what was held may be judged anew. */
  succeeded(device: Digest): void;
  /** A verdict that proves the settings right although the device is dead (APNs 410, FCM UNREGISTERED). */
  sawCertainRejection(device: Digest): void;
  /** A verdict that may be our own fault. */
  judge(device: Digest): Judgement | Promise<Judgement>;
  /** A pushkey that no device of the app's type can have. Says whether the rejection is held back. */
  judgeMalformed(device: Digest): boolean | Promise<boolean>;
}

/** Devices judged lately that are kept per app. Forgetting successes makes the guard trip sooner, never later. */
const MAX_JUDGED = 5_000;

interface Judged {
  readonly atMs: number;
  readonly dead: boolean;
}

/**
 * Holds back one app's rejections while they may be our own fault: a wrong topic, key or environment makes every
 * token look dead, and each rejection deletes a user's pusher for good. Two states, both kept in the store so that
 * a restart releases no wave: *unproven* (no send has succeeded with these credentials, topic and environment) and
 * *tripped* (too many dead among the lately judged, or too many malformed in a row). A success ends both. What is counted are devices, not attempts.
 */
export class Guard implements AppGuard {
  readonly #app: string;
  readonly #fingerprint: string;
  readonly #policy: GuardPolicy | undefined;
  readonly #clock: Clock;
  readonly #store: KnownApps;
  readonly #onStoreError: (error: unknown) => void;
  readonly #judged = new RecentMap<Judged>();
  #dead = 0;
  /** Distinct devices found dead since the last success. */
  readonly #deadRun = new Set<Digest>();
  /** Distinct devices since the last success whose pushkeys this gateway itself finds malformed. */
  readonly #malformedRun = new Set<Digest>();
  #proven: boolean;
  #tripped: boolean;

  /**
   * @param fingerprint the pushkin's: changes with credentials, topic or environment
   * @param policy undefined turns the guard off
   * @param known what the store remembers of the app
   */
  constructor(options: {
    readonly app: string;
    readonly fingerprint: string;
    readonly policy: GuardPolicy | undefined;
    readonly known: KnownApp | undefined;
    readonly clock: Clock;
    readonly store: KnownApps;
    readonly onStoreError: (error: unknown) => void;
  }) {
    this.#app = options.app;
    this.#fingerprint = options.fingerprint;
    this.#policy = options.policy;
    this.#clock = options.clock;
    this.#store = options.store;
    this.#onStoreError = options.onStoreError;
    this.#proven = options.known?.succeededWith === options.fingerprint;
    this.#tripped = options.known?.guardTrippedAtMs !== undefined;
  }

  get holding(): HoldReason | undefined {
    if (this.#policy === undefined) return undefined;
    if (!this.#proven) return "never-succeeded";
    return this.#tripped ? "mass-rejection" : undefined;
  }

  hasPolicy(policy: GuardPolicy | undefined): boolean {
    const own = this.#policy;
    return (
      own?.share === policy?.share && own?.minimum === policy?.minimum && own?.windowMs === policy?.windowMs
    );
  }

  succeeded(device: Digest): void {
    if (!this.#proven || this.#tripped) {
      // What was found dead meanwhile says nothing about the settings that have just worked.
      this.#judged.clear();
      this.#dead = 0;
      this.#write(
        this.#proven
          ? { guardTrippedAtMs: null }
          : { succeededWith: this.#fingerprint, served: true, guardTrippedAtMs: null },
      );
      this.#proven = true;
      this.#tripped = false;
    }
    if (this.#policy === undefined) return;
    this.#deadRun.clear();
    this.#malformedRun.clear();
    this.#note(device, false);
  }

  sawCertainRejection(device: Digest): void {
    if (this.#policy !== undefined) this.#note(device, false);
  }

  judge(device: Digest): Judgement {
    if (this.#policy === undefined) return { held: undefined, justTripped: false };
    this.#note(device, true);
    let justTripped = false;
    // While it holds there is nothing to count up: a stranger's made-up tokens must not fill the memory.
    if (this.holding === undefined) this.#deadRun.add(device);
    if (this.holding === undefined && this.#tooMany(this.#policy)) {
      justTripped = true;
      this.#trip();
    }
    return { held: this.holding, justTripped };
  }

  /**
   * A pushkey that no device of the app's type can have. The sender's mistake as a rule, and believed; but a run of
   * them with no success between is ours: the app has another app's type, or its tokens are written in another way.
   * No upstream is asked, so settings that are right but have not been proved yet are no reason to hold.
   *
   * @returns whether the rejection is held back
   */
  judgeMalformed(device: Digest): boolean {
    if (this.#policy === undefined) return false;
    if (!this.#tripped) {
      this.#malformedRun.add(device);
      if (this.#malformedRun.size >= longestRun(this.#policy)) this.#trip();
    }
    return this.#tripped;
  }

  #trip(): void {
    this.#tripped = true;
    this.#deadRun.clear();
    this.#malformedRun.clear();
    this.#write({ guardTrippedAtMs: this.#clock.now() });
  }

  /**
   * Over the share; or a run of dead devices with no success between: after hours of success the share alone would
   * believe hundreds before it moved (C04 allows 50).
   */
  #tooMany(policy: GuardPolicy): boolean {
    this.#forgetOld(policy.windowMs);
    const total = this.#judged.size;
    if (total >= policy.minimum && this.#dead > policy.share * total) return true;
    return this.#deadRun.size >= longestRun(policy);
  }

  #note(device: Digest, dead: boolean): void {
    this.#drop(device);
    this.#judged.set(device, { atMs: this.#clock.monotonic(), dead });
    if (dead) this.#dead += 1;
    if (this.#judged.size > MAX_JUDGED) this.#drop(this.#judged.oldest()?.key ?? "");
  }

  #forgetOld(windowMs: number): void {
    const from = this.#clock.monotonic() - windowMs;
    for (;;) {
      const oldest = this.#judged.oldest();
      if (oldest === undefined || oldest.value.atMs >= from) return;
      this.#drop(oldest.key);
    }
  }

  #drop(device: Digest): void {
    if (this.#judged.delete(device)?.dead === true) this.#dead -= 1;
  }

  #write(change: Parameters<KnownApps["update"]>[1]): void {
    this.#store.update(this.#app, change).catch(this.#onStoreError);
  }
}

/** How many devices in a row are too many: two fifths of the minimum. */
function longestRun({ minimum }: GuardPolicy): number {
  return Math.max(2, Math.ceil(minimum * 0.4));
}
