import type { DropReason, RejectReason, RetryReason } from "../../src/core/outcome.ts";
import { words } from "../../src/explain/words.ts";
import type { ApnsReason } from "../../src/simulator/apns-errors.ts";
import type { Answer, Rule } from "../../src/simulator/script.ts";
import { ask, freshPushkey, withAskedGateway, type Explained } from "../support/ask-explain.ts";
import { freePort } from "../support/free-port.ts";
import { IOS, iosPushkey, message, type GatewaySetUp, type RunningGateway } from "../support/with-gateway.ts";

const CLOSED = "com.example.closed";
const UP = "com.example.up";

/** Sends something to a gateway whose iOS app has sent something before; gives the subject that is asked about. */
type Way = (gateway: RunningGateway) => Promise<string>;
interface End {
  readonly way: Way;
  readonly config?: Readonly<Record<string, unknown>>;
}
/** Why a reason is not tried here: the table of test/explain/explainer.test.ts has its words. */
type NotHere = string;

const error = (reason: ApnsReason, more: object = {}): Answer => ({ kind: "error", reason, ...more });
const counts = {
  event_id: undefined,
  room_id: undefined,
  type: undefined,
  content: undefined,
  sender: undefined,
  sender_display_name: undefined,
  room_name: undefined,
};

const toIos =
  (
    answer: Answer | undefined,
    options: { overrides?: object; times?: number; device?: object; rule?: Pick<Rule, "delay"> } = {},
  ): Way =>
  async (gateway) => {
    const pushkey = freshPushkey();
    if (answer !== undefined) gateway.simulators.script.add({ upstream: "apns", answer, ...options.rule });
    const body = message([{ app_id: IOS, pushkey, ...options.device }], { ...options.overrides });
    for (let i = 0; i < (options.times ?? 1); i += 1) await gateway.notify(body);
    return pushkey;
  };
const to =
  (app: string, pushkey: string, overrides: object = {}): Way =>
  async (gateway) => {
    await gateway.notify(message([{ app_id: app, pushkey }], { ...overrides }));
    return pushkey;
  };

const rejected: Readonly<Record<RejectReason, End | NotHere>> = {
  unregistered: { way: toIos(error("Unregistered")) },
  "bad-token": { way: toIos(error("BadDeviceToken")) },
  "token-of-another-app": { way: toIos(error("DeviceTokenNotForTopic")) },
  "invalid-pushkey": { way: to(IOS, "not a token!") },
  "unknown-app": { way: to("com.example.typo", "unknown-1") },
  "known-dead": { way: toIos(error("Unregistered"), { times: 2 }) },
};

const dropped: Readonly<Record<DropReason, End | NotHere>> = {
  "nothing-to-send": { way: toIos(undefined, { overrides: { ...counts, counts: {} } }) },
  "not-wanted": { way: to(UP, "https://up.example/counts", { ...counts, counts: { unread: 1 } }) },
  expired: "waits for its end: explain.test.ts",
  "refused-by-upstream": { way: toIos(error("BadCollapseId")) },
  "too-large": { way: toIos(error("PayloadTooLarge")) },
  "registered-since": {
    // Registered an hour from now: later than whatever the upstream says.
    way: toIos(error("Unregistered"), {
      device: { pushkey_ts: Math.floor(Date.now() / 1000) + 3_600 },
    }),
  },
  duplicate: { way: toIos(undefined, { times: 2 }) },
  superseded: {
    way: async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", answer: error("ServiceUnavailable") });
      const pushkey = freshPushkey();
      for (const unread of [3, 4])
        await gateway.notify(message([{ app_id: IOS, pushkey }], { ...counts, counts: { unread } }));
      return pushkey;
    },
  },
  quarantined: "takes three crashes with it in hand",
  "endpoint-not-allowed": { way: to(UP, "https://10.0.0.1/up") },
};

const retried: Readonly<Record<RetryReason, End | NotHere>> = {
  connect: { way: to(CLOSED, iosPushkey("cc01")) },
  "connection-lost": { way: toIos({ kind: "reset", code: 2 }) },
  timeout: "takes as long as an upstream may",
  "upstream-unavailable": { way: toIos(error("ServiceUnavailable")) },
  "rate-limited": { way: toIos(error("TooManyRequests")) },
  credentials: { way: toIos(error("TopicDisallowed")) },
  held: "needs a gateway that has never succeeded: explain.test.ts",
  overloaded: {
    config: { limits: { per_device: "1/h" } },
    way: async (gateway) => {
      const pushkey = freshPushkey();
      for (let i = 0; i < 2; i += 1) await gateway.notify(message([{ app_id: IOS, pushkey }]));
      return pushkey;
    },
  },
  "answer-window": { way: toIos(error("ServiceUnavailable"), { rule: { delay: 1_000 } }) },
  "circuit-open": "takes an outage",
  "no-budget": "takes a flood of repeats",
  store: "takes a broken disk",
  "outbox-full": {
    config: { outbox: { max_rows: 1, app_share: 1 } },
    way: async (gateway) => {
      gateway.simulators.script.add({ upstream: "apns", answer: error("ServiceUnavailable") });
      const [first, second] = [freshPushkey(), freshPushkey()];
      for (const pushkey of [first, second]) await gateway.notify(message([{ app_id: IOS, pushkey }]));
      return second;
    },
  },
  "shutting-down": "nobody can be asked any more",
  internal: "takes a fault of our own",
};

const tables = { rejected, dropped, retryable: retried };
const ends = (["rejected", "dropped", "retryable"] as const).flatMap((kind) =>
  Object.entries<End | NotHere>(tables[kind]).flatMap(([reason, end]) =>
    typeof end === "string" ? [] : [[kind, reason, end] as const],
  ),
);

async function explained({ config, way }: End): Promise<{ subject: string; answer: Explained }> {
  const setUp: GatewaySetUp = {
    config: { delivery: { answer_within: "400ms" }, admin: { port: await freePort() }, ...config },
    apps: ({ ios }) => ({
      [CLOSED]: { ...ios, endpoint: "https://127.0.0.1:1" },
      [UP]: { type: "unifiedpush", counts_pushes: false },
    }),
  };
  return withAskedGateway(setUp, async (gateway) => {
    await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("aa00") }]));
    const subject = await way(gateway);
    return { subject, answer: await ask(gateway, subject) };
  });
}

describe("explain, through a whole gateway", () => {
  it.each(ends)(
    "says of a push that was %s for %s when, what happened, and what to do",
    async (kind, reason, end) => {
      const { answer, subject } = await explained(end);
      const told = answer.pushes.find((each) => each["reason"] === reason);
      if (told === undefined) throw new Error(answer.text);
      const atOnce: readonly unknown[] = kind === "retryable" ? ["accepted", "retryable"] : [kind];
      expect(atOnce).toContain(told["outcome"]);
      expect(Date.now() - Date.parse(String(told["at"]))).toBeLessThan(60_000);
      const sentence = String(told["what"]);
      expect(sentence).toMatch(/^[A-Z].*[.)]$/);
      expect(answer.text).toContain(`  ${sentence}\n  What to do: ${String(told["todo"])}`);
      expect(JSON.stringify(answer)).not.toContain(subject);
    },
  );

  it("is tried for every reason, or it is said why not", () => {
    for (const kind of ["rejected", "dropped", "retryable"] as const)
      expect(Object.keys(tables[kind]).sort()).toEqual(Object.keys(words[kind]).sort());
    expect(ends.length).toBeGreaterThanOrEqual(20);
  });
});
