import { isJsonObject, type JsonValue } from "../../../src/json.ts";
import { comparedHeaders, type Answer, type Observed, type Sent } from "./case.ts";

/** One thing in which two gateways differ about a request. */
export interface Difference {
  readonly what: "status" | "content-type" | "body" | "rejected" | "pushes" | "header" | "payload";
  /** The header's name, or the place in the payload. `pushes`: the upstream. */
  readonly place: string;
  /** Absent: it is not there. */
  readonly theirs: JsonValue | undefined;
  readonly ours: JsonValue | undefined;
}

/** All differences; none when both did the same. The order of keys and spaces in JSON is none. */
export function differences(theirs: Observed, ours: Observed): readonly Difference[] {
  return [...answerDifferences(theirs.answer, ours.answer), ...sentDifferences(theirs.sent, ours.sent)];
}

function answerDifferences(theirs: Answer, ours: Answer): readonly Difference[] {
  const status = differ("status", "", statusOf(theirs), statusOf(ours));
  if (theirs.kind !== "answer" || ours.kind !== "answer") return status;
  const type = differ("content-type", "", theirs.contentType, ours.contentType);
  const [rejectedTheirs, rejectedOurs] = [rejectedOf(theirs), rejectedOf(ours)];
  if (rejectedTheirs !== undefined && rejectedOurs !== undefined)
    return [...type, ...differ("rejected", "", [...rejectedTheirs].sort(), [...rejectedOurs].sort())];
  return [...status, ...type, ...differ("body", "", theirs.body, ours.body)];
}

function statusOf(answer: Answer): JsonValue {
  return answer.kind === "answer" ? answer.status : answer.kind;
}

/** The list of a notify answer, or undefined when it is none. */
export function rejectedOf(answer: Answer): readonly string[] | undefined {
  if (answer.kind !== "answer" || answer.status !== 200) return undefined;
  try {
    const body = JSON.parse(answer.body) as JsonValue;
    const list = isJsonObject(body) ? body["rejected"] : undefined;
    return Array.isArray(list) ? (list as string[]) : undefined;
  } catch {
    return undefined;
  }
}

function sentDifferences(theirs: readonly Sent[], ours: readonly Sent[]): readonly Difference[] {
  const left = [...ours];
  const found: Difference[] = [];
  for (const sent of theirs) {
    const index = left.findIndex((each) => each.upstream === sent.upstream && each.token === sent.token);
    const [match] = index < 0 ? [] : left.splice(index, 1);
    if (match === undefined)
      found.push({ what: "pushes", place: sent.upstream, theirs: sent.payload, ours: undefined });
    else found.push(...pushDifferences(sent, match));
  }
  for (const sent of left)
    found.push({ what: "pushes", place: sent.upstream, theirs: undefined, ours: sent.payload });
  return found;
}

function pushDifferences(theirs: Sent, ours: Sent): readonly Difference[] {
  const headers = comparedHeaders[theirs.upstream].flatMap((name) =>
    differ("header", name, theirs.headers[name], ours.headers[name]),
  );
  return [...headers, ...payloadDifferences("", theirs.payload, ours.payload)];
}

function payloadDifferences(
  place: string,
  theirs: JsonValue | undefined,
  ours: JsonValue | undefined,
): readonly Difference[] {
  if (isJsonObject(theirs) && isJsonObject(ours)) {
    const keys = new Set([...Object.keys(theirs), ...Object.keys(ours)]);
    return [...keys].flatMap((key) => payloadDifferences(`${place}/${key}`, theirs[key], ours[key]));
  }
  if (Array.isArray(theirs) && Array.isArray(ours) && theirs.length === ours.length)
    return theirs.flatMap((each, index) =>
      payloadDifferences(`${place}/${index}`, each as JsonValue, ours[index] as JsonValue),
    );
  return differ("payload", place, theirs, ours);
}

function differ(
  what: Difference["what"],
  place: string,
  theirs: JsonValue | undefined,
  ours: JsonValue | undefined,
): readonly Difference[] {
  return JSON.stringify(theirs) === JSON.stringify(ours) ? [] : [{ what, place, theirs, ours }];
}
