import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../clock.ts";
import { STATUS_CODES } from "../node-http.ts";
import { errorAnswer, sendAnswer, type Answer } from "./answer.ts";
import { HttpError, type HttpErrorCode } from "./errors.ts";
import { noteRefusal } from "./refusal.ts";

/** How long a caller has to read why it was refused, and how many more bytes are read away meanwhile. */
const lingerMs = 1000;
const lingerBytes = 1024 * 1024;

/** What Node's parser and its timers call what we have an answer for; everything else is a bad request. */
const refusals: ReadonlyMap<string, HttpErrorCode> = new Map<string, HttpErrorCode>([
  ["ERR_HTTP_REQUEST_TIMEOUT", "too-slow"],
  ["HPE_HEADER_OVERFLOW", "header-too-large"],
  ["HPE_CHUNK_EXTENSIONS_OVERFLOW", "body-too-large"],
]);

/** The refusal for an error of Node's HTTP parser or of the connection; none when the caller is gone. */
export function refusalFor(code: string | undefined): HttpError | undefined {
  if (code === undefined || !(code.startsWith("HPE_") || code === "ERR_HTTP_REQUEST_TIMEOUT"))
    return undefined;
  return new HttpError(refusals.get(code) ?? "bad-request");
}

/** Refuses a request whose headers were read but whose body cannot be: by its own response, so that it is logged. */
export function refuseBody(res: ServerResponse, refusal: HttpError, clock: Clock): void {
  res.setHeader("Connection", "close");
  noteRefusal(res, refusal);
  sendAnswer(res.req, res, errorAnswer(refusal), clock, refusal.code !== "too-slow");
}

/** Refuses what never became a request: there is no response object, so the answer is written by hand. */
export function refuseConnection(socket: Duplex, refusal: HttpError, clock: Clock): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  // Unread bytes in a socket that is closed would reset the connection before the answer is read.
  let left = lingerBytes;
  const cancel = clock.schedule(lingerMs, () => socket.destroy());
  socket.once("close", cancel);
  socket.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  socket.end(asText(errorAnswer(refusal)));
}

function asText(answer: Answer): string {
  const headers: Record<string, string> = {
    ...answer.headers,
    "Content-Type": "application/json",
    "Content-Length": String(Buffer.byteLength(answer.body)),
    Date: new Date().toUTCString(),
    Connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ""}\r\n${lines.join("")}\r\n${answer.body}`;
}
