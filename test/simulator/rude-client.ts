import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";

const HEADERS = 0x1;
const SETTINGS = 0x4;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;

/** Type of a DATA frame. */
export const DATA = 0x0;
/** Type of a RST_STREAM frame. */
export const RST_STREAM = 0x3;
/** Type of a GOAWAY frame. */
export const GOAWAY = 0x7;

/** One HTTP/2 frame as it came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Writes and reads HTTP/2 frames by hand, to do what Node's client never would, and to see what it hides. */
export class RudeClient {
  readonly frames: Frame[] = [];
  readonly #socket: TLSSocket;
  #rest = Buffer.alloc(0);

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      for (let at = parse(this.#rest); at !== undefined; at = parse(this.#rest)) {
        this.frames.push(at.frame);
        this.#rest = this.#rest.subarray(at.bytes);
      }
    });
  }

  /** Connects, exchanges SETTINGS and acknowledges the server's, so that its limits are in force. */
  static async connect(port: number, ca: string): Promise<RudeClient> {
    const socket = connect({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"] });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const client = new RudeClient(socket);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(frame(SETTINGS, 0, 0));
    await client.seen((one) => one.type === SETTINGS);
    socket.write(frame(SETTINGS, 1, 0));
    return client;
  }

  /** Opens a stream; without a body it never ends. */
  open(stream: number, headers: Record<string, string>, body?: string): void {
    this.#socket.write(
      frame(HEADERS, END_HEADERS, stream, Buffer.concat(Object.entries(headers).map(literal))),
    );
    if (body !== undefined) this.#socket.write(frame(DATA, END_STREAM, stream, Buffer.from(body)));
  }

  /** Waits for a frame that fits, and gives the first one. */
  async seen(fits: (one: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      await new Promise((resolve) => this.#socket.once("data", resolve));
    }
  }

  /** Waits until a stream of the server's ends. */
  async ended(stream: number): Promise<void> {
    await this.seen((one) => one.stream === stream && one.type <= HEADERS && (one.flags & END_STREAM) !== 0);
  }

  /** Waits until the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.#socket.closed) await new Promise((resolve) => this.#socket.once("close", resolve));
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

function parse(bytes: Buffer): { frame: Frame; bytes: number } | undefined {
  if (bytes.length < 9) return undefined;
  const length = bytes.readUIntBE(0, 3);
  if (bytes.length < 9 + length) return undefined;
  const payload = bytes.subarray(9, 9 + length);
  const head = {
    type: bytes.readUInt8(3),
    flags: bytes.readUInt8(4),
    stream: bytes.readUInt32BE(5) & 0x7fffffff,
  };
  return { frame: { ...head, payload }, bytes: 9 + length };
}

function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK: a literal header field without indexing, new name (RFC 7541 section 6.2.2); short strings only. */
function literal([name, value]: [string, string]): Buffer {
  if (name.length > 126 || value.length > 126) throw new RangeError("too long for this encoder");
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name, "latin1"),
    Buffer.from([value.length]),
    Buffer.from(value, "latin1"),
  ]);
}
