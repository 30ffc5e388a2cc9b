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
/** The same for what stands in lists: a Matrix event of 64 KiB cannot have more than 33,000 items. */
const itemsPerKey = 3;

const byteOrderMark = "\ufeff";

/**
 * The body's text, read to its end and never beyond the limit. `undefined` when the connection ended first, or was
 * answered by the server in the meantime. A body that is certain to be refused is not read.
 */
export function readText(
  req: IncomingMessage,
  res: ServerResponse,
  maxBytes: number,
): HttpError | Promise<string | HttpError | undefined> {
  const { headers } = req;
  if (isEncoded(headers)) return new HttpError("encoded-body");
  if (Number(headers["content-length"]) > maxBytes) return new HttpError("body-too-large");
  if (headers.expect !== undefined && headers.expect.toLowerCase() === "100-continue") res.writeContinue();
  return collect(req, res, maxBytes);
}

function decode(bytes: Buffer): string | HttpError {
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
): Promise<string | HttpError | undefined> {
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      chunks = [];
      req.pause();
      req.off("data", take);
      resolve(new HttpError("body-too-large"));
    };
    const gone = (): void => resolve(undefined);
    if (res.destroyed || res.closed) return gone();
    // Whatever comes after the first of these resolves nothing any more.
    req.on("data", take);
    req.on("end", () => {
      const [first] = chunks;
      resolve(decode(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, size)));
    });
    // The response's: a request that the server has answered before its end is never closed.
    res.on("close", gone);
    // An aborted request fails as well as closes; unheard, the failure would end the process.
    req.on("error", gone);
  });
}

/**
 * The text as JSON; what is too deep or has too many keys or items is refused before it is parsed.
 *
 * @param keys how many keys are not too many, where a door's requests are longer than usual
 */
export function parseJson(text: string, maxDepth: number, keys = maxKeys): JsonValue | HttpError {
  const problem = isHarmless(text, maxDepth, keys) ? undefined : checkShape(text, maxDepth, keys);
  if (problem !== undefined) return problem;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return new HttpError("not-json");
  }
}

/** A key takes four characters at least, the comma before it among them. */
const leastKeyCharacters = 4;

/** The usual text is too short for too many keys or items, and has too few brackets to be too deep: a few searches tell. */
function isHarmless(text: string, maxDepth: number, maxKeys: number): boolean {
  if (text.length >= maxKeys * leastKeyCharacters) return false;
  let brackets = 0;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      brackets += 1;
      if (brackets > maxDepth) return false;
    }
  }
  return true;
}

/** One pass over the text: the depth and the numbers of keys and of commas, exact for valid JSON, harmless for anything else. */
function checkShape(text: string, maxDepth: number, maxKeys: number): HttpError | undefined {
  let depth = 0;
  let keys = 0;
  let commas = 0;
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
      case 0x2c: // ,
        commas += 1;
        if (commas > maxKeys * itemsPerKey) return new HttpError("too-many-items");
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
