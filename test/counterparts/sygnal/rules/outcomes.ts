import type { Case } from "../case.ts";
import { rejectedOf } from "../difference.ts";
import { statusOf, type Both, type Rule } from "./rule.ts";

/** Requests whose whole outcome is another one. */
interface OutcomeRule extends Pick<Rule, "name" | "paragraph"> {
  /** The rows of the corpus that may show it. */
  readonly rows: readonly string[];
  readonly theirs: readonly (number | string)[];
  readonly ours: number;
  /** The pushkeys that ours rejects: none, or every one of the request. Absent: it is no notify answer. */
  readonly rejects?: "none" | "all";
  /** Ours sends more than theirs, or less; absent: as many. */
  readonly sends?: "more" | "less";
  /** Further conditions. */
  readonly when?: (request: Case) => boolean;
}

const titled =
  (pattern: RegExp) =>
  ({ title }: Case): boolean =>
    pattern.test(title);

const outcomes: readonly OutcomeRule[] = [
  {
    name: "a path below the endpoint is an unknown path",
    paragraph: "10.1 row 3",
    rows: ["10.1/3"],
    theirs: [200],
    ours: 404,
    sends: "less",
  },
  {
    name: "a byte order mark is read over",
    paragraph: "10.1 row 6",
    rows: ["10.1/6"],
    theirs: [400],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "JSON that is no object is the sender's mistake, not a crash",
    paragraph: "10.1 row 7",
    rows: ["10.1/7", "10.2/19"],
    theirs: [500],
    ours: 400,
  },
  {
    name: "a body over the limit is answered",
    paragraph: "10.1 row 11",
    rows: ["10.1/11"],
    theirs: ["cut"],
    ours: 413,
  },
  {
    name: "a body that never finishes is answered after ten seconds",
    paragraph: "10.1 row 12",
    rows: ["10.1/12"],
    theirs: ["silence"],
    ours: 408,
  },
  {
    name: "a lone surrogate becomes U+FFFD and is sent",
    paragraph: "10.1 row 15",
    rows: ["10.1/15"],
    theirs: [500],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a bad device does not keep the good ones from their push",
    paragraph: "10.2 row 20",
    rows: ["10.2/20"],
    theirs: [400, 500],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "an empty pushkey is rejected unasked",
    paragraph: "10.2 row 21",
    rows: ["10.2/21"],
    theirs: [200, 502],
    ours: 200,
    rejects: "all",
  },
  {
    name: "a pushkey that no upstream can have given out is rejected unasked",
    paragraph: "10.2 row 22",
    rows: ["10.2/22"],
    theirs: [200, 500, 502],
    ours: 200,
    rejects: "all",
    sends: "less",
  },
  {
    name: "of several patterns the most specific one serves the app",
    paragraph: "10.2 row 24",
    rows: ["10.2/24"],
    theirs: [200],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "the same device twice is one delivery",
    paragraph: "10.2 row 25",
    rows: ["10.2/25", "matrix-examples.json"],
    theirs: [200],
    ours: 200,
    sends: "less",
    when: (request) => request.row === "10.2/25" || /Five devices/.test(request.title),
  },
  {
    name: "a device that fails for now is promised, and the others get theirs at once",
    paragraph: "10.2 row 26, 4.6",
    rows: ["10.2/26"],
    theirs: [502],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "data that is null or no object is as if absent",
    paragraph: "10.2 row 27",
    rows: ["10.2/27"],
    theirs: [400],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "tweaks of a wrong type are ignored",
    paragraph: "10.2 row 28",
    rows: ["10.2/28"],
    theirs: [400],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a pushkey_ts of a wrong type is unknown",
    paragraph: "10.2 row 29",
    rows: ["10.2/29"],
    theirs: [400],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a default_payload that is the text of an object is that object",
    paragraph: "10.2 row 30",
    rows: ["10.2/30"],
    theirs: [200],
    ours: 200,
    rejects: "none",
    sends: "more",
    when: titled(/"\{/),
  },
  {
    name: "a nested default_payload is made what FCM takes",
    paragraph: "10.2 row 31",
    rows: ["10.2/31"],
    theirs: [502],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "what the upstream's limit leaves no room for is left out, and the rest is sent",
    paragraph: "10.2 row 33, 10.3 row 52",
    rows: ["10.2/33", "10.3/52"],
    theirs: [200, 500, 502],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a device token in hex is recognised",
    paragraph: "10.2 row 36",
    rows: ["10.2/36"],
    theirs: [200],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "what is no device token is rejected unasked",
    paragraph: "10.2 row 37",
    rows: ["10.2/37"],
    theirs: [200, 500, 502],
    ours: 200,
    rejects: "all",
    sends: "less",
    when: titled(/token [^-]/),
  },
  {
    name: "a device token in URL-safe base64 is recognised",
    paragraph: "10.2 row 36",
    rows: ["10.2/37"],
    theirs: [502],
    ours: 200,
    rejects: "none",
    sends: "more",
    when: titled(/token -_-_/),
  },
  {
    name: "a subscription that can never work is rejected",
    paragraph: "10.2 row 38",
    rows: ["10.2/38"],
    theirs: [500],
    ours: 200,
    rejects: "all",
  },
  {
    name: "private addresses are not asked",
    paragraph: "10.2 row 40",
    rows: ["10.2/40"],
    theirs: [500],
    ours: 200,
    rejects: "none",
  },
  {
    name: "counts that are null are absent",
    paragraph: "10.3 row 42",
    rows: ["10.3/42"],
    theirs: [500],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a badge update to zero reaches Android",
    paragraph: "10.3 row 43",
    rows: ["10.3/43", "other-homeservers.jsonl", "synapse.jsonl"],
    theirs: [200],
    ours: 200,
    rejects: "none",
    sends: "more",
    when: titled(/to zero|update to 0/),
  },
  {
    name: "a count that is no whole number from 0 is as if absent",
    paragraph: "10.3 row 44",
    rows: ["10.3/44"],
    theirs: [400],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "nothing to say is not sent",
    paragraph: "10.3 row 45",
    rows: ["10.3/45"],
    theirs: [200],
    ours: 200,
    rejects: "none",
    sends: "less",
  },
  {
    name: "a field of a wrong type is ignored",
    paragraph: "10.3 row 47",
    rows: ["10.3/47"],
    theirs: [500],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a call whose offer is no object is a voice call",
    paragraph: "10.3 row 49",
    rows: ["10.3/49"],
    theirs: [500],
    ours: 200,
    rejects: "none",
    sends: "more",
  },
  {
    name: "a payload that an upstream refuses is not repeated for a day",
    paragraph: "10.4 row 57",
    rows: ["10.4/57"],
    theirs: [502],
    ours: 200,
    rejects: "none",
  },
  {
    name: "an encrypted push (MSC3013) is handed on",
    paragraph: "8",
    rows: ["matrix-examples.json"],
    theirs: [200],
    ours: 200,
    rejects: "none",
    sends: "more",
    when: titled(/Encrypted push/),
  },
];

/** Whether the whole outcome is the one that the rule describes. */
function isOutcome(rule: OutcomeRule, request: Case, { theirs, ours }: Both): boolean {
  if (!rule.rows.includes(request.row) || rule.when?.(request) === false) return false;
  if (!rule.theirs.includes(statusOf(theirs)) || statusOf(ours) !== rule.ours) return false;
  const rejected = rejectedOf(ours.answer);
  if (rule.rejects === "none" && rejected?.length !== 0) return false;
  return rule.rejects !== "all" || (rejected?.length ?? 0) > 0;
}

/** As rules for single differences: of the answer, and of what was sent in one direction. */
export const outcomeRules: readonly Rule[] = outcomes.map((rule) => ({
  name: rule.name,
  paragraph: rule.paragraph,
  fits({ what, theirs, ours }, request, both) {
    if (!isOutcome(rule, request, both)) return false;
    switch (what) {
      case "status":
      case "body":
      case "rejected":
        return true;
      case "pushes":
        if (rule.sends === "more") return theirs === undefined;
        return rule.sends === "less" && ours === undefined;
      case "content-type":
      case "header":
      case "payload":
        return false;
    }
  },
}));
