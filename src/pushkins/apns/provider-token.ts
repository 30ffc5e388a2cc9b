import type { KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import type { Clock } from "../../clock.ts";

/** A token's life is an hour (apns.md 4); signing every 35 minutes and moving to it within 20 stays below. */
const SIGN_EVERY_MS = 35 * 60 * 1_000;
/** Apple allows a connection to change its token once in this time; faster earns 429 TooManyProviderTokenUpdates. */
const MIN_BETWEEN_CHANGES_MS = 20 * 60 * 1_000;

/** The provider token that one connection uses. */
export interface ConnectionToken {
  jwt?: string;
  /** On `Clock.monotonic()`. */
  changedAtMs: number;
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
  #latest: { readonly jwt: string; readonly signedAtMs: number } | undefined;
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
    return this.#latest !== undefined && this.#clock.monotonic() - this.#latest.signedAtMs < SIGN_EVERY_MS;
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
    if (connection.jwt === latest.jwt) return latest.jwt;
    const nowMs = this.#clock.monotonic();
    if (connection.jwt === undefined || nowMs - connection.changedAtMs >= MIN_BETWEEN_CHANGES_MS) {
      connection.jwt = latest.jwt;
      connection.changedAtMs = nowMs;
    }
    return connection.jwt;
  }

  #sign(): Promise<void> {
    this.#signing ??= new SignJWT()
      .setProtectedHeader({ alg: "ES256", kid: this.#keyId })
      .setIssuer(this.#teamId)
      .setIssuedAt(Math.floor(this.#clock.now() / 1_000))
      .sign(this.#key)
      .then((jwt) => {
        this.#latest = { jwt, signedAtMs: this.#clock.monotonic() };
      })
      .finally(() => {
        this.#signing = undefined;
      });
    return this.#signing;
  }
}
