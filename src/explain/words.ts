import type { DropReason, RejectReason, RetryReason } from "../core/outcome.ts";
import type { PastOutcome } from "../store/store.ts";

/** What a support person can send on: what happened, and what to do about it. */
export interface Words {
  readonly what: string;
  /** Says so when there is nothing to do. */
  readonly todo: string;
}

const passes = "Nothing, if it passes. If it lasts, `signalbox doctor` says why.";

/** THE TABLE: each way a push can end or wait, in plain words. `{upstream}` is the upstream's name, `{app}` the app's. */
const rejected: Readonly<Record<RejectReason, Words>> = {
  unregistered: {
    what: "{upstream} said that the device token is no longer valid: the app was deleted, reinstalled or signed out. The homeserver is told to forget the pusher: with the answer to this push, or to the next one.",
    todo: "Open the app on the phone, so that it registers for notifications again.",
  },
  "bad-token": {
    what: "{upstream} does not know the device token. The homeserver is told to forget the pusher: with the answer to this push, or to the next one.",
    todo: "Open the app on the phone, so that it registers again. If it happens again, the app's builds and the gateway's `platform` (production or sandbox) do not belong together.",
  },
  "token-of-another-app": {
    what: "{upstream} said that the device token belongs to another app or project. The homeserver is told to forget the pusher: with the answer to this push, or to the next one.",
    todo: "Check that the app's pusher names the right app_id, and that `topic` or `project_id` of {app} is that app's.",
  },
  "invalid-pushkey": {
    what: "The pushkey can never be a device token of this kind of app, so nobody was asked. The homeserver is told to forget the pusher: with the answer to this push, or to the next one.",
    todo: "The app registers a wrong pushkey or wrong pusher data: a matter for its developers.",
  },
  "unknown-app": {
    what: "The app_id of the pusher is not configured at this gateway. The homeserver is told to forget the pusher: with the answer to this push, or to the next one.",
    todo: "Add the app_id under `apps`, or correct it in the app. Then open the app, so that it registers again.",
  },
  "known-dead": {
    what: "The device token is known to be dead from an earlier answer of {upstream}, which was not asked again. The homeserver is told to forget the pusher: with the answer to this push, or to the next one.",
    todo: "Open the app on the phone, so that it registers for notifications again.",
  },
};

const retried: Readonly<Record<RetryReason, Words>> = {
  connect: {
    what: "No connection to {upstream} could be made.",
    todo: "Check the network, the proxy and the firewall of the gateway: `signalbox doctor`.",
  },
  "connection-lost": { what: "The connection to {upstream} was lost before it answered.", todo: passes },
  timeout: { what: "{upstream} did not answer in time.", todo: passes },
  "upstream-unavailable": {
    what: "{upstream} answered that it cannot take pushes at the moment.",
    todo: passes,
  },
  "rate-limited": {
    what: "{upstream} answered that it gets too many pushes, for this device or this app.",
    todo: "If it lasts, look for a sender that floods the device, or ask for a larger quota.",
  },
  credentials: {
    what: "{upstream} refuses the credentials of {app}, its topic or its project.",
    todo: "Check key, key id, team, topic and project of {app}: `signalbox doctor`. Then reload; what waits goes out by itself.",
  },
  held: {
    what: "{upstream} said that the device token is dead, and this is not believed: it looks like a mistake in the settings of {app}, or the app was taken out of the configuration. The pusher is left alone.",
    todo: "Check topic, key, project and platform of {app}, or put the app back. With the first push that succeeds the rejections count again.",
  },
  overloaded: {
    what: "Too many pushes of {app} were under way.",
    todo: "If it lasts, raise `inflight_request_limit` of {app}, or find out who sends so much.",
  },
  "answer-window": {
    what: "{upstream} had not answered when the sender had to be answered.",
    todo: passes,
  },
  "circuit-open": {
    what: "{upstream} did not answer a number of pushes before this one, so it was not asked.",
    todo: "Nothing for this push. `signalbox doctor` says why {upstream} does not answer.",
  },
  "no-budget": {
    what: "Too many pushes to {upstream} were being repeated at that moment, so this one was left for later.",
    todo: passes,
  },
  store: {
    what: "The gateway's store did not work, so the push could not be kept.",
    todo: "Check the disk or the database of the gateway.",
  },
  "outbox-full": {
    what: "As many pushes of {app} were waiting as may wait.",
    todo: "Find out why {upstream} does not take them: `signalbox doctor`.",
  },
  "shutting-down": {
    what: "The gateway was stopping.",
    todo: "Nothing, once it is started again.",
  },
  internal: {
    what: "The gateway failed by a fault of its own.",
    todo: "Its log has the error; please report it to the makers of Signalbox.",
  },
};

