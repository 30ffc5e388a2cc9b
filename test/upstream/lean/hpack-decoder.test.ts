import { HpackDecoder } from "../../../src/upstream/lean/hpack-decoder.ts";
import { decodeBlock, huffman, integer, literal, text } from "./hpack-blocks.ts";

const hex = (octets: string): Buffer => Buffer.from(octets.replaceAll(" ", ""), "hex");

interface Step {
  readonly block: string;
  readonly fields: readonly string[];
  /** Octets in the dynamic table afterwards. */
  readonly table: number;
}

const request = (scheme: string, path: string): string[] => [
  ":method: GET",
  `:scheme: ${scheme}`,
  `:path: ${path}`,
  ":authority: www.example.com",
];
const requests = [
  [...request("http", "/")],
  [...request("http", "/"), "cache-control: no-cache"],
  [...request("https", "/index.html"), "custom-key: custom-value"],
];
const at = (second: number): string => `date: Mon, 21 Oct 2013 20:13:${second} GMT`;
const location = "location: https://www.example.com";
const responses = [
  [":status: 302", "cache-control: private", at(21), location],
  [":status: 307", "cache-control: private", at(21), location],
  [
    ":status: 200",
    "cache-control: private",
    at(22),
    location,
    "content-encoding: gzip",
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ],
];
const steps = (fields: readonly string[][], tables: readonly number[], blocks: readonly string[]): Step[] =>
  blocks.map((block, i) => ({ block, fields: fields[i] ?? [], table: tables[i] ?? 0 }));

/** RFC 7541, appendix C. */
const examples: readonly (readonly [section: string, tableBytes: number, steps: readonly Step[]])[] = [
  [
    "C.2.1",
    4096,
    steps(
      [["custom-key: custom-header"]],
      [55],
      ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"],
    ),
  ],
  ["C.2.2", 4096, steps([[":path: /sample/path"]], [0], ["040c 2f73 616d 706c 652f 7061 7468"])],
  ["C.2.3", 4096, steps([["password: secret"]], [0], ["1008 7061 7373 776f 7264 0673 6563 7265 74"])],
  ["C.2.4", 4096, steps([[":method: GET"]], [0], ["82"])],
  [
    "C.3",
    4096,
    steps(
      requests,
      [57, 110, 164],
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
    ),
  ],
  [
    "C.4",
    4096,
    steps(
      requests,
      [57, 110, 164],
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
    ),
  ],
  [
    "C.5",
    256,
    steps(
      responses,
      [222, 222, 215],
      [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
      ],
    ),
  ],
  [
    "C.6",
    256,
    steps(
      responses,
      [222, 222, 215],
      [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      ],
    ),
  ],
];

describe("RFC 7541, appendix C", () => {
  it.each(examples)("%s", (_section, tableBytes, each) => {
    const decoder = new HpackDecoder(tableBytes);
    for (const { block, fields, table } of each) {
      expect(decodeBlock(decoder, hex(block))).toEqual(fields);
      expect(decoder.tableBytes).toBe(table);
    }
  });

  it("C.1: integers that take one octet and three", () => {
    const decoder = new HpackDecoder(4096);
    expect(decodeBlock(decoder, hex("2a"))).toEqual([]);
    expect(decodeBlock(decoder, hex("3f9a0a"))).toEqual([]);
    expect(decodeBlock(new HpackDecoder(1337), hex("3f9a0a"))).toEqual([]);
    expect(decodeBlock(new HpackDecoder(1336), hex("3f9a0a"))).toBeUndefined();
  });
});

describe("a header block", () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString("latin1");

  it("carries every octet, plain and Huffman-coded", () => {
    for (const isHuffman of [false, true]) {
      const block = Buffer.from(literal(0x40, "x-all", all, isHuffman));
      expect(decodeBlock(new HpackDecoder(4096), block)).toEqual([`x-all: ${all}`]);
    }
  });

  it("refers to the newest entries first, and to names of both tables", () => {
    const decoder = new HpackDecoder(4096);
    decodeBlock(decoder, Buffer.from([...literal(0x40, "a", "1"), ...literal(0x40, "b", "2")]));
    expect(decodeBlock(decoder, Buffer.from([0xbe, 0xbf]))).toEqual(["b: 2", "a: 1"]);
    // 0x0f 0x30: without indexing, name of index 15 + 48 = 63; 0x5f: into the table, name of index 31.
    const names = Buffer.from([0x0f, 0x30, ...text("x"), 0x5f, ...text("y")]);
    expect(decodeBlock(decoder, names)).toEqual(["a: x", "content-type: y"]);
    expect(decodeBlock(decoder, Buffer.from([0xbe]))).toEqual(["content-type: y"]);
  });

  it("evicts the oldest, and an entry larger than the table empties it", () => {
    const decoder = new HpackDecoder(100);
    decodeBlock(decoder, Buffer.from([...literal(0x40, "a", "1"), ...literal(0x40, "b", "2")]));
    expect(decoder.tableBytes).toBe(68);
    decodeBlock(decoder, Buffer.from(literal(0x40, "c", "3")));
    expect(decodeBlock(decoder, Buffer.from([0xbe, 0xbf]))).toEqual(["c: 3", "b: 2"]);
    expect(decodeBlock(decoder, Buffer.from(literal(0x40, "d", "x".repeat(80))))).toEqual([
      `d: ${"x".repeat(80)}`,
    ]);
    expect(decoder.tableBytes).toBe(0);
    expect(decodeBlock(decoder, Buffer.from([0xbe]))).toBeUndefined();
  });

  it("shrinks and widens the table before its first field", () => {
    const decoder = new HpackDecoder(4096);
    decodeBlock(decoder, Buffer.from(literal(0x40, "a", "1")));
    const block = Buffer.from([0x20, ...integer(0x20, 5, 4096), ...literal(0x40, "b", "2"), 0xbe]);
    expect(decodeBlock(decoder, block)).toEqual(["b: 2", "b: 2"]);
    expect(decoder.tableBytes).toBe(34);
  });

  it.each<[string, number[]]>([
    ["index 0", [0x80]],
    ["an index beyond both tables", [0xbe]],
    ["a name's index beyond both tables", [0x7f, 0x00, ...text("x")]],
    ["an index without an end", [0xff, 0x80, 0x80]],
    ["an index as large as 2^35", [0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ["a string that is longer than the block", [0x00, 0x01, 0x61, 0x05, 0x62]],
    ["a string without its length", [0x00, 0x01, 0x61]],
    ["a name alone", [0x40]],
    ["Huffman padding of eight bits", [0x00, 0x01, 0x61, 0x82, ...huffman([0x30]), 0xff]],
    ["Huffman padding with a zero", [0x00, 0x01, 0x61, 0x81, 0x00]],
    ["EOS within a Huffman string", [0x00, 0x01, 0x61, 0x84, 0xff, 0xff, 0xff, 0xff]],
    ["a table larger than allowed", integer(0x20, 5, 4097)],
    ["a table's size after a field", [0x82, 0x20]],
  ])("with %s is none", (_, octets) => {
    expect(decodeBlock(new HpackDecoder(4096), Buffer.from(octets))).toBeUndefined();
  });
});
