import { EventEmitter } from "node:events";
import type { IncomingHttpHeaders } from "node:http2";
import type { TLSSocket } from "node:tls";
import { systemClock, type Clock } from "../../../src/clock.ts";
import { openLeanWire } from "../../../src/upstream/lean/lean-wire.ts";
import { FrameReader } from "../../../src/upstream/lean/frame-reader.ts";
import type { NetFailure } from "../../../src/upstream/net-error.ts";
import type {
  StreamControl,
  StreamEnd,
  StreamListener,
  Wire,
  WireOwner,
} from "../../../src/upstream/wire.ts";
import { frame } from "../../support/upstream-server.ts";

/** As much of a socket as a wire uses, with the test in the peer's place. */
export class FakeSocket extends EventEmitter {
  readonly written: Buffer[] = [];
  destroyed = false;
  hasEnded = false;
  /** The network takes nothing until `release`. */
  isStuck = false;
  readonly #waiting: (() => void)[] = [];

  write(bytes: Uint8Array, taken?: () => void): boolean {
    this.written.push(Buffer.from(bytes));
    if (this.isStuck) this.#waiting.push(() => taken?.());
    else process.nextTick(() => taken?.());
    return true;
  }

  release(): void {
    this.isStuck = false;
    for (const taken of this.#waiting.splice(0)) taken();
  }

  end(): void {
    this.hasEnded = true;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(() => this.emit("close"));
  }

  setNoDelay(): void {}
}

/** What happened to one stream. */
export class SeenStream implements StreamListener {
  stream: StreamControl | undefined;
  readonly heads: { readonly status: number; readonly headers: IncomingHttpHeaders }[] = [];
  body = "";
  /** Every call of `closed`: there must be one. */
  readonly ends: (StreamEnd | undefined)[] = [];
  /** Calls that came out of order. */
  readonly wrong: string[] = [];

  head(status: number, headers: IncomingHttpHeaders): void {
    if (this.ends.length > 0) this.wrong.push("head after the end");
    if ((this.heads.at(-1)?.status ?? 0) >= 200) this.wrong.push("a second head");
    this.heads.push({ status, headers: { ...headers } });
  }

  data(chunk: Buffer): void {
    if (this.ends.length > 0) this.wrong.push("data after the end");
    if ((this.heads.at(-1)?.status ?? 0) < 200) this.wrong.push("data before the head");
    this.body += chunk.toString("latin1");
  }

  closed(end?: StreamEnd): void {
    this.ends.push(end);
  }
}

/** What happened to a connection. */
export class SeenOwner implements WireOwner {
  readonly settingsSeen: (number | undefined)[] = [];
  readonly goaways: { readonly code: number; readonly lastStreamId: number; readonly text: string }[] = [];
  readonly gones: NetFailure[] = [];
  heardCount = 0;
  easedCount = 0;

  settings(maxConcurrentStreams: number | undefined): void {
    this.settingsSeen.push(maxConcurrentStreams);
  }

  goaway(code: number, lastStreamId: number, debugData: Uint8Array | undefined): void {
    this.goaways.push({ code, lastStreamId, text: Buffer.from(debugData ?? []).toString("latin1") });
  }

  heard(): void {
    this.heardCount += 1;
  }

  eased(): void {
    this.easedCount += 1;
  }

  gone(failure: NetFailure): void {
    this.gones.push(failure);
  }
}

/** A lean wire whose peer is the test. */
export class WireUnderTest {
  readonly socket = new FakeSocket();
  readonly owner = new SeenOwner();
  readonly wire: Wire;
  /** Every stream that `open` was asked for. */
  readonly opened: SeenStream[] = [];

  constructor(options: { readonly clock?: Clock; readonly maxResponseBytes?: number } = {}) {
    this.wire = openLeanWire(
      this.socket as unknown as TLSSocket,
      {
        origin: new URL("https://localhost"),
        maxResponseBytes: options.maxResponseBytes ?? 64 * 1024,
        clock: options.clock ?? systemClock,
      },
      this.owner,
    );
  }

  /** Opens a stream; the next is two higher. */
  open(body: string | Uint8Array = "body"): SeenStream {
    const seen = new SeenStream();
    this.opened.push(seen);
    this.wire.open([":method", "POST", ":path", "/"], body, seen);
    return seen;
  }

  receive(...frames: readonly Buffer[]): void {
    this.socket.emit("data", Buffer.concat(frames));
  }

  /** The peer's SETTINGS have come, so many streams are open, and all is written. */
  async start(streams = 1, body = "body"): Promise<SeenStream[]> {
    this.receive(frame(4, 0, 0));
    const seen = Array.from({ length: streams }, () => this.open(body));
    await turn();
    this.socket.written.length = 0;
    return seen;
  }

  /** The frames written since `start`, as `type flags stream payload-in-hex`. */
  frames(): string[] {
    const seen: string[] = [];
    new FrameReader().push(Buffer.concat(this.socket.written), {
      frame(type, flags, id, bytes, start, end) {
        seen.push(`${type} ${flags} ${id} ${bytes.toString("hex", start, end)}`.trim());
        return 0;
      },
    });
    return seen;
  }
}

/** After everything of this turn has been written. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
