import { HpackDecoder } from "../../../src/upstream/lean/hpack-decoder.ts";
import { HpackEncoder } from "../../../src/upstream/lean/hpack-encoder.ts";
import { decodeBlock } from "./hpack-blocks.ts";

function encode(encoder: HpackEncoder, list: readonly string[]): Buffer {
  const most = encoder.measure(list);
  const out = Buffer.alloc(most);
  const end = encoder.encode(list, out, 0);
  expect(end).toBeLessThanOrEqual(most);
  return out.subarray(0, end);
}

function asFields(list: readonly string[]): string[] {
  return list.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${list[i + 1]}`] : []));
}

const push = (token: string): string[] => [
  ":method",
  "POST",
  ":scheme",
  "https",
  ":authority",
  "api.push.apple.com",
  ":path",
  `/3/device/${token}`,
  "apns-topic",
  "org.example.app",
  "apns-id",
  token,
  "authorization",
  "bearer secret",
];

describe("the encoder", () => {
  it("says a repeated value in one octet from its third time on", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    const blocks = ["a1", "b2", "c3", "d4"].map((token) => {
      const block = encode(encoder, push(token));
      expect(decodeBlock(decoder, block)).toEqual(asFields(push(token)));
      return block;
    });
    const [first = 0, second = 0, third = 0, fourth = 0] = blocks.map(({ length }) => length);
    expect(second).toBe(first);
    expect(third).toBe(first - "api.push.apple.com".length - 1 - "apns-topicorg.example.app".length - 2);
    expect(fourth).toBe(third);
  });

  it("marks path and authorization as never to be indexed, and never puts them into a table", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    const list = [":path", "/secret", "authorization", "bearer secret"];
    for (let i = 0; i < 4; i += 1) {
      const block = encode(encoder, list);
      expect(block[0]).toBe(0x14); // 0001, name of index 4
      expect(block.subarray(9, 11)).toEqual(Buffer.from([0x1f, 0x08])); // 0001, name of index 23
      expect(decodeBlock(decoder, block)).toEqual(asFields(list));
    }
    expect(decoder.tableBytes).toBe(0);
  });

  it.each([0, 40, 100, 4096, 65_536])("keeps to a peer's table of %i bytes, whatever is sent", (size) => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    encode(encoder, []);
    encoder.setPeerTableSize(size);
    for (let i = 0; i < 300; i += 1) {
      // Each value twice in a row, and more of them than the table holds.
      const list = [
        "x-a",
        `value ${Math.floor(i / 2)}`,
        "x-b",
        "same",
        ":status",
        "200",
        `x-name-${i % 7}`,
        "n",
      ];
      expect(decodeBlock(decoder, encode(encoder, list))).toEqual(asFields(list));
      expect(decoder.tableBytes).toBeLessThanOrEqual(size);
    }
  });

  it("follows a table size that changes back and forth", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    [4096, 0, 4096, 64, 63, 4096, 1000, 1000, 0].forEach((size) => {
      encoder.setPeerTableSize(4096);
      encoder.setPeerTableSize(size);
      for (let i = 0; i < 4; i += 1) {
        expect(decodeBlock(decoder, encode(encoder, push(String(i))))).toEqual(asFields(push(String(i))));
        expect(decoder.tableBytes).toBeLessThanOrEqual(size);
      }
    });
  });

  it("remembers a bounded number of names", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    for (let i = 0; i < 2000; i += 1) {
      const list = [`x-${i}`, "v", `x-${i}`, "v"];
      expect(decodeBlock(decoder, encode(encoder, list))).toEqual(asFields(list));
    }
  });

  it.each(["x a", "X-A", "", ":", "x\u0000", "connection", "transfer-encoding", "upgrade"])(
    "refuses the name %j and is none the worse for it",
    (name) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(4096);
      decodeBlock(decoder, encode(encoder, push("a")));
      expect(() => encoder.measure(["x-b", "1", name, "2"])).toThrow(TypeError);
      for (let i = 0; i < 3; i += 1)
        expect(decodeBlock(decoder, encode(encoder, push("b")))).toEqual(asFields(push("b")));
    },
  );

  it("writes long values with lengths of several octets", () => {
    const list = ["x-long", "v".repeat(20_000), "x-127", "v".repeat(127), "x-126", "v".repeat(126)];
    expect(decodeBlock(new HpackDecoder(4096), encode(new HpackEncoder(), list))).toEqual(asFields(list));
  });
});
