import { MessageChannel, Worker, type MessagePort } from "node:worker_threads";
import type { Clock } from "../clock.ts";
import { threadFlags } from "../thread-flags.ts";
import type {
  AbandonedThrough,
  Answer,
  Failure,
  FromWriter,
  ToWriter,
  WriterData,
} from "./sqlite-messages.ts";
import type { ArgsOf, OperationName, Request, ResultOf } from "./sqlite-operations.ts";
import { StoreError } from "./store.ts";

/** Bounds on what waits for the writer thread. */
export interface ClientOptions {
  readonly clock: Clock;
  /** After this a call fails with `unavailable`, whatever becomes of it. */
  readonly deadlineMs: number;
  /** Calls that wait at the same time; one more fails at once. */
  readonly maxWaiting: number;
  /** The thread ended by itself, or never came up after it was ready: nothing can be stored any more. Called once. */
  readonly onFailure: (error: StoreError) => void;
  /** Writing stopped working, or (undefined) works again. */
  readonly onHealth: (trouble: StoreError | undefined) => void;
}

/** One thread's end of the writer thread. */
export interface Client {
  readonly installationKey: Uint8Array;
  /**
   * Rejects with StoreError only. When the deadline has passed, the work may still have been done.
   *
   * @param onLate is given the result of work that was done although its caller had been told that it failed
   */
  ask<Name extends OperationName>(
    name: Name,
    args: ArgsOf<Name>,
    onLate?: (result: ResultOf<Name>) => void,
  ): Promise<ResultOf<Name>>;
  readonly closed: boolean;
  /** Everything asked before is done first. */
  close(): Promise<void>;
}

/** The end of the thread that started the writer. */
export interface Starter extends Client {
  /** A place for another thread, to be handed over to it with its port transferred. */
  seat(): ClientSeat;
}

/** What another thread needs to ask the writer too. */
export interface ClientSeat {
  readonly port: MessagePort;
  readonly abandonedThrough: AbandonedThrough;
  readonly installationKey: Uint8Array;
}

/** What a client needs of the thread at the other end, however it is reached. */
interface Link {
  post(message: ToWriter): void;
  onMessage(hear: (message: FromWriter) => void): void;
  /** The other end is gone, or what it says cannot be read. */
  onEnd(hear: (error: unknown) => void): void;
  /** Resolves when nothing comes from the other end any more. */
  readonly ended: Promise<void>;
  cut(): void;
}

interface Pending {
  readonly deadline: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
  readonly onLate?: (value: unknown) => void;
}

/** A start that takes longer hangs: even the check of a large file is through by then. */
const openWithinMs = 60_000;
const closeWithinMs = 10_000;

const errorOf = ({ code, message }: Failure): StoreError => new StoreError(code, message);

/** Starts the thread and resolves when its database is open; rejects with the reason when it cannot be. */
export async function startWriter(
  data: Omit<WriterData, "abandonedThrough">,
  options: ClientOptions,
): Promise<Starter> {
  // Beside this file is its sibling in the same form: TypeScript in a checkout, JavaScript in what is shipped.
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
  const abandonedThrough = new SharedArrayBuffer(8);
  const worker = new Worker(new URL(`./sqlite-writer${extension}`, import.meta.url), {
    workerData: { ...data, abandonedThrough } satisfies WriterData,
    execArgv: [...threadFlags],
    // What this thread makes lives for one commit: with a larger young generation it would only hold more memory.
    resourceLimits: { maxYoungGenerationSizeMb: 6 },
    name: "store",
  });
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  return new Promise((resolve, reject) => {
    const cancel = options.clock.schedule(openWithinMs, () => {
      reject(
        new StoreError("unavailable", `cannot open ${data.file}: no result in ${openWithinMs / 1000} s`),
      );
      void worker.terminate();
    });
    let refusal: StoreError | undefined;
    worker.on("error", (error: unknown) => (refusal ??= death(error)));
    // Only now: when the thread is gone its locks are, and somebody may open the same file next.
    worker.once("exit", () => {
      cancel();
      reject(refusal ?? death(undefined));
    });
    worker.once("message", (message: FromWriter) => {
      if (message.kind === "ready") {
        cancel();
        const { installationKey } = message;
        const client = connect(workerLink(worker, exited), abandonedThrough, installationKey, options);
        resolve(Object.assign(client, { seat: () => seatAt(worker, installationKey) }));
      } else if (message.kind === "refused") {
        refusal = errorOf(message.failure);
      }
    });
  });
}

/** Asks from another thread than the one that started the writer. */
export function takeSeat(seat: ClientSeat, options: ClientOptions): Client {
  return connect(portLink(seat.port), seat.abandonedThrough, seat.installationKey, options);
}

function seatAt(worker: Worker, installationKey: Uint8Array): ClientSeat {
  const { port1, port2 } = new MessageChannel();
  const abandonedThrough = new SharedArrayBuffer(8);
  worker.postMessage({ kind: "seat", port: port2, abandonedThrough } satisfies ToWriter, [port2]);
  return { port: port1, abandonedThrough, installationKey };
}

