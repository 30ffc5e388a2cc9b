import type { TLSSocket } from "node:tls";
import { FrameWriter } from "./frame-writer.ts";

/** Who puts frames into an outlet. */
export interface OutletHost {
  /** What has been collected goes to the socket now. What this returns is called when the network has taken it. */
  leaving(): (() => void) | undefined;
}

/** The way out of one connection: the frames of one turn of the event loop are written together. */
export class Outlet {
  readonly frames = new FrameWriter();
  readonly #socket: TLSSocket;
  readonly #host: OutletHost;
  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.flush();
  };
  #isScheduled = false;
  #unwrittenBytes = 0;

  constructor(socket: TLSSocket, host: OutletHost) {
    this.#socket = socket;
    this.#host = host;
  }

  /** Collected, or handed to the socket and not taken by the network. */
  get waitingBytes(): number {
    return this.#unwrittenBytes + this.frames.length;
  }

  /** Writes at the end of this turn, with whatever else it brings. */
  flushSoon(): void {
    if (this.#isScheduled || this.frames.length === 0) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  /** Writes now, if the socket still takes anything. */
  flush(): void {
    if (this.frames.length === 0 || this.#socket.destroyed) return;
    const written = this.#host.leaving();
    const batch = this.frames.take();
    this.#unwrittenBytes += batch.length;
    this.#socket.write(batch, (error) => {
      // The socket's end says the rest.
      if (error !== undefined && error !== null) return;
      this.#unwrittenBytes -= batch.length;
      this.frames.giveBack(batch);
      written?.();
    });
  }

  /** Forgets what has been collected: it was never handed to the socket, and never will be. */
  discard(): void {
    this.frames.length = 0;
  }
}
