import { table } from "../support/table.ts";
import type { Judged } from "./rules/index.ts";
import { rules } from "./rules/index.ts";

/** What a comparison came to, in numbers. */
export interface Summary {
  readonly requests: number;
  /** Both did the same, but for what differs everywhere. */
  readonly equal: number;
  /** They differ, and each difference has a rule's name. */
  readonly better: number;
  readonly unexpected: readonly Judged[];
  /** In how many requests each rule fired. */
  readonly fired: readonly RuleCount[];
}

interface RuleCount {
  readonly name: string;
  readonly paragraph: string;
  readonly everywhere: boolean;
  readonly requests: number;
}

export function summarise(judged: readonly Judged[]): Summary {
  const unexpected = judged.filter((each) => each.unexpected.length > 0);
  const expected = judged.filter((each) => each.unexpected.length === 0);
  const isEqual = ({ fired }: Judged): boolean => fired.every(({ everywhere }) => everywhere === true);
  const counts = new Map<string, RuleCount>();
  for (const { name, paragraph, everywhere } of rules) {
    const known = counts.get(name);
    const requests = judged.filter(({ fired }) => fired.some((rule) => rule.name === name)).length;
    // One name may stand for the same thing in an answer and in a payload.
    if (known === undefined) counts.set(name, { name, paragraph, everywhere: everywhere === true, requests });
  }
  return {
    requests: judged.length,
    equal: expected.filter(isEqual).length,
    better: expected.filter((each) => !isEqual(each)).length,
    unexpected,
    fired: [...counts.values()],
  };
}

/** For a terminal. */
export function asText(summary: Summary): string {
  const { requests, equal, better, unexpected, fired } = summary;
  const rows = (everywhere: boolean): string =>
    table(
      ["rule", "matrix-push", "requests"],
      fired
        .filter((rule) => rule.everywhere === everywhere)
        .map(({ name, paragraph, requests: count }) => [name, paragraph, count]),
    );
  const strange = unexpected.flatMap(({ request, unexpected: list }) =>
    list.map(
      ({ what, place, theirs, ours }) =>
        `UNEXPECTED ${request.row} ${request.title}: ${what} ${place} ${brief(theirs)} -> ${brief(ours)}`,
    ),
  );
  return [
    `Better by rule:\n${rows(false)}`,
    `Different everywhere, which alone does not count:\n${rows(true)}`,
    ...strange,
    `${requests} requests: ${equal} equal, ${better} better by rule, ${unexpected.length} unexpected`,
  ].join("\n\n");
}

/** Rules that never fired, which is a rule too many or a request too few. */
export function idleRules({ fired }: Summary): readonly string[] {
  return fired.filter(({ requests }) => requests === 0).map(({ name }) => name);
}

/** For the page about moving. */
export function asMarkdown(summary: Summary, against: string): string {
  const { requests, equal, better, unexpected, fired } = summary;
  const rows = (everywhere: boolean): string =>
    fired
      .filter((rule) => rule.everywhere === everywhere)
      .map((rule) => `| ${rule.name} | ${rule.paragraph} | ${rule.requests} |`)
      .join("\n");
  const head = "| what Signalbox does instead | matrix-push | requests |\n| --- | --- | --: |";
  return [
    `Compared with **${against}**. Of ${requests} requests ${equal} came to the same, ${better} to something better by a` +
      ` rule that is named here, and ${unexpected.length} to something else.`,
    `What an app or a homeserver may notice:\n\n${head}\n${rows(false)}`,
    `What differs in every answer or push of its kind:\n\n${head}\n${rows(true)}`,
  ].join("\n\n");
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 90 ? `${text.slice(0, 90)}…` : text;
}
