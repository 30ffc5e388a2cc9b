import type { JsonValue } from "../../../../src/json.ts";
import type { Answer, Wire } from "../case.ts";

/** Sygnal's page for what its own code did not answer (sygnal-compat 5, 6). */
const PROCESSING_FAILED =
  "<html><head><title>Processing Failed</title></head><body><b>Processing Failed</b></body></html>";
const MAX_BODY_BYTES = 524_288;
/** Deeper than Python's interpreter goes. */
const MAX_DEPTH = 990;
const NOTIFY = "/_matrix/push/v1/notify";

/** An answer with the type that every answer of Sygnal has. */
export function html(status: number, body = "<html></html>"): Answer {
  return { kind: "answer", status, contentType: "text/html", body };
}

/** 400 with its text. */
export const refused = (text: string): Answer => html(400, text);
export const processingFailed = (): Answer => html(500, PROCESSING_FAILED);

/** What happens before the body is looked into: an answer, or the parsed JSON (sygnal-compat 5, and 6 row 1). */
export function readWire(wire: Wire): { readonly answer: Answer } | { readonly json: JsonValue } {
  const path = wire.path.split("?")[0] ?? "";
  if (path === "/health") return { answer: html(200, "") };
  if (path !== NOTIFY && !path.startsWith(`${NOTIFY}/`)) return { answer: html(404) };
  if (wire.sender === "never-ends") return { answer: { kind: "silence" } };
  if (wire.method === "GET") return { answer: html(405) };
  if (wire.method === "HEAD") return { answer: html(500, "") };
  if (wire.method !== "POST") return { answer: html(501) };
  if (wire.body.length > MAX_BODY_BYTES) return { answer: { kind: "cut" } };
  const json = parse(wire.body);
  return json === undefined ? { answer: refused("Expected JSON request body") } : { json };
}

function parse(body: Buffer): JsonValue | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    if (depthOf(text) > MAX_DEPTH) return undefined;
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === "[" || character === "{") deepest = Math.max(deepest, ++depth);
    if (character === "]" || character === "}") depth -= 1;
  }
  return deepest;
}
