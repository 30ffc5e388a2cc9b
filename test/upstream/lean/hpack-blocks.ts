import type { HpackDecoder } from "../../../src/upstream/lean/hpack-decoder.ts";
import { huffmanCodes } from "../../../src/upstream/lean/huffman.ts";

/** Decodes one block: its fields as `name: value`, or undefined when it is none. */
export function decodeBlock(decoder: HpackDecoder, bytes: Buffer): string[] | undefined {
  const fields: string[] = [];
  const field = (name: string, value: string): void => void fields.push(`${name}: ${value}`);
  return decoder.decode(bytes, 0, bytes.length, { field }) ? fields : undefined;
}

/** An integer of HPACK (RFC 7541, 5.1), written by itself so that it can be wrong in its own way. */
export function integer(pattern: number, prefixBits: number, value: number): number[] {
  const most = 2 ** prefixBits - 1;
  if (value < most) return [pattern + value];
  const octets = [pattern + most];
  let rest = value - most;
  while (rest >= 128) {
    octets.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return [...octets, rest];
}

/** A string of HPACK, plain or Huffman-coded. */
export function text(value: string, isHuffman = false): number[] {
  const octets = [...Buffer.from(value, "latin1")];
  if (!isHuffman) return [...integer(0, 7, octets.length), ...octets];
  const coded = huffman(octets);
  return [...integer(0x80, 7, coded.length), ...coded];
}

/** The Huffman code of octets, padded with ones. */
export function huffman(octets: readonly number[]): number[] {
  let bits = "";
  for (const octet of octets) {
    const code = huffmanCodes[octet];
    if (code !== undefined) bits += code.bits.toString(2).padStart(code.length, "0");
  }
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return (bits.match(/.{8}/g) ?? []).map((each) => parseInt(each, 2));
}

/** A literal field with a new name; `first` is 0x40 (into the table), 0x00 or 0x10 (never indexed). */
export function literal(first: number, name: string, value: string, isHuffman = false): number[] {
  return [first, ...text(name, isHuffman), ...text(value, isHuffman)];
}
