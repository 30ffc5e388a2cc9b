import type { Clock } from "../clock.ts";
import type { App } from "../core/app.ts";
import { RETIRED_APP_HOLD_MS } from "../core/retired-apps.ts";
import type { CircuitState } from "../core/upstream-health.ts";
import type { Digest, KnownApp, PastOutcome, Store } from "../store/store.ts";
import type { History } from "./history.ts";
import { wordsForRefusal } from "./refusal-words.ts";
import type { Refusal, Refusals } from "./refusals.ts";
import { upstreamName, wordsFor, type Words } from "./words.ts";

/** What explanations are made from. */
export interface ExplainerSources {
  readonly history: History;
  readonly refusals: Pick<Refusals, "find">;
  readonly store: Pick<Store, "rejections" | "knownApps">;
  readonly digests: {
    device(app: string, pushkey: string): Digest;
    event(eventId: string): Digest;
  };
  readonly clock: Clock;
  /** The apps of the moment. */
  readonly apps: () => ReadonlyMap<string, App>;
  readonly circuits: () => readonly CircuitState[];
}

/** What became of one push, for a support person. */
export interface ExplainedPush {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** The app's key in the configuration; empty when none was found. */
  readonly app: string;
  readonly upstream: string;
  readonly outcome: PastOutcome["kind"];
  readonly reason: string;
  readonly status?: number;
  readonly attempts: number;
  /** As the log names the device. */
  readonly device: string;
  readonly what: string;
  readonly todo: string;
}

/** A request that was refused, so that there is no push of it. */
export interface ExplainedRefusal {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly status: number;
  /** The stable name of the refusal, as the log has it; absent when a door refused by an answer of its own. */
  readonly reason?: string;
  readonly method: string;
  readonly path?: string;
  readonly what: string;
  readonly todo: string;
}

/** An answer to "why did this phone stay silent?". */
export interface Explanation {
  readonly found: boolean;
  /** All of it in plain words, several lines. */
  readonly text: string;
  readonly pushes: readonly ExplainedPush[];
  /** Given when the subject is a request that was refused. */
  readonly refused?: ExplainedRefusal;
  /** How things stand for the devices and apps concerned, a sentence each. */
  readonly now: readonly string[];
}

/** Pushes of a device that are told of: the latest. */
const MAX_OF_DEVICE = 20;
/** Pushes that are looked through, and of an event or a request told of: as many devices as one may have, and more. */
const MAX_LOOKED_THROUGH = 500;
/** Hex digits of a device's digest, as in the log. */
const DEVICE_DIGITS = 8;

/** Says what became of a device's pushes, of an event, or of a request, whichever the subject is. Rejects with `StoreError`. */
export async function explain(subject: string, sources: ExplainerSources): Promise<Explanation> {
  const { clock, digests, history, store } = sources;
  const known = await store.knownApps.all();
  const names = [...new Set([...sources.apps().keys(), ...known.map(({ app }) => app)])];
  const devices = names.flatMap((app) =>
    spellingsOf(subject, sources.apps().get(app)).map(
      (pushkey) => [app, digests.device(app, pushkey)] as const,
    ),
  );
  const [ofDevice, ofEvent, ofRequest, verdicts] = await Promise.all([
    // An app_id that is not configured has its devices under no app.
    history.find(
      { devices: [...devices.map(([, device]) => device), digests.device("", subject)] },
      MAX_LOOKED_THROUGH,
    ),
    history.find({ event: digests.event(subject) }, MAX_LOOKED_THROUGH),
    history.find({ id: subject }, MAX_LOOKED_THROUGH),
    verdictsOn(devices, sources),
  ]);
  const nowMs = clock.now();
  const outcomes = [
    ...new Map(
      [...ofDevice.slice(0, MAX_OF_DEVICE), ...ofEvent, ...ofRequest].map((each) => [each.push, each]),
    ).values(),
  ];
  const pushes = outcomes.map((outcome) => explained(outcome, nowMs));
  const concerned = new Set([...outcomes.map(({ app }) => app), ...verdicts.map(({ app }) => app)]);
  const waiting = ofDevice.filter(
    // One without a reason came beside an equal one, which is the one that waits.
    ({ expiresAtMs, kind, reason }) => kind === "accepted" && reason !== "" && expiresAtMs > nowMs,
  ).length;
  const isCut = [ofDevice, ofEvent, ofRequest].some(({ length }) => length >= MAX_LOOKED_THROUGH);
  const now = [
    ...(isCut || ofDevice.length > MAX_OF_DEVICE
      ? [
          `More is remembered of it than is shown: of a device the latest ${MAX_OF_DEVICE} pushes, of an event or a request the latest ${MAX_LOOKED_THROUGH}.`,
        ]
      : []),
    ...verdicts.map(({ app, sinceMs }) => verdictSentence(app, sinceMs)),
    ...(waiting === 0
      ? []
      : [`${waiting} of its pushes ${waiting === 1 ? "is" : "are"} waiting in the store.`]),
    ...[...concerned].flatMap((app) => appSentences(app, known, nowMs, sources)),
  ];
  // What came of its pushes says more than that the answer was no.
  const refusal = ofRequest.length > 0 ? undefined : sources.refusals.find(subject);
  const refused = refusal === undefined ? {} : { refused: explainedRefusal(refusal) };
  const found = outcomes.length > 0 || verdicts.length > 0 || refusal !== undefined;
  return {
    found,
    text: found ? textOf(pushes, now, refused.refused) : NOTHING_KNOWN,
    pushes,
    ...refused,
    now,
  };
}

