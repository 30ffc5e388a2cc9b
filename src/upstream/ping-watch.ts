/** When to ask a silent peer for a sign of life, and how long to wait for it. */
export interface PingPolicy {
  readonly afterMs: number;
  readonly timeoutMs: number;
}

/** What a connection has to do when it is looked at. */
export interface PingWork {
  /** When the request that waits longest was opened, by the monotonic clock; undefined when none is open. */
  readonly oldestOpenedAtMs: number | undefined;
  /** Requests so far. */
  readonly requests: number;
}

/** What the watch asks for. `dead`: the PING was not answered in time. */
export type PingAdvice = "ping" | "suspect" | "dead" | undefined;

/** A PING unanswered for so long makes us prefer other connections, long before it counts as dead. */
const suspectAfterMs = 1000;

/** Notices a peer that has vanished without a word, with as few PINGs as that takes. Sends nothing itself. */
export class PingWatch {
  readonly #busy: PingPolicy;
  readonly #idle: PingPolicy | null;
  #lastHeardMs: number;
  #sentMs: number | undefined;
  #requestsAtLastPing = -1;
  #suspect = false;

  constructor(busy: PingPolicy, idle: PingPolicy | null, nowMs: number) {
    this.#busy = busy;
    this.#idle = idle;
    this.#lastHeardMs = nowMs;
  }

  /** A PING has been out for so long that other connections are better. */
  get suspect(): boolean {
    return this.#suspect;
  }

  /** A PING is out. */
  get waiting(): boolean {
    return this.#sentMs !== undefined;
  }

  /** The peer gave a sign of life. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs;
  }

  sent(nowMs: number): void {
    this.#sentMs = nowMs;
  }

  /** The PING's answer has come. Returns true when it clears a suspicion. */
  answered(nowMs: number): boolean {
    this.#sentMs = undefined;
    this.#lastHeardMs = nowMs;
    const cleared = this.#suspect;
    this.#suspect = false;
    return cleared;
  }

  /** How long the PING has been out, 0 when none is. */
  waitedMs(nowMs: number): number {
    return this.#sentMs === undefined ? 0 : nowMs - this.#sentMs;
  }

  /** What to do now. `suspect` is said once, `ping` at most once between two requests. */
  look(nowMs: number, { oldestOpenedAtMs, requests }: PingWork): PingAdvice {
    if (this.#sentMs !== undefined) {
      const policy = oldestOpenedAtMs === undefined ? (this.#idle ?? this.#busy) : this.#busy;
      const waitedMs = nowMs - this.#sentMs;
      if (waitedMs >= policy.timeoutMs) return "dead";
      if (waitedMs < suspectAfterMs || this.#suspect) return undefined;
      this.#suspect = true;
      return "suspect";
    }
    const silentMs = nowMs - this.#lastHeardMs;
    // Google hangs up at the third PING without a request between (fcm.md section 3): one is enough for anyone.
    const wanted =
      oldestOpenedAtMs === undefined
        ? this.#idle !== null && silentMs >= this.#idle.afterMs
        : nowMs - oldestOpenedAtMs >= this.#busy.afterMs &&
          silentMs >= this.#busy.afterMs &&
          requests !== this.#requestsAtLastPing;
    if (!wanted) return undefined;
    this.#requestsAtLastPing = requests;
    return "ping";
  }
}
