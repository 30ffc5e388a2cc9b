import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { readAnswer } from "./answer-reader.ts";

/** How one request ended: an answer, or why there was none (`ECONNREFUSED`, `timeout`, …). */
export type LoadResult =
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  | { readonly kind: "failed"; readonly reason: string };

/** Where requests go. */
export interface Target {
  /** `http:` or `https:`. */
  readonly url: URL;
  /** PEM of a private authority, for https. */
  readonly ca?: string;
  /** From the request to its whole answer. Milliseconds. */
  readonly timeoutMs: number;
}

/** More of an answer than this is no answer of a push gateway. */
const maxAnswerLength = 1024 * 1024;

/**
 * One keep-alive connection that carries one request at a time, as a homeserver's does. Connects when it has something
 * to send, and again after the server has closed it.
 */
export class LoadConnection {
  readonly #target: Target;
  readonly #head: string;
  #socket: Socket | undefined;
  #received = "";
  #ended: ((result: LoadResult) => void) | undefined;
  #deadlineMs = 0;

  constructor(target: Target) {
    this.#target = target;
    const { url } = target;
    this.#head =
      `POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n` +
      "Content-Type: application/json\r\nUser-Agent: signalbox-load\r\nContent-Length: ";
  }

  /** Sends a body and calls back once; nothing else may be under way. */
  send(body: string, ended: (result: LoadResult) => void): void {
    if (this.#ended !== undefined) throw new Error("a request is under way");
    this.#ended = ended;
    this.#deadlineMs = performance.now() + this.#target.timeoutMs;
    this.#socket ??= this.#connect();
    this.#socket.write(`${this.#head}${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  /** Ends the request under way when its time is over; to be called now and then. */
  sweep(nowMs: number): void {
    if (this.#ended !== undefined && nowMs >= this.#deadlineMs) this.#fail("timeout");
  }

  close(): void {
    this.#fail("closed");
  }

  #connect(): Socket {
    const { url, ca } = this.#target;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    const socket =
      url.protocol === "https:"
        ? connectTls({ host, port, servername: host, ...(ca === undefined ? {} : { ca }) })
        : connect({ host, port });
    this.#received = "";
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => this.#take(socket, String(chunk), false));
    socket.on("end", () => this.#take(socket, "", true));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#socket === socket) this.#fail(error.code ?? "error");
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#fail("connection closed");
    });
    return socket;
  }

  #take(socket: Socket, chunk: string, ended: boolean): void {
    if (this.#socket !== socket) return;
    this.#received = this.#received === "" ? chunk : this.#received + chunk;
    if (this.#ended === undefined) {
      // Nothing was asked: the server closes an idle connection, or says what nobody wants to hear.
      this.#drop();
      return;
    }
    const reading = readAnswer(this.#received, ended);
    if (reading.kind === "incomplete") {
      if (this.#received.length > maxAnswerLength) this.#fail("answer too large");
      return;
    }
    if (reading.kind === "broken") {
      this.#fail(ended ? "connection closed" : "no HTTP answer");
      return;
    }
    const { answer, end } = reading;
    this.#received = this.#received.slice(end);
    if (answer.closes || ended) this.#drop();
    this.#end({ kind: "answer", status: answer.status, body: answer.body });
  }

  #fail(reason: string): void {
    this.#drop();
    this.#end({ kind: "failed", reason });
  }

  #end(result: LoadResult): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.(result);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#received = "";
    socket?.destroy();
  }
}
