import { constants } from "node:http2";
import type { NetErrorClass } from "./net-error.ts";
import type { StreamEnd } from "./wire.ts";

/** Why a request that was sent has no answer. Beside the network's classes: */
export type LostReason =
  | NetErrorClass
  /** The peer reset this stream. */
  | "stream-reset"
  /** The peer reset it with ENHANCE_YOUR_CALM. */
  | "calm"
  /** The connection answered no PING and was destroyed. */
  | "no-ping-ack"
  /** Its time was up. */
  | "request-timeout"
  /** The caller's signal. */
  | "aborted"
  /** The pool was closed and its patience was over. */
  | "pool-closed";

/** What a stream that closed without an answer came to. */
export type StreamVerdict =
  /** The peer has certainly not processed it: it may go again at once. */
  | { readonly kind: "refused" }
  /** The peer may have processed it. */
  | { readonly kind: "lost"; readonly reason: LostReason; readonly detail?: string };

/** The last GOAWAY frame: streams above `lastStreamId` were not and will not be processed (RFC 9113, 6.8). */
export interface Goaway {
  readonly code: number;
  readonly lastStreamId: number;
  /** The reason in its debug data, when it has the form of one (`BadCertificateEnvironment`, `session_timeout`). */
  readonly reason?: string;
}

/** What is known about a stream when it closes without an answer. */
export interface StreamFacts extends StreamEnd {
  readonly goaway: Goaway | undefined;
  /** Why we ended the connection ourselves, if we did. */
  readonly ended: LostReason | undefined;
}

/**
 * Refused or lost. Node's own codes are not enough: after a GOAWAY with an error it ends every stream, processed or
 * not, with that GOAWAY's code (which may even be REFUSED_STREAM), and after a cut connection with CANCEL or NO_ERROR;
 * so the stream's id is compared with the GOAWAY's first, and a code counts only when the stream alone has ended.
 */
export function streamVerdict(facts: StreamFacts): StreamVerdict {
  const { streamId, rstCode, goaway } = facts;
  if (streamId === undefined) return { kind: "refused" };
  if (goaway !== undefined) {
    if (streamId > goaway.lastStreamId) return { kind: "refused" };
    if (goaway.code !== constants.NGHTTP2_NO_ERROR) {
      return { kind: "lost", reason: "goaway", detail: goaway.reason ?? rstCodeName(goaway.code) };
    }
  }
  if (facts.ended !== undefined) return { kind: "lost", reason: facts.ended };
  if (facts.wireGone) {
    const { failure } = facts;
    if (failure === undefined) return { kind: "lost", reason: "closed" };
    return {
      kind: "lost",
      reason: failure.class,
      ...(failure.detail === undefined ? {} : { detail: failure.detail }),
    };
  }
  if (rstCode === constants.NGHTTP2_REFUSED_STREAM) return { kind: "refused" };
  if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) return { kind: "lost", reason: "calm" };
  return { kind: "lost", reason: "stream-reset", detail: rstCodeName(rstCode ?? constants.NGHTTP2_NO_ERROR) };
}

const rstCodeNames = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

/** The name of an HTTP/2 error code (RFC 9113, section 7). */
export function rstCodeName(code: number): string {
  return rstCodeNames[code] ?? "UNKNOWN";
}

const reasonPattern = /^[A-Za-z0-9_-]{1,64}$/;
const maxDebugBytes = 1024;

/**
 * The reason in a GOAWAY's debug data: APNs sends `{"reason":"…"}`, Google a bare word. It is a stranger's text, so
 * anything that does not look like a reason is left out.
 */
export function goawayReason(debugData: Uint8Array | undefined): string | undefined {
  if (debugData === undefined || debugData.byteLength === 0 || debugData.byteLength > maxDebugBytes)
    return undefined;
  const text = Buffer.from(debugData.buffer, debugData.byteOffset, debugData.byteLength).toString("utf8");
  let reason: unknown = text;
  if (text.startsWith("{")) {
    try {
      const parsed: unknown = JSON.parse(text);
      reason =
        typeof parsed === "object" && parsed !== null && "reason" in parsed ? parsed.reason : undefined;
    } catch {
      return undefined;
    }
  }
  return typeof reason === "string" && reasonPattern.test(reason) ? reason : undefined;
}
