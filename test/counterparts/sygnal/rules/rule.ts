import type { Case, Observed } from "../case.ts";
import type { Difference } from "../difference.ts";

/** A deliberate difference: what it is, and where it is written that this is right. */
export interface Rule {
  /** In the words of an operator: what is better. */
  readonly name: string;
  /** Section and row of matrix-push. */
  readonly paragraph: string;
  /** It shows in every answer or push of its kind, so a request where nothing else differs counts as equal. */
  readonly everywhere?: true;
  /** Whether this difference is just what the rule says, in both directions. */
  fits(difference: Difference, request: Case, seen: Both): boolean;
}

/** What both did about one request. */
export interface Both {
  readonly theirs: Observed;
  readonly ours: Observed;
}

/** The status, or how it ended without one. */
export function statusOf({ answer }: Observed): number | string {
  return answer.kind === "answer" ? answer.status : answer.kind;
}
