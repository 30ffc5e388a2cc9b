import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";

const header = "X-Request-Id";

/** Gives each request an id of our own making: a caller's could forge log lines. It goes out with the answer. */
export function assignRequestId(res: ServerResponse): void {
  res.setHeader(header, randomUUID());
}

/** The id of the request that this answers; empty where `assignRequestId` was not mounted. */
export function requestIdOf(res: ServerResponse): string {
  const id = res.getHeader(header);
  return typeof id === "string" ? id : "";
}