function workerLink(worker: Worker, ended: Promise<void>): Link {
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (hear) => void worker.on("message", hear),
    onEnd(hear) {
      worker.on("messageerror", hear);
      worker.on("error", hear);
      worker.once("exit", () => hear(undefined));
    },
    ended,
    cut: () => void worker.terminate(),
  };
}

function portLink(port: MessagePort): Link {
  const ended = new Promise<void>((resolve) => port.once("close", resolve));
  return {
    post: (message) => port.postMessage(message),
    onMessage: (hear) => void port.on("message", hear),
    onEnd(hear) {
      port.on("messageerror", hear);
      port.once("close", () => hear(undefined));
    },
    ended,
    cut: () => port.close(),
  };
}

function death(error: unknown): StoreError {
  const what = error instanceof Error ? ` with ${error.name}` : "";
  return new StoreError("unavailable", `the store's thread ended unexpectedly${what}`, { cause: error });
}

function connect(
  link: Link,
  abandoned: AbandonedThrough,
  installationKey: Uint8Array,
  { clock, deadlineMs, maxWaiting, onFailure, onHealth }: ClientOptions,
): Client {
  const abandonedThrough = new BigInt64Array(abandoned);
  /** In the order of their ids, thus of their deadlines. */
  const pending = new Map<number, Pending>();
  /** Calls that have failed by their deadline, and whose result somebody wants nevertheless. */
  const late = new Map<number, (value: unknown) => void>();
  let outgoing: Request[] = [];
  let lastId = 0;
  let cancelTimer: (() => void) | undefined;
  /** Why nothing more is taken. */
  let over: StoreError | undefined;
  /** What the thread last said, and what its silence says. */
  let reported: StoreError | undefined;
  let silent: StoreError | undefined;
  let told: StoreError | undefined;

  const tellHealth = (): void => {
    const now = reported ?? silent;
    if (now === told) return;
    told = now;
    onHealth(now);
  };

  const flush = (): void => {
    const requests = outgoing;
    outgoing = [];
    if (over === undefined && requests.length > 0) link.post({ kind: "requests", requests });
  };

  const watch = (): void => {
    const [first] = pending.values();
    if (cancelTimer !== undefined || first === undefined) return;
    cancelTimer = clock.schedule(Math.max(0, first.deadline - clock.monotonic()), () => {
      cancelTimer = undefined;
      expire();
      watch();
    });
  };

  const expire = (): void => {
    const now = clock.monotonic();
    const error = new StoreError("unavailable", `the store did not answer in ${deadlineMs} ms`);
    for (const [id, { deadline, reject, onLate }] of pending) {
      if (deadline > now) break;
      Atomics.store(abandonedThrough, 0, BigInt(id));
      pending.delete(id);
      if (onLate !== undefined) late.set(id, onLate);
      silent ??= error;
      reject(error);
    }
    tellHealth();
  };

  const end = (error: StoreError): void => {
    over ??= error;
    cancelTimer?.();
    cancelTimer = undefined;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
    late.clear();
  };

  const settle = (answer: Answer): void => {
    const call = pending.get(answer.id);
    if (call === undefined) {
      const onLate = late.get(answer.id);
      late.delete(answer.id);
      if ("value" in answer) onLate?.(answer.value);
      return;
    }
    pending.delete(answer.id);
    if ("value" in answer) call.resolve(answer.value);
    else call.reject(errorOf(answer.failure));
  };

  const fail = (error: StoreError): void => {
    if (over !== undefined) return;
    end(error);
    onFailure(error);
  };

  link.onMessage((message) => {
    if (message.kind === "answers") {
      silent = undefined;
      message.answers.forEach(settle);
    } else if (message.kind === "health") {
      reported = message.failure === undefined ? undefined : errorOf(message.failure);
    }
    tellHealth();
  });
  link.onEnd((error) => fail(death(error)));

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    flush();
    link.post({ kind: "close" });
    over ??= new StoreError("closed", "the store is closed");
    const cancel = clock.schedule(closeWithinMs, () => link.cut());
    await link.ended;
    cancel();
    end(over);
  };

  return {
    installationKey,
    get closed() {
      return over !== undefined;
    },
    ask<Name extends OperationName>(
      name: Name,
      args: ArgsOf<Name>,
      onLate?: (result: ResultOf<Name>) => void,
    ): Promise<ResultOf<Name>> {
      if (over !== undefined) return Promise.reject(over);
      if (pending.size >= maxWaiting) {
        return Promise.reject(new StoreError("unavailable", "too many calls wait for the store"));
      }
      return new Promise<ResultOf<Name>>((resolve, reject) => {
        lastId += 1;
        pending.set(lastId, {
          deadline: clock.monotonic() + deadlineMs,
          // The thread answers a request with the result of the operation that it named.
          resolve: (value) => resolve(value as ResultOf<Name>),
          reject,
          ...(onLate === undefined ? {} : { onLate: (value) => onLate(value as ResultOf<Name>) }),
        });
        // One message for all that is asked in the same tick.
        if (outgoing.length === 0) queueMicrotask(flush);
        outgoing.push({ id: lastId, name, args } as Request);
        watch();
      });
    },
    close: () => (closing ??= over === undefined ? close() : Promise.resolve()),
  };
}
