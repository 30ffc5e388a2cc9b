import { frame, goawayFrame } from "../../support/upstream-server.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { turn, WireUnderTest } from "./fake-socket.ts";
import { literal } from "./hpack-blocks.ts";

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), uint32(value)]);
const settings = (...pairs: readonly Buffer[]): Buffer => frame(4, 0, 0, Buffer.concat(pairs));
/** HEADERS; 4 = END_HEADERS, 5 = and END_STREAM. */
const headers = (id: number, flags: number, ...octets: readonly number[]): Buffer =>
  frame(1, flags, id, Buffer.from(octets));
const data = (id: number, flags: number, text: string): Buffer => frame(0, flags, id, Buffer.from(text));
const status200 = 0x88;
const status103 = literal(0x00, ":status", "103");

describe("an answer", () => {
  it("of a head alone is whole", async () => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    peer.receive(headers(1, 5, status200, ...literal(0x40, "apns-id", "7")));
    expect(stream).toMatchObject({
      heads: [{ status: 200, headers: { "apns-id": "7" } }],
      body: "",
      ends: [undefined],
    });
  });

  it.each<[string, Buffer[]]>([
    [
      "in DATA frames, the last one empty",
      [headers(1, 4, status200), data(1, 0, "who"), data(1, 0, "le"), data(1, 1, "")],
    ],
    [
      "after interim heads",
      [
        headers(1, 4, ...status103),
        headers(1, 4, ...status103),
        headers(1, 4, status200),
        data(1, 1, "whole"),
      ],
    ],
    [
      "with trailers",
      [headers(1, 4, status200), data(1, 0, "whole"), headers(1, 5, ...literal(0, "x-sum", "1"))],
    ],
    [
      "with padding and a priority",
      [
        frame(1, 0x2c, 1, Buffer.from([3, 0, 0, 0, 0, 9, status200, 1, 2, 3])),
        frame(0, 9, 1, Buffer.from("\u0002wholexx")),
      ],
    ],
    [
      "with padding alone in a frame",
      [headers(1, 4, status200), frame(0, 8, 1, Buffer.from([2, 0, 0])), data(1, 1, "whole")],
    ],
    [
      "in HEADERS and CONTINUATION, some empty",
      [
        frame(1, 0, 1),
        frame(9, 0, 1, Buffer.from([status200])),
        frame(9, 0, 1),
        frame(9, 4, 1, Buffer.from(literal(0x40, "a", "b"))),
        data(1, 1, "whole"),
      ],
    ],
    [
      "of the length that it says",
      [headers(1, 4, status200, ...literal(0, "content-length", "5")), data(1, 1, "whole")],
    ],
    [
      "between frames of types that nobody knows",
      [
        frame(0xbe, 0xff, 1, Buffer.from("?")),
        headers(1, 4, status200),
        frame(0xbf, 0, 0, Buffer.from("?")),
        data(1, 1, "whole"),
      ],
    ],
    [
      "between PRIORITY, PING, SETTINGS and WINDOW_UPDATE",
      [
        frame(2, 0, 1, Buffer.alloc(5)),
        frame(6, 0, 0, Buffer.alloc(8)),
        headers(1, 4, status200),
        settings(setting(0x7f, 1)),
        frame(8, 0, 1, uint32(1)),
        data(1, 1, "whole"),
      ],
    ],
  ])("%s is whole", async (_, frames) => {
    for (const isSplit of [false, true]) {
      const peer = new WireUnderTest();
      const [stream] = await peer.start();
      if (isSplit) for (const octet of Buffer.concat(frames)) peer.receive(Buffer.from([octet]));
      else peer.receive(...frames);
      expect(stream?.wrong).toEqual([]);
      expect(stream).toMatchObject({ body: "whole", ends: [undefined] });
      expect(stream?.heads.at(-1)?.status).toBe(200);
      expect(peer.owner.gones).toEqual([]);
    }
  });

  it("keeps headers that come twice as Node does", async () => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    const block = [
      ["retry-after", "1"],
      ["retry-after", "2"],
      ["x-a", "1"],
      ["x-a", "2"],
      ["set-cookie", "a"],
      ["set-cookie", "b"],
      ["__proto__", "x"],
      ["x-b", "left out\nx-c: injected"],
    ];
    peer.receive(
      headers(1, 5, status200, ...block.flatMap(([name = "", value = ""]) => literal(0, name, value))),
    );
    expect(stream?.heads[0]?.headers).toEqual({
      "retry-after": "1",
      "x-a": "1, 2",
      "set-cookie": ["a", "b"],
      ["__proto__"]: "x",
    });
  });

  it("with more headers than are kept is an answer all the same", async () => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    // Five hundred times one entry of the table: a few octets each on the wire, 1.5 MB when written out.
    const block = [status200, ...literal(0x40, "x-a", "v".repeat(3000)), ...Array<number>(500).fill(0xbe)];
    peer.receive(headers(1, 5, ...block));
    expect(stream).toMatchObject({ heads: [{ status: 200 }], ends: [undefined] });
    const { "x-a": value } = stream?.heads[0]?.headers ?? {};
    expect(String(value).length).toBeGreaterThan(60_000);
    expect(String(value).length).toBeLessThan(65_536);
    expect(peer.owner.gones).toEqual([]);
  });
});

