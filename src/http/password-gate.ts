import { createHmac, randomBytes } from "node:crypto";
import { impossibleHash, isPassword, type PasswordHash } from "./password-hash.ts";

/** One account's name and what its password hashes to. */
export interface PasswordAccount {
  readonly id: string;
  readonly username: string;
  readonly hash: PasswordHash;
}

/** The account's id; that there is none with this name and password; or that too many are asking. */
export type PasswordCheck = { readonly id: string } | "wrong" | "busy";

/** Hashes under way at once: the process has other work for its threads and cores. */
const AT_ONCE = 2;
/** Checks that wait, of one source and in all: beyond it nobody is hashed for. */
const WAITING_PER_SOURCE = 8;
const WAITING = 512;
/** Name and password pairs that are known to be right. */
const REMEMBERED = 10_000;

/**
 * Compares passwords. Hashing is slow on purpose, so that only a few run at once and sources take turns, and what was
 * right once is remembered by a keyed hash: an app's second report costs microseconds. An unknown name is hashed for
 * like a known one.
 */
export class PasswordGate {
  readonly #accounts: ReadonlyMap<string, PasswordAccount>;
  readonly #nobody: PasswordHash;
  readonly #atOnce: number;
  readonly #key = randomBytes(32);
  readonly #right = new Map<string, string>();
  /** Who waits, by source; the source whose turn is next first. */
  readonly #queues = new Map<string, (() => void)[]>();
  #waiting = 0;
  #running = 0;

  /** @param threads how many have such a gate each, and together one */
  constructor(accounts: readonly PasswordAccount[], threads = 1) {
    this.#atOnce = Math.max(1, Math.floor(AT_ONCE / threads));
    this.#accounts = new Map(accounts.map((account) => [account.username, account]));
    this.#nobody = impossibleHash(accounts[0]?.hash);
  }

  /** The account's id, where this pair was found to be right before. */
  remembered(username: string, password: string): string | undefined {
    return this.#right.get(this.#nameOf(username, password));
  }

  /** @param source whom to be fair between: an address */
  async check(username: string, password: string, source: string): Promise<PasswordCheck> {
    const account = this.#accounts.get(username);
    if (!(await this.#turn(source))) return "busy";
    let isRight: boolean;
    try {
      isRight = await isPassword(password, account?.hash ?? this.#nobody);
    } finally {
      this.#running -= 1;
      this.#next();
    }
    if (account === undefined || !isRight) return "wrong";
    this.#remember(this.#nameOf(username, password), account.id);
    return { id: account.id };
  }

  #nameOf(username: string, password: string): string {
    const pair = `${username.length}:${username}${password}`;
    return createHmac("sha256", this.#key).update(pair).digest("base64");
  }

  #remember(name: string, id: string): void {
    this.#right.set(name, id);
    if (this.#right.size <= REMEMBERED) return;
    for (const oldest of this.#right.keys()) {
      this.#right.delete(oldest);
      return;
    }
  }

  /** Resolves when it may run; false when too many wait already. */
  #turn(source: string): Promise<boolean> {
    if (this.#running < this.#atOnce) {
      this.#running += 1;
      return Promise.resolve(true);
    }
    const queue = this.#queues.get(source) ?? [];
    if (queue.length >= WAITING_PER_SOURCE || this.#waiting >= WAITING) return Promise.resolve(false);
    this.#queues.set(source, queue);
    this.#waiting += 1;
    return new Promise((resolve) => {
      queue.push(() => resolve(true));
    });
  }

  #next(): void {
    for (const [source, queue] of this.#queues) {
      const begin = queue.shift();
      this.#queues.delete(source);
      // To the end of the line: the other sources come first.
      if (queue.length > 0) this.#queues.set(source, queue);
      if (begin === undefined) continue;
      this.#waiting -= 1;
      this.#running += 1;
      begin();
      return;
    }
  }
}