const dropped: Readonly<Record<DropReason, Words>> = {
  "nothing-to-send": {
    what: "There was nothing in the push to show or to count, so nothing was sent.",
    todo: "Nothing, unless a message is missed: then look at what the sender puts into its pushes.",
  },
  "not-wanted": {
    what: "The settings of {app} keep this kind of push away, such as counts without a message.",
    todo: "Nothing, or change `counts_pushes` or `send_badge_counts` of {app}, which say what is sent.",
  },
  expired: {
    what: "It could not be handed over before it was too old to be useful, and was given up.",
    todo: "See what it waited for. `delivery.expire_after` says how long pushes are tried.",
  },
  "refused-by-upstream": {
    what: "{upstream} refused the push for what is in it; the same push would be refused again.",
    todo: "Check options of {app} such as `fcm_options`, `push_type` and `topic`; the alarm in the log has the answer's reason.",
  },
  "too-large": {
    what: "The push was too large for {upstream}, even after its texts had been cut.",
    todo: "Send less: `event_id_only` as the pusher's format, or smaller pusher data (`default_payload`).",
  },
  "registered-since": {
    what: "{upstream} said that the device token had died, but the app registered it again after that: the token is alive, this one push was not sent.",
    todo: "Nothing: the next push goes to the token as it is registered now.",
  },
  duplicate: {
    what: "The same push had been delivered already, so it was not sent a second time.",
    todo: "Nothing. If its sender repeats pushes often, look whether the gateway's answers reach it in time.",
  },
  superseded: {
    what: "While it waited a newer push for the phone took its place: of counts, and of pushes that come too fast for one device, only the newest goes out.",
    todo: "Look for the newer push. `limits.per_device` says how fast is too fast.",
  },
  quarantined: {
    what: "The gateway ended three times with this push in hand, and keeps away from it.",
    todo: "Its log has the errors; please report them to the makers of Signalbox.",
  },
  "endpoint-not-allowed": {
    what: "The address that the phone or browser wants its pushes at may not be reached from here.",
    todo: "If it is right, allow it: `allowed_endpoints` of {app}, or `outbound.allow_addresses` for a private address.",
  },
};

/** Held by no guard: nobody serves it any more (D8). */
const retired: Words = {
  what: "The app was taken out of the gateway's configuration lately. Its pushers are left alone for 7 days.",
  todo: "Put the app back under `apps` and reload, if it went by mistake.",
};

const delivered: Words = {
  what: "{upstream} took it. Whether the phone showed it, {upstream} tells nobody.",
  todo: "On the phone: notifications allowed for the app, no focus or battery saver, a connection. The gateway has done its part.",
};

/** The other's end is not noted here: this one has a name of its own. */
const equalWaits: Words = {
  what: "An equal push was waiting already, and the gateway goes on with that one alone.",
  todo: "See what became of the equal push before it: ask for the pushkey or the event.",
};

const upstreamNames: Readonly<Record<string, string>> = {
  apns: "Apple",
  gcm: "Google",
  webpush: "The browser's push service",
  unifiedpush: "The UnifiedPush server",
};

/** How the upstream of a type of app is called in a sentence. */
export function upstreamName(pushkin: string): string {
  return upstreamNames[pushkin] ?? "The upstream";
}

/** What is known of a push, in words. */
export function wordsFor(outcome: PastOutcome, nowMs: number): Words {
  const names = {
    upstream: upstreamName(outcome.pushkin),
    app: outcome.app === "" ? "the app" : outcome.app,
  };
  const said = answerOf(outcome);
  const { what, todo } = stateWords(outcome, nowMs, said);
  return { what: fill(what, names), todo: fill(todo, names) };
}

function stateWords(outcome: PastOutcome, nowMs: number, said: string): Words {
  const { attempts, expiresAtMs, kind, reason } = outcome;
  switch (kind) {
    case "delivered":
      return attempts > 1
        ? { ...delivered, what: `${delivered.what} It took ${attempts} tries.` }
        : delivered;
    case "rejected":
      return withAnswer(rejected[reason as RejectReason], said);
    case "dropped":
      return withAnswer(dropped[reason as DropReason], said);
    case "retryable": {
      const isRetired = reason === "held" && outcome.app === "";
      const words = isRetired ? retired : withAnswer(retried[reason as RetryReason], said);
      return { ...words, what: `${words.what} The sender was told to send it again later.` };
    }
    case "accepted":
      return promisedWords(reason, expiresAtMs, nowMs, said);
  }
}

function promisedWords(reason: string, expiresAtMs: number, nowMs: number, said: string): Words {
  if (reason === "") return equalWaits;
  const { what: because, todo } = withAnswer(retried[reason as RetryReason], said);
  if (nowMs > expiresAtMs) return { what: `${because} ${dropped.expired.what}`, todo };
  const until = new Date(expiresAtMs).toISOString();
  return {
    what: `${because} The gateway has promised it and keeps it in its store: it is tried again by itself until ${until}.`,
    todo,
  };
}

/** A version before or after this one may have known other reasons. */
function withAnswer(words: Words | undefined, said: string): Words {
  if (words === undefined)
    return {
      what: `It ended for a reason that this version does not know.${said}`,
      todo: "Ask a gateway of the version that wrote it.",
    };
  return { ...words, what: `${words.what}${said}` };
}

function answerOf({ answer, status }: PastOutcome): string {
  if (status === undefined || status === 200 || status === 201) return "";
  return ` (It answered ${status}${answer === undefined ? "" : ` ${answer}`}.)`;
}

function fill(text: string, names: { readonly upstream: string; readonly app: string }): string {
  return text
    .replaceAll("{upstream}", (_placeholder, at: number) => {
      const isFirst = at === 0 || text.slice(0, at).endsWith(". ");
      return isFirst ? names.upstream : names.upstream.replace(/^The /, "the ");
    })
    .replaceAll("{app}", () => names.app);
}

/** Every row of the table, by kind and reason: for whoever holds it complete. */
export const words = { delivered, rejected, retryable: retried, dropped } as const;
