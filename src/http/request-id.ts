import type { ServerResponse } from "node:http";
import { uuid } from "../uuid.ts";

const header = "X-Request-Id";
/** Also here, since a header is looked up by its name in small letters each time. */
const key = Symbol("request id");

interface Identified {
  [key]?: string;
}

/** Gives each request an id of our own making: a caller's could forge log lines. It goes out with the answer. */
export function assignRequestId(res: ServerResponse): void {
  const id = uuid();
  (res as Identified)[key] = id;
  res.setHeader(header, id);
}

/** The id of the request that this answers; empty where `assignRequestId` was not called. */
export function requestIdOf(res: ServerResponse): string {
  return (res as Identified)[key] ?? "";
}
