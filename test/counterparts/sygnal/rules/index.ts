import type { Case } from "../case.ts";
import { differences, type Difference } from "../difference.ts";
import { detailRules } from "./details.ts";
import { outcomeRules } from "./outcomes.ts";
import type { Both, Rule } from "./rule.ts";

/** Every deliberate difference. */
export const rules: readonly Rule[] = [...outcomeRules, ...detailRules];

/** What came of one request's comparison. */
export interface Judged {
  readonly request: Case;
  /** The rules that fired, each once for each difference. Empty, with no unexpected ones: both did the same. */
  readonly fired: readonly Rule[];
  readonly unexpected: readonly Difference[];
}

/** Names every difference, or says that nobody did. */
export function judge(request: Case, both: Both): Judged {
  const fired: Rule[] = [];
  const unexpected: Difference[] = [];
  for (const difference of differences(both.theirs, both.ours)) {
    const rule = rules.find((each) => each.fits(difference, request, both));
    if (rule === undefined) unexpected.push(difference);
    else fired.push(rule);
  }
  return { request, fired, unexpected };
}
