import { frame } from "../support/upstream-server.ts";
import { integer, literal } from "../upstream/lean/hpack-blocks.ts";
import type { Random } from "./random.ts";

/** Streams that a case has open: 1, 3, 5 … */
export const openStreams = 4;

const names = [
  ":status",
  "apns-id",
  "date",
  "content-length",
  "content-type",
  "x-a",
  "X-Bad",
  "",
  "connection",
] as const;
const values = ["200", "103", "404", "", "7", "a\nb", "application/json", "\u00ff"] as const;

/** A header block: mostly a valid one, sometimes with octets changed, sometimes noise. */
export function headerBlock(random: Random): Buffer {
  if (random.once(60)) return random.bytes(random.size(300));
  const octets: number[] = [];
  if (random.once(30)) octets.push(...integer(0x20, 5, random.pick([0, 30, 31, 4096, 4097, 2 ** 28])));
  if (!random.once(6)) octets.push(random.pick([0x88, 0x89, 0x8c, 0x8d]));
  for (let i = random.below(6); i > 0; i -= 1) {
    if (random.once(3))
      octets.push(
        ...integer(
          0x80,
          7,
          random.once(30) ? random.pick([0, 64, 70, 200, 2 ** 30]) : random.pick([8, 9, 31, 33, 61, 62]),
        ),
      );
    else {
      const value = random.once(20) ? "v".repeat(random.size(5000)) : random.pick(values);
      octets.push(...literal(random.pick([0x00, 0x10, 0x40]), random.pick(names), value, random.once(2)));
    }
  }
  const block = Buffer.from(octets);
  if (random.once(25) && block.length > 0) block[random.below(block.length)] = random.below(256);
  return block;
}

function streamId(random: Random): number {
  if (random.once(12)) return random.pick([0, 2, 4, 9, 99, 2 ** 31 - 1]);
  return 1 + 2 * random.below(openStreams);
}

function number(random: Random): number {
  return random.pick([0, 1, 7, 1000, 16_384, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** What may stand after the frame's head, padded where the flags say so. */
function padded(random: Random, flags: number, payload: Buffer): Buffer {
  if ((flags & 0x08) === 0) return payload;
  const length = random.once(6) ? random.below(256) : random.below(4);
  return Buffer.concat([
    Buffer.from([length]),
    payload,
    Buffer.alloc(random.once(6) ? random.below(8) : length),
  ]);
}

/** The frames of one HEADERS with as many CONTINUATIONs as it pleases. */
function headersFrames(random: Random): Buffer[] {
  const id = streamId(random);
  const block = headerBlock(random);
  const flags = (random.once(3) ? 1 : 0) | (random.once(6) ? 0x08 : 0) | (random.once(8) ? 0x20 : 0);
  const head = (flags & 0x20) === 0 ? Buffer.alloc(0) : Buffer.alloc(5);
  if (!random.once(4)) return [frame(1, flags | 4, id, padded(random, flags, Buffer.concat([head, block])))];
  const cut = random.below(block.length + 1);
  const frames = [frame(1, flags, id, padded(random, flags, Buffer.concat([head, block.subarray(0, cut)])))];
  for (let i = random.once(30) ? random.below(100) : random.below(3); i > 0; i -= 1)
    frames.push(frame(9, 0, id));
  if (random.once(10)) frames.push(anyFrame(random));
  frames.push(
    frame(9, random.once(10) ? 0 : 4, random.once(12) ? streamId(random) : id, block.subarray(cut)),
  );
  return frames;
}

function anyFrame(random: Random): Buffer {
  const flags = random.once(2) ? 0 : random.below(256);
  switch (random.below(10)) {
    case 0:
    case 1:
      return frame(0, flags, streamId(random), padded(random, flags, random.bytes(random.size(2000))));
    case 2:
      return frame(3, flags, streamId(random), uint32(random.pick([0, 1, 2, 7, 8, 11, 99])));
    case 3:
      return frame(4, random.once(4) ? 1 : 0, random.once(20) ? 1 : 0, settingsPayload(random));
    case 4:
      return frame(6, flags & 1, 0, random.bytes(random.once(20) ? random.below(12) : 8));
    case 5:
      return frame(
        7,
        0,
        0,
        Buffer.concat([uint32(number(random)), uint32(random.below(14)), random.bytes(random.size(100))]),
      );
    case 6:
      return frame(8, 0, random.once(2) ? 0 : streamId(random), uint32(number(random)));
    case 7:
      return frame(2, flags, streamId(random), random.bytes(random.once(6) ? 4 : 5));
    case 8:
      return frame(random.below(256), flags, streamId(random), random.bytes(random.size(100)));
    default:
      return Buffer.concat(headersFrames(random));
  }
}

function settingsPayload(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let i = random.below(4); i > 0; i -= 1) {
    parts.push(Buffer.from([0, random.below(10)]), uint32(number(random)));
  }
  if (random.once(20)) parts.push(random.bytes(random.below(6)));
  return Buffer.concat(parts);
}

/** What a peer sends after its SETTINGS: frames, some broken, in pieces. */
export function conversation(random: Random): Buffer[] {
  const frames: Buffer[] = [];
  for (let i = 1 + random.below(12); i > 0; i -= 1) {
    frames.push(random.once(3) ? anyFrame(random) : Buffer.concat(headersFrames(random)));
  }
  // A flood of one frame.
  if (random.once(200)) frames.push(...Array<Buffer>(1500).fill(anyFrame(random)));
  const bytes = Buffer.concat(frames);
  // An octet changed anywhere, or the end cut off.
  if (random.once(6)) bytes[random.below(bytes.length)] = random.below(256);
  const whole = random.once(10) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
  if (!random.once(3)) return [whole];
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length;) {
    const size = 1 + random.below(random.pick([1, 20, 3000]));
    pieces.push(whole.subarray(at, at + size));
    at += size;
  }
  return pieces;
}
