import type { Clock } from "../clock.ts";
import type { AppGuard, GuardPolicy, HoldReason, Judgement } from "../core/guard.ts";
import type { Digest } from "../store/store.ts";
import type { ToFirst } from "./messages.ts";

/** How soon the first thread hears of what went well. */
const TELL_AFTER_MS = 50;
/** Devices told of in that time at most: fewer successes make the guard trip sooner, never later. */
const MAX_NOTES = 500;
/** A verdict on which the first thread says nothing for so long is held: it costs a minute, a wrong one a user. */
const JUDGE_WITHIN_MS = 2_000;

/** The way to the app's guard. */
export interface GuardLine {
  ask<Name extends "judge" | "judgeMalformed">(
    name: Name,
    given: ToFirst[Name][0],
  ): Promise<ToFirst[Name][1] | undefined>;
  tell(name: "judged", given: ToFirst["judged"][0]): void;
}

/** An app's guard in a thread that is not the first: all verdicts are counted in one place, so that the limits hold. */
export class RemoteGuard implements AppGuard {
  readonly #about: { readonly app: string; readonly fingerprint: string };
  readonly #policy: GuardPolicy | undefined;
  readonly #line: GuardLine;
  readonly #clock: Clock;
  #notes: (readonly [device: Digest, succeeded: boolean])[] = [];
  #cancel: (() => void) | undefined;

  constructor(options: {
    readonly app: string;
    readonly fingerprint: string;
    readonly policy: GuardPolicy | undefined;
    readonly line: GuardLine;
    readonly clock: Clock;
  }) {
    this.#about = { app: options.app, fingerprint: options.fingerprint };
    this.#policy = options.policy;
    this.#line = options.line;
    this.#clock = options.clock;
  }

  /** The first thread says it for all. */
  get holding(): HoldReason | undefined {
    return undefined;
  }

  hasPolicy(policy: GuardPolicy | undefined): boolean {
    const own = this.#policy;
    return (
      own?.share === policy?.share && own?.minimum === policy?.minimum && own?.windowMs === policy?.windowMs
    );
  }

  succeeded(device: Digest): void {
    this.#note(device, true);
  }

  sawCertainRejection(device: Digest): void {
    if (this.#policy !== undefined) this.#note(device, false);
  }

  async judge(device: Digest): Promise<Judgement> {
    if (this.#policy === undefined) return { held: undefined, justTripped: false };
    this.#flush();
    const judgement = await this.#within(this.#line.ask("judge", { ...this.#about, device }));
    return judgement ?? { held: "mass-rejection", justTripped: false };
  }

  async judgeMalformed(device: Digest): Promise<boolean> {
    if (this.#policy === undefined) return false;
    this.#flush();
    return (await this.#within(this.#line.ask("judgeMalformed", { ...this.#about, device }))) ?? true;
  }

  #note(device: Digest, succeeded: boolean): void {
    this.#cancel ??= this.#clock.schedule(TELL_AFTER_MS, () => this.#flush());
    if (this.#notes.length < MAX_NOTES) this.#notes.push([device, succeeded]);
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#notes.length === 0) return;
    const notes = this.#notes;
    this.#notes = [];
    this.#line.tell("judged", { ...this.#about, notes });
  }

  async #within<T>(answer: Promise<T | undefined>): Promise<T | undefined> {
    let cancel = (): void => {};
    const end = new Promise<undefined>((resolve) => {
      cancel = this.#clock.schedule(JUDGE_WITHIN_MS, () => resolve(undefined));
    });
    const first = await Promise.race([answer, end]);
    cancel();
    return first;
  }
}
