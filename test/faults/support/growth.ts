/** So many windows are looked at before a growth counts. */
const WINDOWS = 6;

/**
 * By how much a level of memory grows from one window of work to the next, at the least: what is kept of the work is
 * kept in every window, while the allocator's pools and the machine's other work let it grow now and then. Ends with
 * the first growth within the limit.
 *
 * @param level does one window of the work, and says where memory stands
 */
export async function leastGrowth(level: () => Promise<number>, limitBytes: number): Promise<number> {
  let least = Infinity;
  let before = await level();
  for (let i = 1; i < WINDOWS && least > limitBytes; i += 1) {
    const after = await level();
    least = Math.min(least, after - before);
    before = after;
  }
  return least;
}

/** A growth for the table, such as `+1.8 MB`. */
export function inMegabytes(bytes: number): string {
  return `${bytes >= 0 ? "+" : ""}${(bytes / 2 ** 20).toFixed(1)} MB`;
}
