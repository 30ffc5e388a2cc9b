import { BodySender, ReceiveWindow, type SendingStream } from "../../../src/upstream/lean/flow.ts";
import { FloodGuard } from "../../../src/upstream/lean/flood-guard.ts";
import { FrameReader } from "../../../src/upstream/lean/frame-reader.ts";
import { FrameWriter } from "../../../src/upstream/lean/frame-writer.ts";

/** DATA frames written since the last look: `id:length`, `!` where the stream ends. */
function written(writer: FrameWriter): string[] {
  const seen: string[] = [];
  new FrameReader().push(writer.take(), {
    frame(type, flags, id, _bytes, start, end) {
      seen.push(`${type === 0 ? "" : `type ${type} `}${id}:${end - start}${(flags & 1) === 1 ? "!" : ""}`);
      return 0;
    },
  });
  return seen;
}

const stream = (id: number, sendWindow = 65_535): SendingStream => ({ id, sendWindow, rest: undefined });

describe("a body", () => {
  it("goes at once, in frames of the peer's size, as far as both windows let it", () => {
    const writer = new FrameWriter();
    const bodies = new BodySender(writer);
    bodies.send(stream(1), "x".repeat(100));
    bodies.send(stream(3), "é".repeat(10_000));
    expect(written(writer)).toEqual(["1:100!", "3:16384", "3:3616!"]);
    const narrow = stream(5, 10);
    bodies.send(narrow, "x".repeat(30));
    expect(written(writer)).toEqual(["5:10"]);
    expect(bodies.grantTo(narrow, 15)).toBe(0);
    expect(bodies.grantTo(narrow, 15)).toBe(0);
    expect(written(writer)).toEqual(["5:15", "5:5!"]);
  });

  it("waits for the connection's window, in the order of asking", () => {
    const writer = new FrameWriter();
    const bodies = new BodySender(writer);
    for (const id of [9, 11, 13]) bodies.send(stream(id), "x".repeat(16_384));
    bodies.send(stream(1), "x".repeat(15_848));
    written(writer);
    bodies.send(stream(3), "x".repeat(1000));
    bodies.send(stream(5), "y");
    // 65,535 - 3 * 16,384 - 15,848
    expect(written(writer)).toEqual(["3:535"]);
    bodies.grant(465);
    expect(written(writer)).toEqual(["3:465!"]);
    bodies.send(stream(7), "z");
    bodies.grant(1);
    bodies.grant(1);
    expect(written(writer)).toEqual(["5:1!", "7:1!"]);
  });

  it("of a stream that waits for its own window holds up no other", () => {
    const writer = new FrameWriter();
    const bodies = new BodySender(writer);
    bodies.send(stream(1, 0), "first");
    bodies.send(stream(3), "second");
    bodies.grant(1);
    expect(written(writer)).toEqual(["3:6!"]);
  });

  it("follows SETTINGS that change the windows of open streams, below zero too", () => {
    const writer = new FrameWriter();
    const bodies = new BodySender(writer);
    const open = stream(1, 65_535);
    bodies.send(open, Buffer.alloc(65_535));
    bodies.grant(1_000_000);
    const waiting = stream(3, 100);
    bodies.send(waiting, Buffer.alloc(1000));
    written(writer);
    expect(bodies.setInitialWindow(0, [open, waiting])).toBe(0);
    expect([open.sendWindow, waiting.sendWindow]).toEqual([-65_535, -65_535]);
    bodies.grantTo(waiting, 65_535);
    expect(written(writer)).toEqual([]);
    expect(bodies.setInitialWindow(500, [open, waiting])).toBe(0);
    expect(written(writer)).toEqual(["3:500"]);
    expect(bodies.initialWindow).toBe(500);
    bodies.forget(waiting);
    bodies.grantTo(waiting, 500);
    expect(written(writer)).toEqual([]);
  });

  it("does not change with the caller's bytes while it waits", () => {
    const writer = new FrameWriter();
    const bodies = new BodySender(writer);
    const bytes = Buffer.from("abcdef");
    const waiting = stream(1, 3);
    bodies.send(waiting, bytes);
    bytes.fill("x");
    bodies.grantTo(waiting, 3);
    expect(writer.take().toString("latin1")).toMatch(/abc.*def$/s);
  });

  it("whose window passes 2^31 - 1 is an error", () => {
    const bodies = new BodySender(new FrameWriter());
    expect(bodies.grant(2 ** 31 - 1)).toBe(3);
    expect(bodies.grantTo(stream(1), 2 ** 31 - 1)).toBe(3);
    expect(bodies.setInitialWindow(2 ** 31 - 1, [stream(1, 65_536)])).toBe(3);
  });
});

describe("a window of ours", () => {
  it("is refilled when half of it is used, and not before", () => {
    const window = new ReceiveWindow(1000);
    expect([window.take(499), window.refill()]).toEqual([true, 0]);
    expect([window.take(1), window.refill()]).toEqual([true, 500]);
    expect([window.take(1000), window.refill()]).toEqual([true, 1000]);
    expect(window.take(1001)).toBe(false);
  });
});

describe("the flood guard", () => {
  it("lets through what requests explain, and a hundred frames a second beside", () => {
    let nowMs = 0;
    const flood = new FloodGuard(() => nowMs);
    const run = (frames: number): number => {
      let count = 0;
      while (count < frames && flood.frame()) count += 1;
      return count;
    };
    expect(run(2000)).toBe(1000);
    nowMs += 5000;
    expect(run(2000)).toBeGreaterThanOrEqual(498);
    nowMs += 60_000;
    expect(run(2000)).toBe(2000);
  });

  it("never minds a busy connection", () => {
    const flood = new FloodGuard(() => 0);
    let refused = 0;
    for (let i = 0; i < 100_000; i += 1) {
      flood.requested();
      for (let frames = 0; frames < 8; frames += 1) refused += flood.frame() ? 0 : 1;
    }
    expect(refused).toBe(0);
  });
});
