import type { Clock } from "../clock.ts";

/** A token and when it ends, milliseconds since 1970. */
export interface ExpiringToken {
  readonly token: string;
  readonly expiresAtMs: number;
}

/** Why there is no token: `refused` needs the operator, `unavailable` may pass. */
export class TokenError extends Error {
  readonly kind: "refused" | "unavailable";

  constructor(kind: TokenError["kind"], message: string) {
    super(message);
    this.name = "TokenError";
    this.kind = kind;
  }
}

/** How long before its end a token is renewed (fcm.md 1); of a short-lived one, the last fifth. */
const RENEW_BEFORE_MS = 5 * 60 * 1_000;
/** A failing token endpoint is asked again no sooner than this, while the old token lasts or callers give up. */
const MIN_BETWEEN_FAILURES_MS = 1_000;
const MAX_BETWEEN_FAILURES_MS = 60_000;
/** An upstream that refuses every token must not have one fetched per push. */
const MIN_BETWEEN_REFUSALS_MS = 10_000;

/**
 * A token that is fetched once however many wait, renewed in the background before it ends, and used to its very end
 * when renewing fails (fcm.md 1, UF08).
 */
export class CachedToken {
  readonly #fetch: () => Promise<ExpiringToken>;
  readonly #clock: Clock;
  #current: (ExpiringToken & { readonly renewAtMs: number }) | undefined;
  #fetching: Promise<string> | undefined;
  #failures = 0;
  #refusedAtMs = -Infinity;
  #lastFailure: { readonly error: Error; readonly againAtMs: number } | undefined;

  /** @param fetch gets a new token; rejects with `TokenError`; ends by itself */
  constructor(fetch: () => Promise<ExpiringToken>, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  /** The token, without waiting when one is valid. Rejects with what the last fetch failed with. */
  get(): string | Promise<string> {
    const now = this.#clock.now();
    const current = this.#current;
    if (current === undefined || now >= current.expiresAtMs) return this.#renew(now);
    // A failed renewal is the next caller's to repeat; until the end there is a token.
    if (now >= current.renewAtMs) void this.#renew(now).catch(() => {});
    return current.token;
  }

  /**
   * The upstream refuses this token although it has not ended. Returns whether another one can be had: not when its
   * predecessor was refused a moment ago, since then it is not the token's fault.
   */
  invalidate(token: string): boolean {
    if (this.#current?.token !== token) return true;
    const now = this.#clock.monotonic();
    if (now - this.#refusedAtMs < MIN_BETWEEN_REFUSALS_MS) return false;
    this.#refusedAtMs = now;
    this.#current = undefined;
    return true;
  }

  #renew(nowMs: number): Promise<string> {
    if (this.#fetching !== undefined) return this.#fetching;
    const failed = this.#lastFailure;
    if (
      failed !== undefined &&
      nowMs < failed.againAtMs &&
      failed.againAtMs - nowMs <= MAX_BETWEEN_FAILURES_MS
    ) {
      return Promise.reject(failed.error);
    }
    this.#fetching = this.#fetchOnce().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async #fetchOnce(): Promise<string> {
    try {
      const fetched = await this.#fetch();
      const lifeMs = Math.max(0, fetched.expiresAtMs - this.#clock.now());
      this.#current = { ...fetched, renewAtMs: fetched.expiresAtMs - Math.min(RENEW_BEFORE_MS, lifeMs / 5) };
      this.#failures = 0;
      this.#lastFailure = undefined;
      return fetched.token;
    } catch (error) {
      this.#failures += 1;
      const waitMs = Math.min(MAX_BETWEEN_FAILURES_MS, MIN_BETWEEN_FAILURES_MS * 2 ** (this.#failures - 1));
      const failure = error instanceof Error ? error : new TokenError("unavailable", "no token");
      this.#lastFailure = { error: failure, againAtMs: this.#clock.now() + waitMs };
      throw failure;
    }
  }
}
