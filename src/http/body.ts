import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { JsonValue } from "../json.ts";
import { HttpError } from "./errors.ts";

/** How much of a stranger's body is taken in. */
export interface BodyLimits {
  /** Before any decoding; Matrix senders need 512 KiB (matrix-push 1). */
  readonly maxBodyBytes: number;
  /** How deep objects and lists may be nested, the outermost counted as 1. */
  readonly maxDepth: number;
}

/**
 * More keys than any legal request has (a Matrix event of 64 KiB holds some 11,000 at most). Parsing costs time by the
 * key rather than by the byte, and no request may hold the event loop for long (reliability H08).
 */
const maxKeys = 20_000;

const byteOrderMark = "\ufeff";

/**
 * The body's text, read to its end and never beyond the limit. `undefined` when the connection ended first, or was
 * answered by the server in the meantime. A body that is certain to be refused is not read.
 */
export async function readText(
  req: IncomingMessage,
  res: ServerResponse,
  maxBytes: number,
): Promise<string | HttpError | undefined> {
  const { headers } = req;
  if (isEncoded(headers)) return new HttpError("encoded-body");
  if (Number(headers["content-length"]) > maxBytes) return new HttpError("body-too-large");
  if (headers.expect !== undefined && headers.expect.toLowerCase() === "100-continue") res.writeContinue();
  const bytes = await collect(req, res, maxBytes);
  if (bytes === undefined || bytes instanceof HttpError) return bytes;
  if (!isUtf8(bytes)) return new HttpError("not-json");
  const text = bytes.toString("utf8");
  return text.startsWith(byteOrderMark) ? text.slice(1) : text;
}

function isEncoded(headers: IncomingMessage["headers"]): boolean {
  const coding = headers["content-encoding"];
  if (coding !== undefined && coding.trim().toLowerCase() !== "identity") return true;
  const transfer = headers["transfer-encoding"];
  return transfer !== undefined && transfer.trim().toLowerCase() !== "chunked";
}

function collect(
  req: IncomingMessage,
  res: ServerResponse,
  maxBytes: number,
): Promise<Buffer | HttpError | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (result: Buffer | HttpError | undefined): void => {
      req.off("data", take);
      req.off("end", end);
      res.off("close", gone);
      resolve(result);
    };
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBytes) {
        req.pause();
        settle(new HttpError("body-too-large"));
        return;
      }
      chunks.push(chunk);
    };
    const end = (): void => settle(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size));
    const gone = (): void => settle(undefined);
    if (res.destroyed || res.closed) return gone();
    req.on("data", take);
    req.once("end", end);
    // The response's: a request that the server has answered before its end is never closed.
    res.once("close", gone);
    // An aborted request fails as well as closes; unheard, the failure would end the process.
    req.once("error", gone);
  });
}

/**
 * The text as JSON; what is too deep or has too many keys is refused before it is parsed.
 *
 * @param keys how many keys are not too many, where a door's requests are longer than usual
 */
export function parseJson(text: string, maxDepth: number, keys = maxKeys): JsonValue | HttpError {
  const problem = checkShape(text, maxDepth, keys);
  if (problem !== undefined) return problem;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return new HttpError("not-json");
  }
}

/** One pass over the text: the depth and the number of keys, exact for valid JSON, harmless for anything else. */
function checkShape(text: string, maxDepth: number, maxKeys: number): HttpError | undefined {
  let depth = 0;
  let keys = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case 0x22: // "
        i = endOfString(text, i);
        if (i < 0) return undefined;
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > maxDepth) return new HttpError("too-deep");
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      case 0x3a: // :
        keys += 1;
        if (keys > maxKeys) return new HttpError("too-many-keys");
        break;
    }
  }
  return undefined;
}

/** Where the string that opens at `start` closes: the next quote after an even number of backslashes; -1 for none. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === 0x5c) before -= 1;
    if ((at - before) % 2 === 1) return at;
  }
  return -1;
}
