import type { StreamControl, StreamListener } from "../wire.ts";
import { ReceiveWindow, type SendingStream } from "./flow.ts";

/** What a stream asks of its connection. */
export interface StreamHome {
  cancel(stream: LeanStream): void;
}

/** One open stream: the whole of what is kept for a request in flight. */
export class LeanStream implements StreamControl, SendingStream {
  readonly id: number;
  readonly listener: StreamListener;
  readonly received: ReceiveWindow;
  sendWindow: number;
  rest: Uint8Array | undefined;
  /** The head of its answer has come. */
  isAnswered = false;
  /** What of the body is still to come, by `content-length`. */
  missingBytes: number | undefined;
  readonly #home: StreamHome;

  constructor(home: StreamHome, id: number, listener: StreamListener, sendWindow: number, window: number) {
    this.#home = home;
    this.id = id;
    this.listener = listener;
    this.sendWindow = sendWindow;
    this.received = new ReceiveWindow(window);
  }

  cancel(): void {
    this.#home.cancel(this);
  }
}
