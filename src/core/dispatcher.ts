import type { Push } from "./push.ts";
import type { Settled } from "./outcome.ts";

/** What a door knows about a request beside its pushes. */
export interface DispatchOptions {
  readonly requestId: string;
  /** When the answer must be ready, on `Clock.monotonic()` (design D6). */
  readonly answerByMs: number;
  /** Aborts when the caller hung up: the pushes go on, and their results are kept for the repeat. */
  readonly callerGone: AbortSignal;
}

/** What a door needs of the core. */
export interface Dispatcher {
  /** Settles every push, side by side; same order, never rejects. */
  dispatch(pushes: readonly Push[], options: DispatchOptions): Promise<readonly Settled[]>;
}
