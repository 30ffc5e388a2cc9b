import { FrameReader, stop, type FrameHandler } from "../../../src/upstream/lean/frame-reader.ts";
import { frame } from "../../support/upstream-server.ts";

/** Notes what it is given; answers `result` from the frame number `from` on. */
function recorder(result = 0, from = Infinity): FrameHandler & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    frame(type, flags, streamId, bytes, start, end) {
      seen.push(`${type} ${flags} ${streamId} ${bytes.toString("latin1", start, end)}`);
      return seen.length >= from ? result : 0;
    },
  };
}

const bytes = Buffer.concat([
  frame(4, 0, 0),
  frame(0, 1, 5, Buffer.from("hello")),
  frame(0xbe, 0xff, 7, Buffer.from("x".repeat(16_384))),
  frame(6, 0, 0, Buffer.from("12345678")),
]);
const expected = ["4 0 0 ", "0 1 5 hello", `190 255 7 ${"x".repeat(16_384)}`, "6 0 0 12345678"];

describe("frames", () => {
  it.each([1, 2, 3, 8, 9, 10, 11, 1000, 16_393, 16_394, 100_000])(
    "are whole in pieces of %i bytes",
    (size) => {
      const reader = new FrameReader();
      const handler = recorder();
      let result = 0;
      for (let at = 0; at < bytes.length; at += size)
        result ||= reader.push(bytes.subarray(at, at + size), handler);
      expect(result).toBe(0);
      expect(handler.seen).toEqual(expected);
    },
  );

  it("have a reserved bit that means nothing", () => {
    const handler = recorder();
    const sent = frame(0, 0, 3);
    sent[5] = 0x80;
    new FrameReader().push(sent, handler);
    expect(handler.seen).toEqual(["0 0 3 "]);
  });

  it.each([16_385, 2 ** 24 - 1])("of %i bytes are too large, before they have come", (length) => {
    for (const size of [1, 9]) {
      const head = Buffer.alloc(9);
      head.writeUIntBE(length, 0, 3);
      const reader = new FrameReader();
      const handler = recorder();
      let result = 0;
      for (let at = 0; at < 9; at += size) result ||= reader.push(head.subarray(at, at + size), handler);
      expect(result).toBe(6);
      expect(handler.seen).toEqual([]);
    }
  });

  it("are read no further than the handler wants", () => {
    for (const result of [1, stop]) {
      const handler = recorder(result, 2);
      expect(new FrameReader().push(bytes, handler)).toBe(result);
      expect(handler.seen.length).toBe(2);
    }
  });
});
