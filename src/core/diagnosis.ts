/**
 * `ok` as it should be · `warning` works and will disappoint · `failed` pushes do not arrive, or something is open that
 * must not be · `skipped` could not be looked at, because of a line above it or because there is nothing to ask.
 */
export type DiagnosisVerdict = "ok" | "warning" | "failed" | "skipped";

/** One thing that was looked at, live, and what to do about it. Holds no secret and no text of a stranger's. */
export interface Diagnosis {
  /** What was looked at, in a word or two: `name`, `TLS`, `credentials`. */
  readonly check: string;
  readonly verdict: DiagnosisVerdict;
  /** What was found; a sentence without its full stop. */
  readonly finding: string;
  /** What to do about it; there whenever the verdict is `warning` or `failed`. */
  readonly remedy?: string;
}

export function ok(check: string, finding: string): Diagnosis {
  return { check, verdict: "ok", finding };
}

export function warning(check: string, finding: string, remedy: string): Diagnosis {
  return { check, verdict: "warning", finding, remedy };
}

export function failed(check: string, finding: string, remedy: string): Diagnosis {
  return { check, verdict: "failed", finding, remedy };
}

export function skipped(check: string, finding: string): Diagnosis {
  return { check, verdict: "skipped", finding };
}

const DAY_MS = 86_400_000;
/** Renewing at Apple or at a CA takes people; that is how long before the end they are told. */
const SOON_DAYS = 30;

/** A certificate's end, as a line. `validTo` in milliseconds since 1970. */
export function expiry(
  check: string,
  what: string,
  validToMs: number,
  nowMs: number,
  remedy: string,
): Diagnosis {
  const day = new Date(validToMs).toISOString().slice(0, 10);
  const days = Math.floor((validToMs - nowMs) / DAY_MS);
  if (validToMs <= nowMs) return failed(check, `${what} expired on ${day}`, remedy);
  const left = `${what} is valid until ${day} (${days} ${days === 1 ? "day" : "days"})`;
  return days < SOON_DAYS ? warning(check, left, remedy) : ok(check, left);
}