const NOTHING_KNOWN = `Nothing is known of it: it is no pushkey, event or request that this gateway remembers.
If a push should have come: look whether the homeserver has the pusher, and whether the pusher's URL leads here (the
access log shows requests). Give the pushkey exactly as the pusher has it, or the event id with its $.`;

/** A Matrix pushkey is kept as it came, one of softphone pushes and events as its upstream spells it. */
function spellingsOf(subject: string, app: App | undefined): readonly string[] {
  const read = app?.pushkin.readToken?.(subject);
  return read === undefined || read === subject ? [subject] : [subject, read];
}

interface DeviceVerdict {
  readonly app: string;
  readonly sinceMs: number;
}

async function verdictsOn(
  devices: readonly (readonly [app: string, device: Digest])[],
  { clock, store }: ExplainerSources,
): Promise<readonly DeviceVerdict[]> {
  const found = await Promise.all(
    devices.map(async ([app, device]) => {
      const verdict = await store.rejections.find(app, device, clock.now());
      return verdict === undefined ? [] : [{ app, sinceMs: verdict.sinceMs }];
    }),
  );
  return found.flat();
}

function explained(outcome: PastOutcome, nowMs: number): ExplainedPush {
  const { app, atMs, attempts, device, expiresAtMs, kind, pushkin, reason, status } = outcome;
  // The store ends what has expired by the thousand and without a word for each.
  const isOver = kind === "accepted" && reason !== "" && nowMs > expiresAtMs;
  return {
    at: new Date(atMs).toISOString(),
    app,
    upstream: pushkin === "" ? "" : upstreamName(pushkin),
    outcome: isOver ? "dropped" : kind,
    reason: isOver ? "expired" : reason,
    ...(status === undefined ? {} : { status }),
    attempts,
    device: device.slice(0, DEVICE_DIGITS),
    ...wordsFor(outcome, nowMs),
  };
}

function explainedRefusal(refusal: Refusal): ExplainedRefusal {
  const { atMs, code, method, path, status } = refusal;
  return {
    at: new Date(atMs).toISOString(),
    status,
    ...(code === undefined ? {} : { reason: code }),
    method,
    ...(path === undefined ? {} : { path }),
    ...wordsForRefusal(refusal),
  };
}

function verdictSentence(app: string, sinceMs: number): string {
  return `The device is rejected for ${app}: its token is dead since ${new Date(sinceMs).toISOString()}. It is not asked about again until the app registers it anew.`;
}

function appSentences(
  app: string,
  known: readonly KnownApp[],
  nowMs: number,
  { apps, circuits }: ExplainerSources,
): readonly string[] {
  const served = apps().get(app);
  if (served === undefined) {
    const until = known.find((each) => each.app === app)?.lastConfiguredAtMs ?? -RETIRED_APP_HOLD_MS;
    const heldUntilMs = until + RETIRED_APP_HOLD_MS;
    if (app === "" || heldUntilMs < nowMs) return [];
    return [
      `${app} is no longer configured: its pushers are left alone until ${new Date(heldUntilMs).toISOString()}, then they are rejected.`,
    ];
  }
  const sentences: string[] = [];
  if (served.guard.holding === "never-succeeded") {
    sentences.push(
      `No push has succeeded with the present credentials, topic and environment of ${app} yet: until one does no token of it is believed to be dead.`,
    );
  } else if (served.guard.holding === "mass-rejection") {
    sentences.push(
      `Too many tokens of ${app} look dead at once: until a push succeeds none of it is believed.`,
    );
  }
  if (
    served.pushkin.hasManyUpstreams !== true &&
    circuits().some((each) => each.app === app && each.isOpen)
  ) {
    sentences.push(
      `${upstreamName(served.pushkin.type)} does not take pushes of ${app} at the moment; it is tried every few seconds.`,
    );
  }
  return sentences;
}

function textOf(
  pushes: readonly ExplainedPush[],
  now: readonly string[],
  refused: ExplainedRefusal | undefined,
): string {
  const lines: string[] = [];
  const tell = (head: string, { todo, what }: Words): void => {
    lines.push(head, `  ${what}`, `  What to do: ${todo}`, "");
  };
  for (const push of pushes) {
    const { app, at, device, outcome, upstream } = push;
    const where = [app === "" ? "no app" : app, upstream].filter((part) => part !== "").join(", ");
    tell(`${at}  ${NAMES[outcome]}  (${where}, device ${device})`, push);
  }
  if (refused !== undefined) {
    const { at, method, path } = refused;
    tell(`${at}  refused  (${[method, ...(path === undefined ? [] : [path])].join(" ")})`, refused);
  }
  if (now.length > 0) lines.push("Now:", ...now.map((sentence) => `  ${sentence}`));
  return lines.join("\n").trimEnd();
}

const NAMES: Readonly<Record<PastOutcome["kind"], string>> = {
  delivered: "delivered",
  rejected: "rejected",
  dropped: "not sent",
  accepted: "waiting",
  retryable: "sent back",
};
