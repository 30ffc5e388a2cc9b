const UNITS_MS = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);
const DURATION = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)?$/;
/** Ten years: what a longer one would mean is a slip. */
const MAX_MS = 3650 * 86_400_000;

/**
 * `500ms`, `5s`, `10m`, `24h`, `30d`, or a number of seconds (as a number or as text), in milliseconds.
 * Undefined when it is none of these or longer than ten years.
 */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const match = DURATION.exec(String(value).trim());
  if (match === null) return undefined;
  const ms = Math.round(Number(match[1]) * (UNITS_MS.get(match[2] ?? "s") ?? 0));
  return ms <= MAX_MS ? ms : undefined;
}
