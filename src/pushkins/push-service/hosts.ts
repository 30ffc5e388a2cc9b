import type { Clock } from "../../clock.ts";
import type { GuardedOrigin } from "../../upstream/guarded-origin.ts";

/** A place at a host for one request. */
export interface Place {
  readonly kind: "place";
  readonly origin: GuardedOrigin;
  /** Some request was accepted there with our credentials: a refusal concerns the subscription, not us. */
  readonly isProven: boolean;
  readonly queueMs: number;
  /** Gives the place back; `delivered` when the host took a push. */
  leave(delivered: boolean): void;
}

/** Why there is no place. */
export type NoPlace =
  /** Too many requests wait for it already, or for hosts that never took a push. */
  | { readonly kind: "overloaded" }
  /** The signal aborted while waiting. */
  | { readonly kind: "aborted" };

/** Bounds of what one app's hosts may hold. */
export interface HostsOptions {
  readonly clock: Clock;
  /** Requests under way at one host. */
  readonly perHost: number;
  /** Hosts that are remembered. */
  readonly maxHosts?: number;
  /** How many threads have such hosts each, and together one; absent = 1. */
  readonly threads?: number;
}

/** Waiting for one host, for each that is under way there. */
const WAITING_PER_PLACE = 4;
/** Each may keep some idle connections. */
const MAX_HOSTS = 250;
/**
 * Hosts that have never taken a push may hold so many places together: whoever invents endpoints by the hundred
 * cannot fill the app's 512 with them.
 */
const MAX_UNPROVEN = 128;

interface Host {
  readonly origin: GuardedOrigin;
  readonly waiting: Set<() => void>;
  underWay: number;
  isProven: boolean;
}

/**
 * One app's push services, each with its own connections, bulkhead, so that a dead one stops nobody else's
 * messages (webpush.md 5); the core keeps a circuit for each. The least recently used are forgotten.
 */
export class Hosts {
  readonly #options: HostsOptions;
  readonly #maxUnproven: number;
  /** By origin, least recently used first. */
  readonly #hosts = new Map<string, Host>();
  #unproven = 0;

  constructor(options: HostsOptions) {
    this.#options = options;
    this.#maxUnproven = Math.max(1, Math.floor(MAX_UNPROVEN / (options.threads ?? 1)));
  }

  get size(): number {
    return this.#hosts.size;
  }

  /** Requests that wait for a place. */
  get waiting(): number {
    let sum = 0;
    for (const host of this.#hosts.values()) sum += host.waiting.size;
    return sum;
  }

  /**
   * A place at an origin, at once or when one is free.
   *
   * @param open makes the connections of an origin that is not known yet
   */
  async enter(key: string, open: () => GuardedOrigin, signal: AbortSignal): Promise<Place | NoPlace> {
    const { clock, perHost } = this.#options;
    const host = this.#host(key, open);
    const startedMs = clock.monotonic();
    while (host.underWay >= perHost) {
      if (host.waiting.size >= perHost * WAITING_PER_PLACE) return { kind: "overloaded" };
      await turn(host, signal);
      if (signal.aborted) return passOn(host, { kind: "aborted" });
    }
    if (!host.isProven && this.#unproven >= this.#maxUnproven) return passOn(host, { kind: "overloaded" });
    const { isProven } = host;
    host.underWay += 1;
    if (!isProven) this.#unproven += 1;
    return {
      kind: "place",
      origin: host.origin,
      isProven,
      queueMs: clock.monotonic() - startedMs,
      leave: (delivered) => {
        host.underWay -= 1;
        if (!isProven) this.#unproven -= 1;
        if (delivered) host.isProven = true;
        wakeNext(host);
      },
    };
  }

  /** Cuts all connections. */
  destroy(): void {
    for (const host of this.#hosts.values()) host.origin.destroy();
    this.#hosts.clear();
  }

  #host(key: string, open: () => GuardedOrigin): Host {
    const known = this.#hosts.get(key);
    const host = known ?? {
      origin: open(),
      waiting: new Set<() => void>(),
      underWay: 0,
      isProven: false,
    };
    this.#hosts.delete(key);
    this.#hosts.set(key, host);
    if (known === undefined) this.#forget();
    return host;
  }

  /** Never one with requests under way: their number is bounded by the app's own bulkhead. */
  #forget(): void {
    if (this.#hosts.size <= (this.#options.maxHosts ?? MAX_HOSTS)) return;
    const newest = [...this.#hosts.keys()].at(-1);
    for (const [key, host] of this.#hosts) {
      if (key === newest || host.underWay > 0 || host.waiting.size > 0) continue;
      host.origin.destroy();
      this.#hosts.delete(key);
      return;
    }
  }
}

/** Resolves when a place may be free, or the signal aborts. */
function turn(host: Host, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const wake = (): void => {
      host.waiting.delete(wake);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    host.waiting.add(wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}

/** It may have been this one's turn: then it is the next one's. */
function passOn(host: Host, result: NoPlace): NoPlace {
  wakeNext(host);
  return result;
}

function wakeNext(host: Host): void {
  const [next] = host.waiting;
  next?.();
}
