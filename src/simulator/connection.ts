import { constants } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Goaway } from "./script.ts";

/** One connection of a client to a simulator; `S` is what the upstream remembers about it. */
export class Connection<S> {
  /** Counts up from 1 for each simulator. */
  readonly id: number;
  readonly socket: TLSSocket;
  /** Absent over HTTP/1.1. */
  readonly session: ServerHttp2Session | undefined;
  readonly state: S;
  /** Requests begun on it. */
  requests = 0;

  constructor(id: number, socket: TLSSocket, session: ServerHttp2Session | undefined, state: S) {
    this.id = id;
    this.socket = socket;
    this.session = session;
    this.state = state;
  }

  /** Sends SETTINGS with a new limit of concurrent streams. */
  maxConcurrentStreams(limit: number): void {
    const session = this.session;
    if (session !== undefined && !session.destroyed && !session.closed) {
      session.settings({ maxConcurrentStreams: limit });
    }
  }

  /**
   * Sends GOAWAY. With NO_ERROR the running requests are still answered, then the connection closes; with another
   * code it closes at once. Over HTTP/1.1 there is no such frame: the connection closes.
   */
  goaway({ code = constants.NGHTTP2_NO_ERROR, lastStreamId, debugData }: Goaway = {}): void {
    const session = this.session;
    if (session === undefined) {
      this.socket.end();
      return;
    }
    if (session.destroyed || session.closed) return;
    session.goaway(code, lastStreamId, debugData === undefined ? undefined : Buffer.from(debugData, "utf8"));
    // The frame is written before this turn ends. `close` sends a second one, which must not soften an error.
    if (code === constants.NGHTTP2_NO_ERROR) session.close();
    else setImmediate(() => this.socket.destroySoon());
  }

  /** Cuts the TCP connection: no GOAWAY, no close_notify. */
  destroy(): void {
    this.socket.destroy();
  }
}

/** The open connections of one simulator, and what can be done to all of them at once. */
export class Connections<S> {
  readonly #open = new Set<Connection<S>>();
  #total = 0;

  /** Open ones, oldest first. */
  get open(): readonly Connection<S>[] {
    return [...this.#open];
  }

  /** TLS connections accepted since the start. */
  get total(): number {
    return this.#total;
  }

  /** Takes in a new connection until its socket closes. */
  add(socket: TLSSocket, session: ServerHttp2Session | undefined, state: S): Connection<S> {
    this.#total += 1;
    const connection = new Connection(this.#total, socket, session, state);
    this.#open.add(connection);
    socket.once("close", () => this.#open.delete(connection));
    return connection;
  }

  /** GOAWAY on each. */
  goaway(goaway: Goaway = {}): void {
    for (const connection of this.open) connection.goaway(goaway);
  }

  /** SETTINGS_MAX_CONCURRENT_STREAMS on each. */
  maxConcurrentStreams(limit: number): void {
    for (const connection of this.open) connection.maxConcurrentStreams(limit);
  }

  /** Cuts each. */
  closeAll(): void {
    for (const connection of this.open) connection.destroy();
  }
}
