import type { IncomingHttpHeaders } from "node:http2";
import { fieldOverheadBytes } from "./hpack-static.ts";
import type { FieldSink } from "./hpack-decoder.ts";

/** What is kept of one answer's headers; the rest is read and left out. */
const mostFieldBytes = 64 * 1024;
const mostFields = 128;

const statusPattern = /^[1-9]\d\d$/;
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9113, 8.2.1. */
const badValuePattern = /[\0\r\n]/;
const lengthPattern = /^\d{1,15}$/;
/** Headers of an HTTP/1.1 connection make an answer malformed (RFC 9113, 8.2.2). */
const connectionNames = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** Of these the first counts; others are joined, as Node does it. */
const singleNames = new Set([
  "age",
  "content-length",
  "content-type",
  "date",
  "etag",
  "expires",
  "last-modified",
  "location",
  "retry-after",
  "server",
]);

/** Reads one decoded header block of an answer: its head, or its trailers. Used again for each block. */
export class HeadReader implements FieldSink {
  /** 0 when the block has none. */
  status = 0;
  /** Breaks a rule of RFC 9113, 8.1 to 8.3, that makes the whole answer malformed. */
  isMalformed = false;
  /** Of the body, when the block says so. */
  contentLength: number | undefined;
  headers: IncomingHttpHeaders = {};
  #bytes = 0;
  #fields = 0;

  /** Forgets the block before. */
  begin(): void {
    this.status = 0;
    this.isMalformed = false;
    this.contentLength = undefined;
    this.headers = Object.create(null) as IncomingHttpHeaders;
    this.#bytes = 0;
    this.#fields = 0;
  }

  field(name: string, value: string): void {
    if (name.charCodeAt(0) === 0x3a) return this.#pseudo(name, value);
    this.#fields += 1;
    this.#bytes += name.length + value.length + fieldOverheadBytes;
    if (this.#fields > mostFields || this.#bytes > mostFieldBytes) return;
    if (!namePattern.test(name) || connectionNames.has(name)) this.isMalformed = true;
    // Left out, as nghttp2 does it: an answer whose status is plain must not count as none for the sake of its neighbour.
    else if (badValuePattern.test(value)) return;
    else if (name === "content-length") this.#length(value);
    else this.#keep(name, value);
  }

  #pseudo(name: string, value: string): void {
    const isStatus =
      name === ":status" && this.status === 0 && this.#fields === 0 && statusPattern.test(value);
    if (isStatus) this.status = Number(value);
    else this.isMalformed = true;
  }

  #length(value: string): void {
    const length = lengthPattern.test(value) ? Number(value) : Number.NaN;
    if (Number.isNaN(length) || (this.contentLength ?? length) !== length) this.isMalformed = true;
    this.contentLength = length;
    this.#keep("content-length", value);
  }

  #keep(name: string, value: string): void {
    const { headers } = this;
    const before = headers[name];
    if (name === "set-cookie") headers[name] = [...(headers[name] ?? []), value];
    else if (before === undefined) headers[name] = value;
    else if (!singleNames.has(name)) headers[name] = `${String(before)}, ${value}`;
  }
}