describe("a malformed answer", () => {
  it.each<[string, Buffer[]]>([
    ["without a status", [headers(1, 5, ...literal(0, "a", "b"))]],
    ["with a status that is no number", [headers(1, 5, ...literal(0, ":status", "2e2"))]],
    ["with two", [headers(1, 5, status200, status200)]],
    ["with a status after a header", [headers(1, 5, ...literal(0, "a", "b"), status200)]],
    ["with a request's pseudo header", [headers(1, 5, status200, 0x82)]],
    ["with a name in upper case", [headers(1, 5, status200, ...literal(0, "X-A", "b"))]],
    [
      "with a header of the connection's",
      [headers(1, 5, status200, ...literal(0, "transfer-encoding", "chunked"))],
    ],
    [
      "with two lengths",
      [headers(1, 5, status200, ...literal(0, "content-length", "1"), ...literal(0, "content-length", "2"))],
    ],
    ["that is 101", [headers(1, 4, ...literal(0, ":status", "101"))]],
    ["that ends with an interim head", [headers(1, 5, ...status103)]],
    ["whose body comes first", [data(1, 1, "early")]],
  ])("%s ends its stream, and that alone", async (_, frames) => {
    const peer = new WireUnderTest();
    const [stream, other] = await peer.start(2);
    peer.receive(...frames, headers(3, 5, status200));
    expect(stream?.ends).toEqual([{ streamId: 1, rstCode: 1, failure: undefined, wireGone: false }]);
    expect(stream?.heads).toEqual([]);
    expect(other?.ends).toEqual([undefined]);
    await turn();
    expect(peer.frames()).toEqual(["3 0 1 00000001"]);
    expect(peer.owner.gones).toEqual([]);
  });

  it.each<[string, Buffer[]]>([
    ["is longer than it says", [data(1, 1, "too long")]],
    ["is shorter than it says", [data(1, 1, "x")]],
    ["goes on after trailers without an end", [headers(1, 4, ...literal(0, "a", "b"))]],
    ["has a status in its trailers", [data(1, 0, "1234"), headers(1, 5, status200)]],
    ["is reset", [frame(3, 0, 1, uint32(1))]],
  ])("whose body %s has its status, and is known to be cut", async (_, frames) => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    peer.receive(headers(1, 4, status200, ...literal(0, "content-length", "4")), ...frames);
    expect(stream?.heads.map(({ status }) => status)).toEqual([200]);
    expect(stream?.ends).toEqual([{ streamId: 1, rstCode: 1, failure: undefined, wireGone: false }]);
  });
});

