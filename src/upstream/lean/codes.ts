/** Frame types (RFC 9113, section 6). */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames; one bit may mean different things on different types. */
export const Flag = {
  endStream: 0x01,
  ack: 0x01,
  endHeaders: 0x04,
  padded: 0x08,
  priority: 0x20,
} as const;

/** Error codes (RFC 9113, section 7). Within this folder, 0 is also "nothing is wrong". */
export const ErrorCode = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  streamClosed: 0x5,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  enhanceYourCalm: 0xb,
} as const;

/** Identifiers in SETTINGS (RFC 9113, 6.5.2). */
export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Of a frame before its payload. */
export const frameHeadBytes = 9;
/** The largest payload that both ends must take, and the most that we take (RFC 9113, 4.2). */
export const defaultMaxFrameBytes = 16_384;
/** Stream ids, window sizes and their increments end here. */
export const maxUint31 = 2 ** 31 - 1;
/** Of a window that SETTINGS have not changed (RFC 9113, 6.9.2). */
export const defaultWindowBytes = 65_535;
