import type { KeyObject } from "node:crypto";
import type { Clock } from "../../clock.ts";

/** A token's life is an hour (apns.md 4); signing every 35 minutes and moving to it within 20 stays below. */
const SIGN_EVERY_MS = 35 * 60 * 1_000;
/** Apple allows a connection to change its token once in this time; faster earns 429 TooManyProviderTokenUpdates. */
const MIN_BETWEEN_CHANGES_MS = 20 * 60 * 1_000;

/** An instant on both clocks. */
interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** The provider token that one connection uses; empty before its first push. */
export interface ConnectionToken {
  current?: { readonly jwt: string; readonly since: Instant };
}

/**
 * One key's provider token, signed once and shared by all of its connections: ES256 is randomised, so signing twice
 * would make two tokens, and Apple counts changes per connection (apns.md 4, G-15).
 */
export class ProviderToken {
  readonly #key: KeyObject;
  readonly #keyId: string;
  readonly #teamId: string;
  readonly #clock: Clock;
  #latest: { readonly jwt: string; readonly signedAt: Instant } | undefined;
  #signing: Promise<void> | undefined;

  constructor(options: {
    readonly key: KeyObject;
    readonly keyId: string;
    readonly teamId: string;
    readonly clock: Clock;
  }) {
    this.#key = options.key;
    this.#keyId = options.keyId;
    this.#teamId = options.teamId;
    this.#clock = options.clock;
  }

  /** True when a token is at hand that need not be signed anew; then `adopt` may be called at once. */
  get isFresh(): boolean {
    return this.#latest !== undefined && this.#elapsedMs(this.#latest.signedAt) < SIGN_EVERY_MS;
  }

  /** Signs when it is time; however many wait, one signs. */
  async refresh(): Promise<void> {
    if (!this.isFresh) await this.#sign();
  }

  /** Signs anew because Apple called this token expired; does nothing when a newer one is there already. */
  async renew(refused: string | undefined): Promise<void> {
    if (this.#latest?.jwt === refused) await this.#sign();
  }

  /** The token for a connection's next push: its own, or the latest once it may change. */
  adopt(connection: ConnectionToken): string {
    const latest = this.#latest;
    if (latest === undefined) throw new Error("a provider token was used before it was signed");
    const { current } = connection;
    if (current?.jwt === latest.jwt) return latest.jwt;
    if (current !== undefined && this.#elapsedMs(current.since) < MIN_BETWEEN_CHANGES_MS) return current.jwt;
    connection.current = { jwt: latest.jwt, since: this.#now() };
    return latest.jwt;
  }

  #now(): Instant {
    return { monotonicMs: this.#clock.monotonic(), wallMs: this.#clock.now() };
  }

  /**
   * Apple's time goes on while this machine sleeps, which the monotonic clock does not see; and a wall clock that was
   * set, either way, makes what was signed by it doubtful. So the greater of both counts.
   */
  #elapsedMs(since: Instant): number {
    const { monotonicMs, wallMs } = this.#now();
    return Math.max(monotonicMs - since.monotonicMs, Math.abs(wallMs - since.wallMs));
  }

  #sign(): Promise<void> {
    if (this.#signing !== undefined) return this.#signing;
    const signedAt = this.#now();
    // The library is loaded with the first token.
    this.#signing = import("jose")
      .then(({ SignJWT }) =>
        new SignJWT()
          .setProtectedHeader({ alg: "ES256", kid: this.#keyId })
          .setIssuer(this.#teamId)
          .setIssuedAt(Math.floor(signedAt.wallMs / 1_000))
          .sign(this.#key),
      )
      .then((jwt) => {
        this.#latest = { jwt, signedAt };
      })
      .finally(() => {
        this.#signing = undefined;
      });
    return this.#signing;
  }
}
