import { costOf, truncateText, type Cost } from "./truncate.ts";

/** A form in which the text stands so often, within so many bytes; each of its bytes counts as `cost` says. */
export interface TextRoom {
  readonly maxBytes: number;
  readonly copies: number;
  readonly cost: Cost;
}

/**
 * What `build` makes of the text, cut at a character boundary with `…` behind it as far as the whole must be shorter;
 * undefined when cutting the text is not enough.
 *
 * @param bytesOf counts what `build` made; it grows with each copy of the text by the text's cost
 */
export function fitText<T>(
  text: string | undefined,
  build: (text: string | undefined) => T,
  bytesOf: (built: T) => number,
  { maxBytes, copies, cost }: TextRoom,
): T | undefined {
  const whole = build(text);
  const excess = bytesOf(whole) - maxBytes;
  if (excess <= 0) return whole;
  if (text === undefined || text === "") return undefined;
  const room = costOf(text, cost) - Math.ceil(excess / copies);
  const cut = room < MIN_TEXT_BYTES ? undefined : build(truncateText(text, room, cost));
  return cut !== undefined && bytesOf(cut) <= maxBytes ? cut : undefined;
}

/** The ellipsis alone. */
const MIN_TEXT_BYTES = 3;
