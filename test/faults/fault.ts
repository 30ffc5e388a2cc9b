/** One row of the fault catalogue (reliability 2), as something that can be run. */
export interface Fault {
  /** Its number in the catalogue, such as `UA10`. */
  readonly number: string;
  /** What is done to the gateway, in a few words. */
  readonly fault: string;
  /** 1 = every commit, 2 = nightly. */
  readonly tier: 1 | 2;
  /** Part of the short selection; `only` = a short form that stands for a longer row there. */
  readonly ci?: true | "only";
  /**
   * Spends much of its time waiting: runs beside others of its kind. `idle`: nearly all of it, and measures nothing that
   * is short: runs beside any other.
   */
  readonly waits?: true | "idle";
  /** After this it counts as failed. Default 120 s: only what hangs takes so long. */
  readonly limitMs?: number;
  /** Makes the fault happen and throws unless what is expected holds. Resolves with the figure for the table. */
  run(): Promise<string>;
}

/** How a row ended. */
export type Result =
  | { readonly kind: "passed"; readonly figure: string }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "skipped"; readonly reason: string };

/** Thrown by a row that cannot be run on this machine. */
export class Skip extends Error {}

/** Ends a row as skipped, with the reason for the table. */
export function skip(reason: string): never {
  throw new Skip(reason);
}

/** After so many milliseconds a row counts as failed. */
export function limitOf({ limitMs }: Fault): number {
  return limitMs ?? 120_000;
}

/** Runs one row to its end or its time limit. Never rejects. */
export async function runFault(fault: Fault): Promise<Result & { readonly tookMs: number }> {
  const startedMs = performance.now();
  const limitMs = limitOf(fault);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no end within ${limitMs / 1_000} s`)), limitMs);
  const result = await Promise.race([fault.run(), late]).then(
    (figure): Result => ({ kind: "passed", figure }),
    (error: unknown): Result =>
      error instanceof Skip
        ? { kind: "skipped", reason: error.message }
        : { kind: "failed", reason: error instanceof Error ? (error.stack ?? error.message) : String(error) },
  );
  clearTimeout(timer);
  return { ...result, tookMs: performance.now() - startedMs };
}
