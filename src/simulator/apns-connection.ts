import type { ApnsCertificateGrant } from "./certificate.ts";
import type { ApnsReason } from "./apns-errors.ts";
import type { ProviderTokenVerifier } from "./provider-token.ts";

const HOUR_MS = 3_600_000;
const UPDATE_INTERVAL_MS = 20 * 60_000;

/** The two environments of APNs; each is a server of its own. */
export type ApnsEnvironment = "production" | "sandbox";

/** What a connection may push to once it is authenticated; `topics` absent: every topic of the team. */
export interface ApnsGrant {
  readonly topics?: readonly string[];
}

/** The provider authentication of one connection: apns.md sections 4 and 10. */
export class ApnsAuthentication {
  readonly #certificate: ApnsCertificateGrant | "untrusted" | undefined;
  readonly #environment: ApnsEnvironment;
  readonly #verifier: ProviderTokenVerifier;
  #token: string | undefined;
  #tokenSinceMs = 0;
  #keyId: string | undefined;
  #teamId: string | undefined;
  #wedged: { readonly reason: ApnsReason; readonly untilMs: number } | undefined;

  constructor(
    certificate: ApnsCertificateGrant | "untrusted" | undefined,
    environment: ApnsEnvironment,
    verifier: ProviderTokenVerifier,
  ) {
    this.#certificate = certificate;
    this.#environment = environment;
    this.#verifier = verifier;
  }

  /** The topic that counts when a request names none: a certificate's only one. */
  get defaultTopic(): string | undefined {
    const certificate = this.#certificate;
    return typeof certificate === "object" && certificate.topics.length === 1
      ? certificate.topics[0]
      : undefined;
  }

  /** Judges one request. A certificate makes the authorization header meaningless. */
  check(authorization: string | undefined, nowMs: number): ApnsReason | ApnsGrant {
    if (this.#certificate !== undefined) return this.#checkCertificate(this.#certificate);
    if (authorization === undefined) return "MissingProviderToken";
    const jwt = /^bearer +(\S+)$/i.exec(authorization)?.[1];
    const token = jwt === undefined ? undefined : this.#verifier.verify(jwt);
    if (jwt === undefined || token === undefined) return "InvalidProviderToken";
    if (token.issuedAtMs - nowMs > HOUR_MS) return "InvalidProviderToken";
    if (this.#wedged !== undefined && nowMs < this.#wedged.untilMs) return this.#wedged.reason;
    // The connection never recovers from an expired token (pushy #783).
    if (nowMs - token.issuedAtMs > HOUR_MS) return this.#wedge("ExpiredProviderToken", Infinity);
    const key = token.key;
    if (key.environment !== undefined && key.environment !== this.#environment)
      return "BadEnvironmentKeyIdInToken";
    if (this.#teamId !== undefined && this.#teamId !== key.teamId) return "InvalidProviderToken";
    if (this.#keyId !== undefined && this.#keyId !== key.keyId) return "UnrelatedKeyIdInToken";
    if (this.#token !== jwt) {
      const nextUpdateMs = this.#tokenSinceMs + UPDATE_INTERVAL_MS;
      if (this.#token !== undefined && nowMs < nextUpdateMs) {
        return this.#wedge("TooManyProviderTokenUpdates", nextUpdateMs);
      }
      this.#token = jwt;
      this.#tokenSinceMs = nowMs;
      this.#keyId = key.keyId;
      this.#teamId = key.teamId;
    }
    return key;
  }

  #wedge(reason: ApnsReason, untilMs: number): ApnsReason {
    this.#wedged = { reason, untilMs };
    return reason;
  }

  #checkCertificate(certificate: ApnsCertificateGrant | "untrusted"): ApnsReason | ApnsGrant {
    if (certificate === "untrusted") return "BadCertificate";
    return certificate.environments.includes(this.#environment) ? certificate : "BadCertificateEnvironment";
  }
}
