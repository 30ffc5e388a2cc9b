import type { ServerResponse } from "node:http";
import type { HttpError, HttpErrorCode } from "./errors.ts";

const codes = new WeakMap<ServerResponse, HttpErrorCode>();

/** Remembers with its response why a request is refused, for whoever tells of the request when it is over. */
export function noteRefusal(res: ServerResponse, { code }: HttpError): void {
  codes.set(res, code);
}

/** Why it was refused; undefined when it was not, or when a door said so by an answer of its own. */
export function refusalCodeOf(res: ServerResponse): HttpErrorCode | undefined {
  return codes.get(res);
}
