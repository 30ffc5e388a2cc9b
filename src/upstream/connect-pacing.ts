import type { NetFailure } from "./net-error.ts";

/** How often a pool may connect. */
export interface PacingOptions {
  /** Between the starts of two connects, whatever came of them. */
  readonly intervalMs: number;
  /** The shortest and the longest wait after a failure; the longest wait doubles from `intervalMs` up to here. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** The longest wait after a failure of the network or a proxy, which may be over any moment. */
  readonly outageMaxMs: number;
  /** 0 to 1, for the jitter. */
  readonly random: () => number;
}

/** How long new requests have no chance, and why. */
export interface Backoff {
  readonly failure: NetFailure;
  readonly untilMs: number;
}

/**
 * Says when the next connect may start: at most one an interval (Apple takes churn for an attack), and after
 * failures exponentially later with full jitter. One answer on a connection ends the back-off.
 */
export class ConnectPacing {
  readonly #options: PacingOptions;
  #startedMs = -Infinity;
  #failures = 0;
  #backoff: Backoff | undefined;

  constructor(options: PacingOptions) {
    this.#options = options;
  }

  /** A connect starts now. */
  started(nowMs: number): void {
    this.#startedMs = nowMs;
  }

  /** A connection has proved good. */
  succeeded(): void {
    this.#failures = 0;
    this.#backoff = undefined;
  }

  /** A connect, or a connection that had not answered anything yet, failed. */
  failed(nowMs: number, failure: NetFailure): Backoff {
    const { intervalMs, backoffMinMs, backoffMaxMs, outageMaxMs, random } = this.#options;
    this.#failures += 1;
    const mostMs = Math.min(
      isLasting(failure) ? backoffMaxMs : outageMaxMs,
      intervalMs * 2 ** (this.#failures - 1),
    );
    const waitMs = backoffMinMs + random() * Math.max(0, mostMs - backoffMinMs);
    this.#backoff = { failure, untilMs: Math.max(nowMs + waitMs, this.#startedMs + intervalMs) };
    return this.#backoff;
  }

  /** The earliest time of the next connect. */
  get allowedAtMs(): number {
    return Math.max(this.#startedMs + this.#options.intervalMs, this.#backoff?.untilMs ?? -Infinity);
  }

  /** The back-off in force at that time, if any. */
  backoff(nowMs: number): Backoff | undefined {
    return this.#backoff !== undefined && nowMs < this.#backoff.untilMs ? this.#backoff : undefined;
  }
}

/** True for what only an operator cures: certificates, a peer that is none, a refusal with a reason. */
export function isLasting(failure: NetFailure): boolean {
  switch (failure.class) {
    case "tls":
      return failure.detail !== "ECONNRESET";
    case "no-h2":
    case "goaway":
      return true;
    case "dns":
    case "refused":
    case "unreachable":
    case "reset":
    case "closed":
    case "timeout":
    case "proxy":
    case "protocol":
    case "local":
    case "other":
      return false;
  }
}