describe("a peer that breaks the connection's rules", () => {
  const header = (octets: readonly number[]): Buffer => headers(1, 5, ...octets);
  it.each<[string, number, Buffer[]]>([
    ["DATA on stream 0", 1, [data(0, 0, "x")]],
    ["DATA on a stream that was never opened", 1, [data(3, 0, "x")]],
    ["DATA on a stream of its own", 1, [data(2, 0, "x")]],
    ["DATA with more padding than frame", 1, [headers(1, 4, status200), frame(0, 8, 1, Buffer.from([2, 0]))]],
    ["an empty DATA that says it is padded", 1, [headers(1, 4, status200), frame(0, 8, 1)]],
    ["HEADERS on stream 0", 1, [headers(0, 4, status200)]],
    ["HEADERS on a stream that was never opened", 1, [headers(3, 4, status200)]],
    ["HEADERS with more padding than frame", 1, [frame(1, 0x0c, 1, Buffer.from([9, status200]))]],
    ["HEADERS too short for their priority", 6, [frame(1, 0x24, 1, Buffer.from([0, 0, 0]))]],
    ["CONTINUATION without HEADERS", 1, [frame(9, 4, 1, Buffer.from([status200]))]],
    ["CONTINUATION of another stream", 1, [frame(1, 0, 1), frame(9, 4, 3)]],
    ["PING within a header block", 1, [frame(1, 0, 1), frame(6, 0, 0, Buffer.alloc(8))]],
    ["an unknown frame within a header block", 1, [frame(1, 0, 1), frame(0xbe, 0, 0)]],
    ["PUSH_PROMISE", 1, [frame(5, 4, 1, Buffer.from([0, 0, 0, 2, 0x82]))]],
    ["a header block that is none", 9, [header([0x80])]],
    ["a table larger than allowed", 9, [header([0x3f, 0xe2, 0x1f, status200])]],
    ["a header block that is none, of a stream that has ended", 9, [header([status200]), header([0x80])]],
    ["CONTINUATION without end", 11, [frame(1, 0, 1), ...Array.from({ length: 65 }, () => frame(9, 0, 1))]],
    [
      "a header block of more than 64 KiB",
      11,
      [frame(1, 0, 1), ...Array.from({ length: 5 }, () => frame(9, 0, 1, Buffer.alloc(16_384)))],
    ],
    ["RST_STREAM of three bytes", 6, [frame(3, 0, 1, Buffer.alloc(3))]],
    ["RST_STREAM on stream 0", 1, [frame(3, 0, 0, uint32(8))]],
    ["RST_STREAM on a stream that was never opened", 1, [frame(3, 0, 5, uint32(8))]],
    ["SETTINGS on a stream", 1, [frame(4, 0, 1)]],
    ["SETTINGS of five bytes", 6, [frame(4, 0, 0, Buffer.alloc(5))]],
    ["a SETTINGS ACK with a payload", 6, [frame(4, 1, 0, setting(3, 1))]],
    ["ENABLE_PUSH 1", 1, [settings(setting(2, 1))]],
    ["a window of 2^31", 3, [settings(setting(4, 2 ** 31))]],
    [
      "windows that SETTINGS make too large",
      3,
      [frame(8, 0, 1, uint32(2 ** 31 - 1 - 65_535)), settings(setting(4, 2 ** 31 - 1))],
    ],
    ["a frame size of 16,383", 1, [settings(setting(5, 16_383))]],
    ["a frame size of 2^24", 1, [settings(setting(5, 2 ** 24))]],
    ["PING on a stream", 1, [frame(6, 0, 1, Buffer.alloc(8))]],
    ["PING of seven bytes", 6, [frame(6, 0, 0, Buffer.alloc(7))]],
    ["GOAWAY on a stream", 1, [frame(7, 0, 1, Buffer.alloc(8))]],
    ["GOAWAY of seven bytes", 6, [frame(7, 0, 0, Buffer.alloc(7))]],
    ["WINDOW_UPDATE of three bytes", 6, [frame(8, 0, 0, Buffer.alloc(3))]],
    ["WINDOW_UPDATE of nothing", 1, [frame(8, 0, 0, uint32(0))]],
    ["WINDOW_UPDATE past 2^31 - 1", 3, [frame(8, 0, 0, uint32(2 ** 31 - 1))]],
    ["WINDOW_UPDATE on a stream that was never opened", 1, [frame(8, 0, 7, uint32(1))]],
    ["PRIORITY on stream 0", 1, [frame(2, 0, 0, Buffer.alloc(5))]],
    ["PRIORITY of four bytes", 6, [frame(2, 0, 1, Buffer.alloc(4))]],
    ["a frame of 16,385 bytes", 6, [frame(0, 0, 1, Buffer.alloc(16_385))]],
    ["a thousand PINGs and one", 11, Array.from({ length: 1100 }, () => frame(6, 0, 0, Buffer.alloc(8)))],
    ["a thousand SETTINGS and one", 11, Array.from({ length: 1100 }, () => settings())],
    [
      "a thousand empty DATA and one",
      11,
      [headers(1, 4, status200), ...Array.from({ length: 1100 }, () => data(1, 0, ""))],
    ],
    ["a thousand interim heads and one", 11, Array.from({ length: 1100 }, () => headers(1, 4, ...status103))],
    ["a thousand unknown frames and one", 11, Array.from({ length: 1100 }, () => frame(0xbe, 0, 0))],
  ])("by %s hears why, and every stream ends once", async (_, code, frames) => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    peer.receive(...frames);
    await turn();
    const goaway = `7 0 0 00000000${code.toString(16).padStart(8, "0")}`;
    expect(peer.frames().at(-1)).toBe(goaway);
    expect(peer.owner.gones).toEqual([{ class: "protocol", detail: expect.any(String) }]);
    expect(stream?.ends.length).toBe(1);
    expect(peer.socket.destroyed).toBe(true);
    // And nothing after that is heard.
    peer.receive(headers(1, 5, status200));
    expect(stream?.ends.length).toBe(1);
    expect(peer.owner.gones.length).toBe(1);
    expect(peer.wire.open([":method", "POST"], "", stream ?? peer.open())).toBe("gone");
  });

  it.each([
    ["PING", frame(6, 0, 0, Buffer.alloc(8))],
    ["a SETTINGS ACK", frame(4, 1, 0)],
    ["text of HTTP/1.1", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("by beginning with %s is left", async (_, bytes) => {
    const peer = new WireUnderTest();
    peer.receive(bytes);
    await turn();
    expect(peer.owner.gones).toMatchObject([{ class: "protocol" }]);
    expect(peer.owner.settingsSeen).toEqual([]);
  });

  it("on one stream's window loses that stream alone", async () => {
    const peer = new WireUnderTest();
    const [first, second, third] = await peer.start(3);
    peer.receive(frame(8, 0, 1, uint32(0)), frame(8, 0, 3, uint32(2 ** 31 - 1)), headers(5, 5, status200));
    expect(first?.ends).toMatchObject([{ rstCode: 1 }]);
    expect(second?.ends).toMatchObject([{ rstCode: 3 }]);
    expect(third?.ends).toEqual([undefined]);
    await turn();
    expect(peer.frames()).toEqual(["3 0 1 00000001", "3 0 3 00000003"]);
  });
});

describe("the connection", () => {
  it("begins with the preface, SETTINGS without push, and a wide window", async () => {
    const peer = new WireUnderTest();
    await turn();
    const bytes = Buffer.concat(peer.socket.written);
    expect(bytes.subarray(0, 24).toString()).toBe("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    peer.socket.written.splice(0, Infinity, bytes.subarray(24));
    expect(peer.frames()).toEqual([
      `4 0 0 000200000000${setting(4, 64 * 1024 + 16 * 1024).toString("hex")}${setting(6, 64 * 1024).toString("hex")}`,
      `8 0 0 ${uint32(1024 * 1024 - 65_535).toString("hex")}`,
    ]);
  });

  it("writes all requests of a turn at once", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    for (let i = 0; i < 50; i += 1) peer.open();
    await turn();
    expect(peer.socket.written.length).toBe(1);
    expect(peer.frames().length).toBe(100);
  });

  it("answers PING with the same bytes and SETTINGS with an ACK, and keeps limits that later SETTINGS leave out", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    peer.receive(settings(setting(3, 7)), frame(6, 0, 0, Buffer.from("12345678")), settings(setting(1, 0)));
    await turn();
    expect(peer.frames()).toEqual(["4 1 0", `6 1 0 ${Buffer.from("12345678").toString("hex")}`, "4 1 0"]);
    expect(peer.owner.settingsSeen).toEqual([undefined, 7, 7]);
    expect(peer.owner.heardCount).toBe(1);
  });

  it("believes the ACK of its own PING alone, once", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    let answers = 0;
    expect(peer.wire.ping(() => (answers += 1))).toBe(true);
    await turn();
    const [sent = ""] = peer.frames();
    expect(sent).toMatch(/^6 0 0 /);
    peer.receive(frame(6, 1, 0, Buffer.from("00000000")));
    expect(answers).toBe(0);
    const ack = frame(6, 1, 0, Buffer.from(sent.split(" ")[3] ?? "", "hex"));
    peer.receive(ack, ack);
    expect(answers).toBe(1);
  });

  it("gives windows back: the connection's for all DATA, a stream's for padding too", async () => {
    const peer = new WireUnderTest({ maxResponseBytes: 1_000_000 });
    const [stream] = await peer.start(2);
    peer.receive(headers(1, 4, status200));
    for (let i = 0; i < 40; i += 1)
      peer.receive(frame(0, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(16_383)])));
    await turn();
    const updates = peer.frames();
    const total = (id: number): number =>
      updates
        .filter((each) => each.startsWith(`8 0 ${id} `))
        .reduce((sum, each) => sum + parseInt(each.split(" ")[3] ?? "", 16), 0);
    expect(total(0)).toBe(512 * 1024);
    expect(total(1)).toBeGreaterThan(500_000);
    expect(stream?.body.length).toBe(40 * (16_383 - 255));
  });

  it("gives a window back when half of it is used, and not before", async () => {
    const one = new WireUnderTest({ maxResponseBytes: 10 });
    const [stream] = await one.start();
    const chunk = (id: number): Buffer => data(id, 0, "x".repeat(16_384));
    one.receive(headers(1, 4, status200), chunk(1));
    await turn();
    expect(one.frames()).toEqual([]);
    one.receive(chunk(1), chunk(1));
    await turn();
    expect(stream?.ends).toEqual([]);
    expect(one.frames()).toEqual([`8 0 1 ${uint32(2 * 16_384).toString("hex")}`]);
  });

  it("holds bodies back when the peer's windows are full, and resets a stream whose answer came before them", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    const first = peer.open("x".repeat(60_000));
    const second = peer.open("y".repeat(10_000));
    await turn();
    const sent = (): number => peer.frames().filter((each) => each.startsWith("0 ")).length;
    expect(sent()).toBe(4 + 1);
    peer.receive(headers(3, 5, ...literal(0, ":status", "413")), headers(1, 5, status200));
    await turn();
    expect(peer.frames().at(-1)).toBe("3 0 3 00000000");
    expect([first.ends, second.ends]).toEqual([[undefined], [undefined]]);
    expect(second.heads[0]?.status).toBe(413);
    peer.receive(frame(8, 0, 0, uint32(100_000)));
    await turn();
    expect(sent()).toBe(5);
  });

  it("splits headers that are longer than a frame", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    const listener = peer.open();
    peer.wire.open([":method", "POST", "x-long", "v".repeat(40_000)], "", listener);
    await turn();
    const [, , ...frames] = peer.frames();
    expect(frames.map((each) => each.split(" ").slice(0, 3).join(" "))).toEqual(["1 1 3", "9 0 3", "9 4 3"]);
  });

  it("is congested while the network takes nothing, and says when that is over", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    peer.receive(frame(8, 0, 0, uint32(10_000_000)));
    peer.socket.isStuck = true;
    while (!peer.wire.congested) peer.open("x".repeat(10_000));
    expect(peer.socket.written.length).toBe(0);
    await turn();
    expect(peer.wire.congested).toBe(true);
    peer.socket.release();
    expect(peer.wire.congested).toBe(false);
    expect(peer.owner.easedCount).toBe(1);
  });

  it("does not collect answers without end for a peer that reads none", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    peer.socket.isStuck = true;
    for (let round = 0; round < 3000 && peer.owner.gones.length === 0; round += 1) {
      for (let i = 0; i < 100; i += 1) peer.open("").stream?.cancel();
      peer.receive(...Array.from({ length: 1000 }, () => frame(6, 0, 0, Buffer.alloc(8))));
      await turn();
    }
    expect(peer.owner.gones).toEqual([{ class: "protocol", detail: "ENHANCE_YOUR_CALM" }]);
    const bytes = peer.socket.written.reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThan(17 * 1024 * 1024);
  });
});

