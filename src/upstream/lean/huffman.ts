/**
 * The lengths of the codes of the 256 octets and of EOS (RFC 7541, appendix B). The code is canonical: codes of one
 * length count upwards in the order of their octets, so the lengths are all of it.
 */
// prettier-ignore
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const eos = 256;

/** One symbol's code: its low `length` bits. */
export interface HuffmanCode {
  readonly bits: number;
  readonly length: number;
}

/** The code of each octet, then of EOS. */
export const huffmanCodes: readonly HuffmanCode[] = canonicalCodes();

function canonicalCodes(): readonly HuffmanCode[] {
  const codes: HuffmanCode[] = [];
  const inOrder = lengths.map((length, symbol) => ({ length, symbol }));
  inOrder.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let bits = 0;
  let before = inOrder[0]?.length ?? 0;
  for (const { length, symbol } of inOrder) {
    bits *= 2 ** (length - before);
    before = length;
    codes[symbol] = { bits, length };
    bits += 1;
  }
  return codes;
}

/*
 * A machine that eats four bits a step. A state is a node within the code's tree (there are 256), 0 its root. Codes
 * have five bits at least, so a step ends one at most. An entry: the next state, the octet, and the flags.
 */
const emits = 0x1_0000;
const fails = 0x2_0000;
const steps = new Uint32Array(256 * 16);
/** States where a string may end: within a part of EOS of less than eight bits (RFC 7541, 5.2). */
const mayEnd = new Uint8Array(256);

buildMachine();

function buildMachine(): void {
  // Two children a node: a node's number, or for a leaf -1 - symbol.
  const children: [number | undefined, number | undefined][] = [[undefined, undefined]];
  huffmanCodes.forEach(({ bits, length }, symbol) => {
    let node = 0;
    for (let depth = length - 1; depth >= 0; depth -= 1) {
      const bit = Math.floor(bits / 2 ** depth) & 1;
      const pair = children[node] ?? [undefined, undefined];
      if (depth === 0) pair[bit] = -1 - symbol;
      else node = pair[bit] ??= children.push([undefined, undefined]) - 1;
    }
  });
  for (let state = 0; state < 256; state += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      let node = state;
      let entry = 0;
      for (let shift = 3; shift >= 0; shift -= 1) {
        const next = children[node]?.[(nibble >> shift) & 1] ?? 0;
        if (next >= 0) {
          node = next;
          continue;
        }
        const symbol = -1 - next;
        // EOS within a string is an error (RFC 7541, 5.2).
        entry |= symbol === eos ? fails : emits | (symbol << 8);
        node = 0;
      }
      steps[state * 16 + nibble] = entry | node;
    }
  }
  let node = 0;
  for (let depth = 0; depth < 8; depth += 1) {
    mayEnd[node] = 1;
    node = children[node]?.[1] ?? 0;
  }
}

/** Filled anew by each call. */
let scratch = Buffer.allocUnsafeSlow(1024);

/** The octets of a Huffman-coded string as Latin-1 text; undefined when it is none. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  // The shortest code has five bits.
  const most = Math.ceil(((end - start) * 8) / 5);
  const out = most <= scratch.length ? scratch : Buffer.allocUnsafeSlow(most);
  if (out.length <= 16 * 1024) scratch = out;
  let state = 0;
  let length = 0;
  let flags = 0;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    let entry = steps[state * 16 + (octet >> 4)] ?? fails;
    flags |= entry;
    if ((entry & emits) !== 0) {
      out[length] = (entry >> 8) & 0xff;
      length += 1;
    }
    entry = steps[(entry & 0xff) * 16 + (octet & 0x0f)] ?? fails;
    flags |= entry;
    if ((entry & emits) !== 0) {
      out[length] = (entry >> 8) & 0xff;
      length += 1;
    }
    state = entry & 0xff;
  }
  if ((flags & fails) !== 0 || mayEnd[state] === 0) return undefined;
  return out.toString("latin1", 0, length);
}
