import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/** How a push's request ended, as its sender saw it. */
export type Heard = "ok" | "rejected" | "refused" | "nothing";

/** One file that is only ever appended to; what was written survives the process. */
export class AppendOnly {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "a", 0o600);
  }

  write(...words: readonly (string | number)[]): void {
    writeSync(this.#fd, `${words.join(" ")}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** What senders did and heard, one line each: `begin ID ms` and `ok|rejected|refused|nothing ID ms`. */
export interface SentLedger {
  readonly begun: ReadonlyMap<string, number>;
  /** When and how it was answered. */
  readonly heard: ReadonlyMap<string, { readonly how: Heard; readonly atMs: number }>;
}

/** What upstreams got: `accepted|refused ID UPSTREAM-ID ms`. */
export interface ReceivedLedger {
  /** Every time that a push was taken, oldest first. */
  readonly accepted: ReadonlyMap<string, readonly { readonly upstreamId: string; readonly atMs: number }[]>;
  /** Requests, taken or not. */
  readonly requests: number;
  /** Pushes that were tried at least once. */
  readonly ids: ReadonlySet<string>;
  /** How often one push was tried. */
  times(id: string): number;
  /** Requests that were not taken, since then. */
  refusedAfter(atMs: number): number;
}

/** The four sums of Jepsen's total-queue checker, and what a failure needs to be looked into. */
export interface Balance {
  readonly begun: number;
  /** Answered 2xx. */
  readonly acknowledged: number;
  /** Acknowledged, but neither received nor recorded as ended otherwise. */
  readonly lost: readonly string[];
  /** Received, but never sent. */
  readonly unexpected: readonly string[];
  /** Received more than once: how many times too often in all. */
  readonly duplicated: number;
  /** Of these, second hand-overs that carried another upstream id than the first (P2 forbids it). */
  readonly changedId: readonly string[];
  /** Not acknowledged, but received. */
  readonly recovered: number;
}

const lines = (path: string): readonly (readonly string[])[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(" "));

export function readSent(path: string): SentLedger {
  const begun = new Map<string, number>();
  const heard = new Map<string, { how: Heard; atMs: number }>();
  for (const [how = "", id = "", at = ""] of lines(path)) {
    if (how === "begin") begun.set(id, Number(at));
    else heard.set(id, { how: how as Heard, atMs: Number(at) });
  }
  return { begun, heard };
}

export function readReceived(path: string): ReceivedLedger {
  const accepted = new Map<string, { upstreamId: string; atMs: number }[]>();
  const tries = new Map<string, number>();
  const refused: number[] = [];
  let requests = 0;
  for (const [how, id = "", upstreamId = "", at = ""] of lines(path)) {
    requests += 1;
    tries.set(id, (tries.get(id) ?? 0) + 1);
    if (how !== "accepted") {
      refused.push(Number(at));
      continue;
    }
    const times = accepted.get(id) ?? [];
    times.push({ upstreamId, atMs: Number(at) });
    accepted.set(id, times);
  }
  return {
    accepted,
    requests,
    ids: new Set(tries.keys()),
    times: (id) => tries.get(id) ?? 0,
    refusedAfter: (atMs) => refused.filter((each) => each >= atMs).length,
  };
}

/**
 * Compares the two ledgers.
 *
 * @param endedOtherwise how many promised pushes are recorded as rejected, expired or dropped: that many of the
 * acknowledged may not have been received
 */
export function balance(sent: SentLedger, received: ReceivedLedger, endedOtherwise = 0): Balance {
  const missing: string[] = [];
  let acknowledged = 0;
  let recovered = 0;
  for (const id of sent.begun.keys()) {
    const how = sent.heard.get(id)?.how;
    if (how === "ok") {
      acknowledged += 1;
      if (!received.accepted.has(id)) missing.push(id);
    } else if (received.accepted.has(id)) recovered += 1;
  }
  let duplicated = 0;
  const changedId: string[] = [];
  for (const [id, times] of received.accepted) {
    duplicated += times.length - 1;
    if (new Set(times.map(({ upstreamId }) => upstreamId)).size > 1) changedId.push(id);
  }
  return {
    begun: sent.begun.size,
    acknowledged,
    lost: missing.slice(endedOtherwise),
    unexpected: [...received.accepted.keys()].filter((id) => !sent.begun.has(id)),
    duplicated,
    changedId,
    recovered,
  };
}

/** Acknowledged before this moment and not with the upstream by then: what a crash would lose of a lesser gateway. */
export function owedAt(sent: SentLedger, received: ReceivedLedger, atMs: number): number {
  let owed = 0;
  for (const [id, { how, atMs: heardMs }] of sent.heard) {
    if (how !== "ok" || heardMs > atMs) continue;
    const first = received.accepted.get(id)?.[0];
    if (first === undefined || first.atMs > atMs) owed += 1;
  }
  return owed;
}

/** Nothing lost, nothing unexpected, and every attempt of one push under one id (P1, P2). */
export function expectKept({ acknowledged, changedId, lost, unexpected }: Balance): void {
  const some = (ids: readonly string[]): string => ids.slice(0, 3).join(", ");
  assert.equal(lost.length, 0, `${lost.length} of ${acknowledged} acknowledged are lost: ${some(lost)}`);
  assert.equal(
    unexpected.length,
    0,
    `${unexpected.length} were received that nobody sent: ${some(unexpected)}`,
  );
  assert.equal(changedId.length, 0, `${changedId.length} went out under two ids: ${some(changedId)}`);
}
