const MIN_MS = 1_000;
const MAX_MS = 60 * 60 * 1_000;

/**
 * A Retry-After header in milliseconds from now: seconds or an HTTP date, clamped to between a second and an hour
 * (reliability.md UF06). Undefined when it is absent or neither.
 */
export function retryAfterMs(
  header: string | readonly string[] | undefined,
  nowMs: number,
): number | undefined {
  const value = (typeof header === "string" ? header : header?.at(-1))?.trim();
  if (value === undefined || value === "" || value.length > 64) return undefined;
  // A number that is no number of seconds must not be taken for a date: Date.parse reads nearly anything.
  const waitMs = /^[-+]?\d+(\.\d+)?(e\d+)?$/i.test(value)
    ? Number(value) * 1_000
    : /^[A-Za-z]{3,9},/.test(value)
      ? Date.parse(value) - nowMs
      : Number.NaN;
  return Number.isNaN(waitMs) ? undefined : Math.min(MAX_MS, Math.max(MIN_MS, waitMs));
}