describe("how a stream ends", () => {
  it("cancelled: the peer is told, its place is free when that has left, and what comes late is let pass", async () => {
    const peer = new WireUnderTest();
    const [stream, other] = await peer.start(2);
    stream?.stream?.cancel();
    stream?.stream?.cancel();
    expect(stream?.ends).toEqual([]);
    await turn();
    expect(peer.frames()).toEqual(["3 0 1 00000008"]);
    expect(stream?.ends).toMatchObject([{ streamId: 1, rstCode: 8 }]);
    // The late head brings a table entry that the next one builds on.
    peer.receive(
      headers(1, 4, status200, ...literal(0x40, "x-a", "b")),
      data(1, 1, "late"),
      headers(3, 5, status200, 0xbe),
    );
    expect(other).toMatchObject({ heads: [{ status: 200, headers: { "x-a": "b" } }], ends: [undefined] });
    expect([stream?.ends.length, stream?.heads.length]).toEqual([1, 0]);
  });

  it("cancelled when nothing leaves any more: with the connection", async () => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    peer.socket.isStuck = true;
    stream?.stream?.cancel();
    await turn();
    expect(stream?.ends).toEqual([]);
    peer.wire.destroy();
    await turn();
    expect(stream?.ends).toMatchObject([{ streamId: 1, wireGone: true }]);
    peer.socket.release();
    expect(stream?.ends.length).toBe(1);
    expect(peer.owner.gones).toEqual([{ class: "closed" }]);
  });

  it("cut before it was handed to the socket: without an id, so it was certainly not sent", async () => {
    const peer = new WireUnderTest();
    const [sent] = await peer.start();
    const unsent = peer.open();
    peer.socket.emit("error", Object.assign(new Error("cut"), { code: "ECONNRESET" }));
    peer.socket.destroy();
    peer.socket.emit("close");
    expect(sent?.ends).toEqual([
      { streamId: 1, rstCode: undefined, failure: { class: "reset", detail: "ECONNRESET" }, wireGone: true },
    ]);
    expect(unsent.ends).toMatchObject([{ streamId: undefined, wireGone: true }]);
    expect(peer.owner.gones).toEqual([{ class: "reset", detail: "ECONNRESET" }]);
  });

  it("by the peer's fault in the same turn: neither is it sent then", async () => {
    const peer = new WireUnderTest();
    await peer.start();
    const unsent = peer.open();
    peer.receive(frame(5, 4, 1, Buffer.alloc(8)));
    await turn();
    expect(unsent.ends).toMatchObject([{ streamId: undefined }]);
    expect(peer.frames()).toEqual(["7 0 0 0000000000000001"]);
  });

  it("by GOAWAY: those above the last id at once, the others when they are answered", async () => {
    const peer = new WireUnderTest();
    const [first, second, third] = await peer.start(3);
    peer.receive(goawayFrame(0, 2 ** 31 - 1, "soon"));
    expect(peer.owner.goaways).toEqual([{ code: 0, lastStreamId: 2 ** 31 - 1, text: "soon" }]);
    expect(peer.wire.open([":method", "POST"], "", peer.open())).toBe("gone");
    peer.receive(goawayFrame(0, 3), headers(3, 5, status200));
    expect(third?.ends).toMatchObject([{ streamId: 5, rstCode: 7 }]);
    expect(second?.ends).toEqual([undefined]);
    // A last id that rises again is not believed.
    peer.receive(goawayFrame(0, 5));
    expect(peer.owner.goaways.map(({ lastStreamId }) => lastStreamId)).toEqual([2 ** 31 - 1, 3, 3]);
    peer.receive(goawayFrame(0, 0));
    expect(first?.ends).toMatchObject([{ streamId: 1, rstCode: 7 }]);
  });

  it("by GOAWAY in the turn of its opening: nothing of it goes out, and what belongs to others does", async () => {
    const peer = new WireUnderTest();
    const [first] = await peer.start();
    peer.wire.ping(() => {});
    const late = peer.open();
    peer.receive(settings(setting(3, 9)), goawayFrame(0, 1), headers(1, 5, status200));
    expect(late.ends).toMatchObject([{ rstCode: 7 }]);
    expect(first?.ends).toEqual([undefined]);
    await turn();
    expect(peer.frames().map((each) => each.slice(0, 5))).toEqual(["6 0 0", "4 1 0"]);
  });

  it("by a GOAWAY with an error: answers that still come count, for a second", async () => {
    const clock = createFakeClock();
    const peer = new WireUnderTest({ clock });
    const [first, second, third] = await peer.start(3);
    peer.receive(goawayFrame(2, 3), headers(1, 5, status200));
    expect(first?.ends).toEqual([undefined]);
    expect(third?.ends).toMatchObject([{ streamId: 5, rstCode: 7 }]);
    expect(second?.ends).toEqual([]);
    await clock.advance(999);
    expect(peer.socket.destroyed).toBe(false);
    await clock.advance(1);
    await turn();
    expect(second?.ends).toMatchObject([{ streamId: 3, wireGone: true }]);
    expect(peer.owner.gones.length).toBe(1);
  });

  it("by the peer's end of the connection", async () => {
    const peer = new WireUnderTest();
    const [stream] = await peer.start();
    peer.socket.emit("end");
    expect(stream?.ends).toMatchObject([{ streamId: 1, failure: { class: "closed" }, wireGone: true }]);
    expect(peer.owner.gones).toEqual([{ class: "closed" }]);
    peer.socket.emit("close");
    await turn();
    expect(peer.owner.gones.length).toBe(1);
  });

  it("never, once the connection says goodbye", async () => {
    const peer = new WireUnderTest();
    await peer.start(0);
    peer.wire.close();
    expect(peer.frames()).toEqual(["7 0 0 0000000000000000"]);
    expect(peer.socket.hasEnded).toBe(true);
    expect(peer.wire.open([":method", "POST"], "", peer.open())).toBe("gone");
    expect(peer.wire.ping(() => {})).toBe(false);
  });
});
