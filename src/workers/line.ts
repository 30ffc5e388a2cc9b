/** What a thread can be asked: by name, what is given and what comes back. Both must survive a structured clone. */
export type Questions = { readonly [Name in string]: readonly [given: unknown, answer: unknown] };

/** How a thread answers what it is asked. */
export type Handlers<Q extends Questions> = {
  readonly [Name in keyof Q]: (given: Q[Name][0]) => Q[Name][1] | Promise<Q[Name][1]>;
};

/** One end of a message channel, a worker or its parent. */
export interface Port {
  postMessage(message: unknown): void;
  on(event: "message", hear: (message: unknown) => void): unknown;
}

type Wire =
  | { readonly kind: "ask"; readonly id: number; readonly name: string; readonly given: unknown }
  | { readonly kind: "tell"; readonly name: string; readonly given: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failed"; readonly id: number };

/**
 * Questions and answers between two threads.
 *
 * `Theirs` are the questions that the other end answers, `Ours` those that this one does.
 */
export class Line<Theirs extends Questions, Ours extends Questions> {
  readonly #port: Port;
  readonly #asked = new Map<number, (answer: unknown) => void>();
  readonly #onBug: (error: unknown) => void;
  #lastId = 0;
  #ended = false;

  /** @param onBug is told of what a handler threw; whoever asked is told that there is no answer */
  constructor(port: Port, handlers: Handlers<Ours>, onBug: (error: unknown) => void) {
    this.#port = port;
    this.#onBug = onBug;
    const byName = handlers as Readonly<Record<string, (given: unknown) => unknown>>;
    port.on("message", (message) => {
      const wire = message as Wire;
      if (wire.kind === "answer" || wire.kind === "failed") {
        const tell = this.#asked.get(wire.id);
        this.#asked.delete(wire.id);
        tell?.(wire.kind === "answer" ? wire.answer : undefined);
      } else void this.#serve(wire, byName);
    });
  }

  /** Undefined also when the other thread has ended, or could not answer. Never rejects. */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    given: Theirs[Name][0],
  ): Promise<Theirs[Name][1] | undefined> {
    if (this.#ended) return Promise.resolve(undefined);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      // The other end answers a question with what belongs to its name.
      this.#asked.set(id, (answer) => resolve(answer));
      this.#port.postMessage({ kind: "ask", id, name, given } satisfies Wire);
    });
  }

  /** Without an answer. */
  tell<Name extends keyof Theirs & string>(name: Name, given: Theirs[Name][0]): void {
    if (!this.#ended) this.#port.postMessage({ kind: "tell", name, given } satisfies Wire);
  }

  /** The other thread has ended: nobody answers any more. */
  end(): void {
    this.#ended = true;
    for (const tell of this.#asked.values()) tell(undefined);
    this.#asked.clear();
  }

  async #serve(
    wire: Extract<Wire, { kind: "ask" | "tell" }>,
    byName: Readonly<Record<string, (given: unknown) => unknown>>,
  ): Promise<void> {
    let reply: Wire | undefined;
    try {
      const answer = await byName[wire.name]?.(wire.given);
      if (wire.kind === "ask") reply = { kind: "answer", id: wire.id, answer };
    } catch (error) {
      this.#onBug(error);
      if (wire.kind === "ask") reply = { kind: "failed", id: wire.id };
    }
    if (reply !== undefined && !this.#ended) this.#port.postMessage(reply);
  }
}
