import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Clock } from "../clock.ts";
import { ownBuckets, type Allowance, type MakeBuckets } from "../core/token-buckets.ts";
import { basicCredentials, bearerToken, singleHeader } from "./auth.ts";
import { HttpError } from "./errors.ts";
import type { JwtVerifier } from "./jwt.ts";
import type { HttpObserver, RequestLimit } from "./observer.ts";
import { PasswordGate } from "./password-gate.ts";
import { parsePasswordHash } from "./password-hash.ts";

/** One of `registry.accounts`. */
export interface AccountSettings {
  readonly id: string;
  readonly username?: string | undefined;
  readonly password_hash?: string | undefined;
  readonly token_hash?: string | undefined;
}

/** How callers can prove who they are. */
export interface AccountsOptions {
  readonly accounts: readonly AccountSettings[];
  readonly jwt?: JwtVerifier;
  /** `isTrusted` looks at the connection's other end alone. */
  readonly trustedHeader?: {
    readonly name: string;
    readonly isTrusted: (req: IncomingMessage) => boolean;
  };
  /** Where a request came from, as limits count it. */
  readonly sourceOf: (req: IncomingMessage) => string;
  readonly clock: Clock;
  /** Requests of one account. Absent = no limit. */
  readonly perAccount?: Allowance;
  /** Where this thread is one of several: what they count together, and how many they are. */
  readonly makeBuckets?: MakeBuckets;
  readonly threads?: number;
  /** Told of what is turned away with 429. */
  readonly observer?: Pick<HttpObserver, "limited">;
}

/** Who is asking, or what he is told instead. */
export type Identity = { readonly id: string } | HttpError;

/** Who is asking. */
export interface Accounts {
  /** Somebody could prove who he is. */
  readonly canIdentify: boolean;
  /**
   * By what is given beside the headers, else a trusted proxy's word, Basic or Bearer. Wrong and missing credentials
   * are refused alike.
   */
  identify(
    req: IncomingMessage,
    given?: { readonly username: string; readonly password: string },
  ): Promise<Identity>;
  /** The id of the account with this username; the name itself where there is none. */
  ownerOf(username: string): string;
}

/** Wrong credentials that a source may show in a time; the next are 429, and the right ones still get in. */
const WRONG = { count: 19, windowMs: 60_000 };
/** A source beyond that is hashed for this often. */
const WRONG_BEYOND = { count: 60, windowMs: 60_000 };
const ID = /^[!-~]{1,255}$/;

/** Accounts as configured. */
export function createAccounts(options: AccountsOptions): Accounts {
  const { accounts, clock, jwt, makeBuckets = ownBuckets, sourceOf, trustedHeader } = options;
  const challenge = [
    ...(accounts.some((each) => each.password_hash !== undefined)
      ? ['Basic realm="signalbox", charset="UTF-8"']
      : []),
    ...(jwt !== undefined || accounts.some((each) => each.token_hash !== undefined) ? ["Bearer"] : []),
  ].join(", ");
  const unauthorized = (): HttpError =>
    new HttpError("unauthorized", { challenge: challenge === "" ? "Bearer" : challenge });
  const gate = new PasswordGate(
    accounts.flatMap(({ id, username, password_hash }) => {
      const hash = password_hash === undefined ? undefined : parsePasswordHash(password_hash);
      return username === undefined || hash === undefined ? [] : [{ id, username, hash }];
    }),
    options.threads,
  );
  const byTokenHash = new Map(
    accounts.flatMap(({ id, token_hash }) => (token_hash === undefined ? [] : [[token_hash, id] as const])),
  );
  const byUsername = new Map(
    accounts.flatMap(({ id, username }) => (username === undefined ? [] : [[username, id] as const])),
  );
  const wrong = makeBuckets("wrong", WRONG, clock);
  const perAccount =
    options.perAccount === undefined ? undefined : makeBuckets("account", options.perAccount, clock);
  const wrongBeyond = makeBuckets("wrong-beyond", WRONG_BEYOND, clock);

  const limited = (by: RequestLimit, retryAfterMs: number): HttpError => {
    options.observer?.limited(by);
    return new HttpError("limited", { retryAfterMs });
  };

  const refuseWrong = (source: string): HttpError => {
    const waitMs = wrong.take(source);
    return waitMs === 0 ? unauthorized() : limited("credentials", waitMs);
  };

  const byPassword = async (
    { username, password }: { readonly username: string; readonly password: string },
    source: string,
  ): Promise<Identity> => {
    const known = gate.remembered(username, password);
    if (known !== undefined) return { id: known };
    if (wrong.waitFor(source) > 0) {
      const waitMs = wrongBeyond.take(source);
      if (waitMs > 0) return limited("credentials", waitMs);
    }
    const checked = await gate.check(username, password, source);
    if (checked === "wrong") return refuseWrong(source);
    return checked === "busy" ? limited("credentials", 1_000) : checked;
  };

  const byBearer = async (token: string, source: string): Promise<Identity> => {
    const id = byTokenHash.get(`sha256:${createHash("sha256").update(token).digest("hex")}`);
    if (id !== undefined) return { id };
    if (jwt === undefined) return refuseWrong(source);
    const checked = await jwt(token);
    if (checked === "wrong") return refuseWrong(source);
    return checked === "unavailable"
      ? new HttpError("unavailable", { retryAfterMs: 5_000 })
      : { id: checked.subject };
  };

  const whoIs = async (
    req: IncomingMessage,
    given: { readonly username: string; readonly password: string } | undefined,
  ): Promise<Identity> => {
    const source = sourceOf(req);
    if (given !== undefined) return byPassword(given, source);
    if (trustedHeader !== undefined && trustedHeader.isTrusted(req)) {
      const id = singleHeader(req, trustedHeader.name.toLowerCase());
      if (id !== undefined) return ID.test(id) ? { id } : unauthorized();
    }
    const basic = basicCredentials(req);
    if (basic !== undefined) return byPassword(basic, source);
    const token = bearerToken(req);
    return token === undefined ? unauthorized() : byBearer(token, source);
  };

  return {
    canIdentify: accounts.length > 0 || jwt !== undefined || trustedHeader !== undefined,
    ownerOf: (username) => byUsername.get(username) ?? username,
    async identify(req, given) {
      const identity = await whoIs(req, given);
      if (identity instanceof HttpError) return identity;
      const retryAfterMs = perAccount?.take(identity.id) ?? 0;
      return retryAfterMs > 0 ? limited("account", retryAfterMs) : identity;
    },
  };
}
