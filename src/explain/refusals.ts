import { hash, randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { HttpErrorCode } from "../http/errors.ts";
import { silentHttpObserver, type HttpObserver } from "../http/observer.ts";

/** A request that was refused: nothing of what was in it, nor who sent it. */
export interface Refusal {
  /** The request's id. */
  readonly request: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly status: number;
  /** Absent when a door refused it by an answer of its own. */
  readonly code?: HttpErrorCode;
  readonly method: string;
  /** The route that it came to; absent when it was refused before that was looked up, or nothing is served there. */
  readonly path?: string;
}

const SHELVES = 256;
/** Refusals of a shelf that are remembered: the latest. Two megabytes in all. */
const SHELF_ROWS = 32;

/**
 * The latest requests that were refused, in this process's memory alone. Anybody can have requests refused, as many as
 * he likes, so they stand on shelves by who sent them and why: a flood pushes out what is on its own shelf, and which
 * other senders share that is drawn anew at each start. Only who has hundreds of addresses can empty them all.
 */
export class Refusals {
  readonly #clock: Clock;
  readonly #key: string;
  readonly #shelves = new Map<number, Refusal[]>();
  readonly observer: HttpObserver;

  /** @param key decides who shares a shelf with whom; secret */
  constructor(clock: Clock, key = randomBytes(16).toString("hex")) {
    this.#clock = clock;
    this.#key = key;
    this.observer = {
      ...silentHttpObserver,
      refused: ({ code, method, path, requestId, source, status }) =>
        this.#add(`${source} ${code ?? status}`, {
          request: requestId,
          atMs: this.#clock.now(),
          status,
          ...(code === undefined ? {} : { code }),
          method,
          ...(path === undefined ? {} : { path }),
        }),
    };
  }

  /** Looks through all of them, which is for the rare question. */
  find(request: string): Refusal | undefined {
    for (const shelf of this.#shelves.values()) {
      const found = shelf.find((each) => each.request === request);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** How many are remembered. */
  get size(): number {
    return [...this.#shelves.values()].reduce((sum, shelf) => sum + shelf.length, 0);
  }

  #add(name: string, refusal: Refusal): void {
    const number = hash("sha256", `${this.#key} ${name}`, "buffer").readUInt16BE() % SHELVES;
    const shelf = this.#shelves.get(number);
    if (shelf === undefined) this.#shelves.set(number, [refusal]);
    else if (shelf.push(refusal) > SHELF_ROWS) shelf.shift();
  }
}
