import type { MessagePort } from "node:worker_threads";
import type { Request } from "./sqlite-operations.ts";
import type { StoreError } from "./store.ts";

/** A `StoreError` on its way between threads. */
export interface Failure {
  readonly code: StoreError["code"];
  readonly message: string;
}

/** What the writer thread is started with. */
export interface WriterData {
  /** Absolute, symbolic links resolved. */
  readonly file: string;
  readonly busyTimeoutMs: number;
  /** Writing stops when the write-ahead log is larger and cannot be reset (SS09). */
  readonly maxWalBytes: number;
  readonly maxPages?: number;
  /** Filled by the writer before it says that it is ready. */
  readonly rejectionFilter: SharedArrayBuffer;
  readonly dedupeFilter: SharedArrayBuffer;
  /** Written by the writer alone, which may empty it while nothing waits. */
  readonly outboxFilter: SharedArrayBuffer;
  readonly abandonedThrough: AbandonedThrough;
}

/**
 * One 64-bit integer: nobody waits any more for a client's requests up to this id, and the writer leaves them undone.
 * All have the same deadline and ids only grow, so one number says it.
 */
export type AbandonedThrough = SharedArrayBuffer;

/** To the writer. */
export type ToWriter =
  | { readonly kind: "requests"; readonly requests: readonly Request[] }
  /** From the thread that started it alone: another thread asks by this port from now on. */
  | { readonly kind: "seat"; readonly port: MessagePort; readonly abandonedThrough: AbandonedThrough }
  /**
   * Finish what was sent before and close the port. From the thread that started the writer: finish what everybody
   * has sent, close the database, end.
   */
  | { readonly kind: "close" };

/** The answer to one request. `value` is the operation's result. */
export type Answer =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly failure: Failure };

/** From the writer. */
export type FromWriter =
  | { readonly kind: "ready"; readonly installationKey: Uint8Array }
  /** The store cannot be opened; the thread ends. */
  | { readonly kind: "refused"; readonly failure: Failure }
  | { readonly kind: "answers"; readonly answers: readonly Answer[] }
  /** The database stopped working, or (without a failure) works again. */
  | { readonly kind: "health"; readonly failure?: Failure };
