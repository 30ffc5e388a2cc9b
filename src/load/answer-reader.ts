/** One HTTP/1.1 answer, whole. */
export interface HttpAnswer {
  readonly status: number;
  /** As Latin-1: one character a byte. */
  readonly body: string;
  /** The server ends the connection after it. */
  readonly closes: boolean;
}

/** What the bytes so far come to: nothing whole yet, an answer and where it ends, or something that is no answer. */
export type Reading =
  | { readonly kind: "incomplete" }
  | { readonly kind: "answer"; readonly answer: HttpAnswer; readonly end: number }
  | { readonly kind: "broken" };

const incomplete: Reading = { kind: "incomplete" };
const broken: Reading = { kind: "broken" };
const maxHeadLength = 64 * 1024;

/**
 * The first final answer in the text (Latin-1, RFC 9112); interim ones are passed over. Only what a load client needs of
 * HTTP/1.1, because a whole client would cost more than the gateways it measures.
 *
 * @param ended the connection has ended, which is also where a body without a length ends
 */
export function readAnswer(text: string, ended: boolean): Reading {
  let start = 0;
  for (;;) {
    const headEnd = text.indexOf("\r\n\r\n", start);
    if (headEnd < 0) return text.length - start > maxHeadLength || ended ? broken : incomplete;
    const head = text.slice(start, headEnd);
    const status = /^HTTP\/1\.([01]) (\d{3})(?: |\r|$)/.exec(head);
    if (status === null) return broken;
    const code = Number(status[2]);
    const bodyStart = headEnd + 4;
    if (code >= 200) return readBody(text, bodyStart, { head, code, isHttp10: status[1] === "0", ended });
    start = bodyStart;
  }
}

interface Head {
  readonly head: string;
  readonly code: number;
  readonly isHttp10: boolean;
  readonly ended: boolean;
}

function readBody(text: string, start: number, { head, code, isHttp10, ended }: Head): Reading {
  const connection = field(head, "connection")?.toLowerCase();
  const closes = isHttp10 ? connection !== "keep-alive" : connection === "close";
  const whole = (body: string, end: number, mustClose = false): Reading => ({
    kind: "answer",
    answer: { status: code, body, closes: closes || mustClose },
    end,
  });
  if (code === 204 || code === 304) return whole("", start);
  if (field(head, "transfer-encoding")?.toLowerCase() === "chunked") {
    const chunks = readChunks(text, start);
    if (chunks === undefined) return ended ? broken : incomplete;
    return chunks === "broken" ? broken : whole(chunks.body, chunks.end);
  }
  const length = field(head, "content-length");
  if (length === undefined) return ended ? whole(text.slice(start), text.length, true) : incomplete;
  if (!/^\d{1,12}$/.test(length)) return broken;
  const end = start + Number(length);
  if (text.length < end) return ended ? broken : incomplete;
  return whole(text.slice(start, end), end);
}

/** RFC 9112, 7.1; extensions and trailers are passed over. */
function readChunks(
  text: string,
  start: number,
): { readonly body: string; readonly end: number } | "broken" | undefined {
  let body = "";
  for (let at = start; ;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = /^[0-9a-f]{1,8}(?=$|[ \t;])/i.exec(text.slice(at, lineEnd))?.[0];
    if (size === undefined) return "broken";
    const chunkStart = lineEnd + 2;
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) return endOfTrailers(text, chunkStart, body);
    if (text.length < chunkStart + bytes + 2) return undefined;
    body += text.slice(chunkStart, chunkStart + bytes);
    at = chunkStart + bytes + 2;
  }
}

function endOfTrailers(
  text: string,
  start: number,
  body: string,
): { readonly body: string; readonly end: number } | undefined {
  for (let at = start; ;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    if (lineEnd === at) return { body, end: lineEnd + 2 };
    at = lineEnd + 2;
  }
}

/** A header field's value, trimmed; the first of that name. */
function field(
  head: string,
  name: "connection" | "content-length" | "transfer-encoding",
): string | undefined {
  return fields[name].exec(head)?.[1];
}

const fields = {
  connection: /\r\nconnection:[ \t]*([^\r]*?)[ \t]*(?:\r|$)/i,
  "content-length": /\r\ncontent-length:[ \t]*([^\r]*?)[ \t]*(?:\r|$)/i,
  "transfer-encoding": /\r\ntransfer-encoding:[ \t]*([^\r]*?)[ \t]*(?:\r|$)/i,
} as const;
