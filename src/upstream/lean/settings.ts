import { defaultMaxFrameBytes, ErrorCode, maxUint31, Setting } from "./codes.ts";

/** What the peer's SETTINGS say; undefined where a frame is silent. */
export interface PeerSettings {
  readonly headerTableSize: number | undefined;
  readonly maxConcurrentStreams: number | undefined;
  readonly initialWindowSize: number | undefined;
  readonly maxFrameSize: number | undefined;
}

const mostFrameBytes = 2 ** 24 - 1;

/** A SETTINGS frame's payload (RFC 9113, 6.5.2), or the error code that ends the connection. */
export function readSettings(bytes: Buffer, start: number, end: number): PeerSettings | number {
  if ((end - start) % 6 !== 0) return ErrorCode.frameSize;
  let headerTableSize: number | undefined;
  let maxConcurrentStreams: number | undefined;
  let initialWindowSize: number | undefined;
  let maxFrameSize: number | undefined;
  for (let at = start; at < end; at += 6) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case Setting.headerTableSize:
        headerTableSize = value;
        break;
      case Setting.enablePush:
        // A server never says that it takes pushes.
        if (value !== 0) return ErrorCode.protocol;
        break;
      case Setting.maxConcurrentStreams:
        maxConcurrentStreams = value;
        break;
      case Setting.initialWindowSize:
        if (value > maxUint31) return ErrorCode.flowControl;
        initialWindowSize = value;
        break;
      case Setting.maxFrameSize:
        if (value < defaultMaxFrameBytes || value > mostFrameBytes) return ErrorCode.protocol;
        maxFrameSize = value;
        break;
      default:
        // Unknown ones must be ignored; the header list size is advice that our short headers never reach.
        break;
    }
  }
  return { headerTableSize, maxConcurrentStreams, initialWindowSize, maxFrameSize };
}
