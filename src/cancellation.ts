/** Who is told of a cancellation. */
export type CancelListener = (() => void) | { handleEvent(): void };

/**
 * What is used of an `AbortSignal`, which is one. The attempt of a push has a lean one instead: making a real one,
 * hearing it and letting go costs as much as sending.
 */
export interface Cancellation {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: CancelListener, options?: { readonly once?: boolean }): void;
  removeEventListener(type: "abort", listener: CancelListener): void;
}

/** A cancellation with the means to bring it about. Each listener hears of it once. */
export class Canceller implements Cancellation {
  #aborted = false;
  /** Nearly always one or none. */
  #listeners: CancelListener[] | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  addEventListener(_type: "abort", listener: CancelListener): void {
    if (this.#listeners === undefined) this.#listeners = [listener];
    else if (!this.#listeners.includes(listener)) this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: CancelListener): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners?.splice(at, 1);
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) {
      if (typeof listener === "function") listener();
      else listener.handleEvent();
    }
  }
}

/** For libraries that want a real signal. */
export function signalOf(cancellation: Cancellation): AbortSignal {
  if (cancellation instanceof AbortSignal) return cancellation;
  const controller = new AbortController();
  if (cancellation.aborted) controller.abort();
  else cancellation.addEventListener("abort", () => controller.abort(), { once: true });
  return controller.signal;
}
