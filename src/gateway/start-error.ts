/** The start could not be made; the message is one line for the operator. */
export class StartError extends Error {}

/** Whatever stopped the start, as a line for the operator. */
export function asStartError(error: unknown): StartError {
  return error instanceof StartError ? error : new StartError(reasonOf(error));
}

/** An error's own words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
