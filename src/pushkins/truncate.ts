/** Stands where text was cut off; 3 bytes in UTF-8. */
const ELLIPSIS = "…";
const ELLIPSIS_BYTES = 3;
/** A user-perceived character longer than this is cut between its code points rather than searched for. */
const MAX_CHARACTER_LENGTH = 64;

/** Bytes of one code point as it is sent. */
export type Cost = (codePoint: number) => number;

/** Bytes in UTF-8. */
export const utf8Cost: Cost = (codePoint) =>
  codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x1_0000 ? 3 : 4;

/** Bytes within a JSON string in UTF-8, where quotes, backslashes and control characters are escaped. */
export const jsonCost: Cost = (codePoint) => {
  if (codePoint === 0x22 || codePoint === 0x5c) return 2;
  if (codePoint >= 0x20) return utf8Cost(codePoint);
  const short =
    codePoint === 0x08 ||
    codePoint === 0x09 ||
    codePoint === 0x0a ||
    codePoint === 0x0c ||
    codePoint === 0x0d;
  return short ? 2 : 6;
};

/**
 * The text within `maxBytes`: unchanged when it fits, else cut at a character boundary with `…` behind it
 * (sygnal-compat 11.4). Looks at no more of the text than can be kept.
 */
export function truncateText(text: string, maxBytes: number, cost: Cost = utf8Cost): string {
  if (text.length <= maxBytes && costOf(text, cost) <= maxBytes) return text;
  const room = maxBytes - ELLIPSIS_BYTES;
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += cost(character.codePointAt(0) ?? 0);
    if (bytes > room) break;
    end += character.length;
  }
  return text.slice(0, characterBoundary(text, end)) + ELLIPSIS;
}

/**
 * Shortens texts until together they cost at least `excessBytes` less. The longest give first and all end level, so
 * that several shrink evenly (sygnal-compat 10.5); what was shortened ends in `…` (matrix-push 9.13). Linear in the
 * texts' length. Undefined when they cannot give that much.
 */
export function shortenTexts(
  texts: readonly string[],
  excessBytes: number,
  cost: Cost,
): readonly string[] | undefined {
  const costs = texts.map((text) => costOf(text, cost));
  const total = costs.reduce((sum, each) => sum + each, 0);
  const level = levelFor(costs, total - excessBytes);
  if (texts.length === 0 || level < ELLIPSIS_BYTES) return undefined;
  return texts.map((text, index) => ((costs[index] ?? 0) > level ? truncateText(text, level, cost) : text));
}

/** The greatest level with which the sum of min(size, level) is within the budget. */
function levelFor(sizes: readonly number[], budget: number): number {
  const ascending = sizes.toSorted((a, b) => a - b);
  let left = budget;
  for (const [index, size] of ascending.entries()) {
    const share = Math.floor(left / (ascending.length - index));
    if (size > share) return share;
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}

/** Bytes that the text costs as it is sent. */
export function costOf(text: string, cost: Cost): number {
  if (cost === utf8Cost) return Buffer.byteLength(text);
  let bytes = 0;
  for (const character of text) bytes += cost(character.codePointAt(0) ?? 0);
  return bytes;
}

/** Made with the first text that is too long, since making it takes long. */
let characters: Intl.Segmenter | undefined;

/** The last boundary between user-perceived characters that is not after `end`: no family is torn apart. */
function characterBoundary(text: string, end: number): number {
  if (end <= 0 || end >= text.length) return Math.max(0, Math.min(end, text.length));
  const from = windowStart(text, Math.max(0, end - MAX_CHARACTER_LENGTH));
  const around = text.slice(from, end + MAX_CHARACTER_LENGTH);
  characters ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  const segment = characters.segment(around).containing(end - from);
  if (segment === undefined || segment.index === end - from) return end;
  // A character that reaches back beyond what was looked at is cut between code points.
  return segment.index === 0 && from > 0 ? end : from + segment.index;
}

/** Not within a code point, and not within a flag: its two letters pair up from the first of the row. */
function windowStart(text: string, near: number): number {
  const start = near > 0 && isLowSurrogate(text.charCodeAt(near)) ? near - 1 : near;
  let row = start;
  while (row >= 2 && isFlagLetter(text.codePointAt(row - 2) ?? 0)) row -= 2;
  // A flag has four UTF-16 units.
  return (start - row) % 4 === 0 ? start : start - 2;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function isFlagLetter(codePoint: number): boolean {
  return codePoint >= 0x1f1e6 && codePoint <= 0x1f1ff;
}
