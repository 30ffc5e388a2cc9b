import type { Statements } from "./sqlite-connection.ts";
import type { Digest } from "./store.ts";

/** One thing that the writer thread can be asked for. Arguments and result must survive a structured clone. */
export interface Operation<Args, Result> {
  /** Runs inside the turn's transaction and is answered after its commit; else before it, outside of any. */
  readonly writes: boolean;
  readonly run: (db: Statements, args: Args) => Result;
}

/** An operation that only reads. */
export const read = <Args, Result>(run: Operation<Args, Result>["run"]): Operation<Args, Result> => ({
  writes: false,
  run,
});

/** An operation that changes something. */
export const write = <Args, Result>(run: Operation<Args, Result>["run"]): Operation<Args, Result> => ({
  writes: true,
  run,
});

/** A digest as the database keeps it. */
export const blob = (digest: Digest): Buffer => Buffer.from(digest, "hex");
