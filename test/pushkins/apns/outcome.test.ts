import type { Outcome } from "../../../src/core/outcome.ts";
import { apnsVerdict } from "../../../src/pushkins/apns/outcome.ts";
import { apnsStatuses } from "../../../src/simulator/apns-errors.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import { NOON } from "../../support/builders.ts";
import { openApns, until, type ApnsRig } from "./rig.ts";

/** What an answer leads to, beside the outcome. */
interface Reaction {
  /** How many requests arrive; two when the push is repeated at once. */
  readonly requests: number;
  /** The connection takes nothing any more: the next push comes by another one. */
  readonly replaced: boolean;
  /** Another provider token is used from the repeat on. */
  readonly renewed: boolean;
}
const stays: Reaction = { requests: 1, replaced: false, renewed: false };
const retires: Reaction = { requests: 1, replaced: true, renewed: false };
const repeats: Reaction = { requests: 2, replaced: true, renewed: false };
const renews: Reaction = { requests: 2, replaced: true, renewed: true };
const shrinks: Reaction = { requests: 2, replaced: false, renewed: false };

const guarded = { kind: "rejected", reason: "bad-token", guarded: true };
const gone = { kind: "rejected", reason: "unregistered", sinceMs: NOON };
const alert = { kind: "retryable", reason: "credentials", alarm: true, retryAfterMs: 30_000 };
const bug = { kind: "dropped", reason: "refused-by-upstream", alarm: true };
const retry = { kind: "retryable", reason: "upstream-unavailable" };

/** Every row of apns.md section 5 that is an error. */
const rows: readonly [number, string, object, Reaction][] = [
  [400, "BadDeviceToken", guarded, stays],
  [400, "DeviceTokenNotForTopic", { ...guarded, reason: "token-of-another-app" }, stays],
  [400, "TopicDisallowed", alert, stays],
  [400, "BadTopic", alert, stays],
  [400, "MissingTopic", alert, stays],
  [400, "InvalidPushType", bug, stays],
  [400, "BadPriority", bug, stays],
  [400, "BadExpirationDate", bug, stays],
  [400, "BadCollapseId", bug, stays],
  [400, "BadMessageId", bug, stays],
  [400, "DuplicateHeaders", bug, stays],
  [400, "PayloadEmpty", { kind: "dropped", reason: "refused-by-upstream" }, stays],
  [400, "MissingDeviceToken", guarded, stays],
  [400, "IdleTimeout", retry, repeats],
  [403, "BadCertificate", alert, stays],
  [403, "BadCertificateEnvironment", alert, stays],
  [403, "ExpiredProviderToken", alert, renews],
  [403, "InvalidProviderToken", alert, repeats],
  [403, "MissingProviderToken", alert, stays],
  [403, "UnrelatedKeyIdInToken", alert, repeats],
  [403, "BadEnvironmentKeyIdInToken", alert, stays],
  [403, "Forbidden", alert, stays],
  [404, "BadPath", bug, stays],
  [405, "MethodNotAllowed", bug, stays],
  [410, "Unregistered", gone, stays],
  [410, "ExpiredToken", gone, stays],
  [413, "PayloadTooLarge", { kind: "dropped", reason: "too-large", alarm: true }, shrinks],
  [429, "TooManyRequests", { kind: "retryable", reason: "rate-limited", retryAfterMs: 10_000 }, stays],
  [429, "TooManyProviderTokenUpdates", alert, repeats],
  [500, "InternalServerError", retry, retires],
  [503, "ServiceUnavailable", retry, stays],
  [503, "Shutdown", retry, repeats],
];

let rig: ApnsRig;
beforeAll(async () => {
  rig = await openApns();
});
afterAll(() => rig.stop());

interface Observed {
  readonly outcome: Outcome;
  readonly reaction: Reaction;
}

/** Sends one push with the answer in force, and looks at what it did to connection and provider token. */
async function observe(answer: Answer, times?: number): Promise<Observed> {
  rig.answerWith(undefined);
  // Past every pause after an earlier row, and a connection that stands.
  await rig.clock.advance(31_000);
  await rig.send();
  const [before] = rig.arrived().slice(-1);
  await rig.clock.advance(1_000);
  rig.simulator.recorder.clear();
  rig.simulator.script.add({ answer, ...(times === undefined ? {} : { times }) });
  const { outcome } = await rig.send();
  const arrived = rig.arrived();
  rig.answerWith(undefined);
  await rig.clock.advance(1_000);
  await rig.send();
  const [after] = rig.arrived().slice(-1);
  return {
    outcome,
    reaction: {
      requests: arrived.length,
      replaced: after?.connection !== before?.connection,
      renewed: after?.headers["authorization"] !== before?.headers["authorization"],
    },
  };
}

describe("what APNs answers", () => {
  it("the table below has every documented reason, with its status", () => {
    expect(Object.fromEntries(rows.map(([status, reason]) => [reason, status]))).toEqual(apnsStatuses);
  });

  it.each(rows)("%i %s, again and again", async (status, reason, expected, reaction) => {
    const timestamp = status === 410 ? { timestamp: NOON } : {};
    const observed = await observe({ kind: "error", reason, ...timestamp });
    expect(observed).toEqual({ outcome: { ...expected, answer: { status, reason } }, reaction });
  });

  it.each(rows.filter(([, , , { requests }]) => requests === 2))(
    "%i %s once: the caller sees a delivery",
    async (_status, reason, _expected, reaction) => {
      const observed = await observe({ kind: "error", reason }, 1);
      expect(observed.outcome.kind).toBe("delivered");
      expect(observed.reaction).toEqual(reaction);
    },
  );

  it("200: delivered, with the id that APNs knows it by", async () => {
    rig.answerWith(undefined);
    const id = "0b0b0b0b-0000-4000-8000-00000000c0de";
    const { outcome } = await rig.send({ id });
    expect(outcome).toEqual({ kind: "delivered", upstreamId: id, answer: { status: 200 } });
  });
});

describe("what nobody documents", () => {
  const unknown: readonly [string, Answer, object, Reaction][] = [
    ["an unknown 400", { kind: "error", reason: "NewReason", status: 400 }, bug, stays],
    ["an unknown 403", { kind: "error", reason: "NewReason", status: 403 }, bug, stays],
    ["an unknown 410", { kind: "error", reason: "NewReason", status: 410 }, bug, stays],
    [
      "a known reason with another status",
      { kind: "error", reason: "Unregistered", status: 400 },
      bug,
      stays,
    ],
    ["a bare 404", { kind: "raw", status: 404, body: "" }, bug, stays],
    ["a bare 410", { kind: "raw", status: 410, body: "" }, bug, stays],
    ["a proxy's 407", { kind: "raw", status: 407 }, bug, stays],
    ["an unknown 500", { kind: "error", reason: "NewReason", status: 500 }, retry, retires],
    ["an unknown 503", { kind: "error", reason: "NewReason", status: 503 }, retry, stays],
    ["a proxy's 502 in HTML", { kind: "raw", status: 502 }, retry, stays],
    ["an unknown 599", { kind: "raw", status: 599, body: "" }, retry, stays],
    [
      "a bare 429",
      { kind: "raw", status: 429, body: "" },
      { kind: "retryable", reason: "rate-limited", retryAfterMs: 10_000 },
      stays,
    ],
  ];
  it.each(unknown)("%s rejects nothing", async (_what, answer, expected, reaction) => {
    const observed = await observe(answer);
    expect(observed).toEqual({ outcome: { ...expected, answer: expect.anything() }, reaction });
  });

  it("no status from 201 to 599 rejects without a reason, and none throws", () => {
    const kinds = new Set<string>();
    for (let status = 201; status < 600; status += 1) {
      kinds.add(apnsVerdict({ status }, undefined).outcome.kind);
      kinds.add(apnsVerdict({ status, reason: "toString" }, 1).outcome.kind);
    }
    expect([...kinds].toSorted()).toEqual(["dropped", "retryable"]);
  });
});

describe("Retry-After", () => {
  it.each([
    ["429 TooManyRequests", { kind: "error", reason: "TooManyRequests", retryAfter: "7" }, 7_000],
    ["503 ServiceUnavailable", { kind: "error", reason: "ServiceUnavailable", retryAfter: "90" }, 90_000],
    ["a proxy's 502", { kind: "raw", status: 502, headers: { "retry-after": "3" } }, 3_000],
  ] as const)("in seconds with %s", async (_what, answer, retryAfterMs) => {
    expect(await rig.outcomeOf(answer)).toMatchObject({ kind: "retryable", retryAfterMs });
  });

  it("as an HTTP date", async () => {
    const retryAfter = new Date(Math.floor(rig.clock.now() / 1_000) * 1_000 + 60_000).toUTCString();
    const outcome = await rig.outcomeOf({ kind: "error", reason: "TooManyRequests", retryAfter });
    expect(outcome).toMatchObject({ reason: "rate-limited" });
    const { retryAfterMs = 0 } = outcome as { retryAfterMs?: number };
    expect(retryAfterMs).toBeGreaterThan(59_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });
});

describe("410 and when the device was registered (apns.md 7)", () => {
  const diedMs = NOON - 86_400_000;
  const dead: Answer = { kind: "error", reason: "Unregistered", timestamp: diedMs };
  const rejected = { kind: "rejected", reason: "unregistered", sinceMs: diedMs };
  const kept = { kind: "dropped", reason: "registered-since" };

  it.each([
    ["a second after it died", diedMs + 1_000, kept],
    ["a millisecond after it died", diedMs + 1, kept],
    ["at the very instant", diedMs, rejected],
    ["a second before it died", diedMs - 1_000, rejected],
    ["nobody knows when", undefined, rejected],
  ])("registered %s", async (_what, pushkeyTsMs, expected) => {
    const outcome = await rig.outcomeOf(dead, pushkeyTsMs === undefined ? {} : { pushkeyTsMs });
    expect(outcome).toEqual({ ...expected, answer: { status: 410, reason: "Unregistered" } });
  });

  it("without a timestamp it rejects, however late the device was registered", async () => {
    const body = '{"reason":"Unregistered"}';
    const outcome = await rig.outcomeOf({ kind: "raw", status: 410, body }, { pushkeyTsMs: NOON });
    expect(outcome).toEqual({
      kind: "rejected",
      reason: "unregistered",
      answer: { status: 410, reason: "Unregistered" },
    });
  });

  it.each(['"1783944012000"', "null", "-5", "0", "[1]", "1e999"])(
    "a timestamp of %s is none",
    async (timestamp) => {
      const body = `{"reason":"ExpiredToken","timestamp":${timestamp}}`;
      const outcome = await rig.outcomeOf({ kind: "raw", status: 410, body }, { pushkeyTsMs: NOON });
      expect(outcome).toMatchObject({ kind: "rejected", reason: "unregistered" });
      expect(outcome).not.toHaveProperty("sinceMs");
    },
  );
});

describe("no answer at all", () => {
  it("a GOAWAY that names the certificate is an alarm (apns2 #117)", async () => {
    await rig.clock.advance(31_000);
    rig.answerWith(undefined);
    await rig.send();
    rig.simulator.script.add({
      goaway: { code: 1, debugData: '{"reason":"BadCertificateEnvironment"}' },
      answer: { kind: "hang" },
    });
    const { outcome } = await rig.send();
    expect(outcome).toMatchObject({ kind: "retryable", reason: "credentials", alarm: true });
    rig.answerWith(undefined);
  });

  it("a key that never worked is not tried again when it is refused as invalid", async () => {
    const other = await openApns();
    try {
      other.answerWith({ kind: "error", reason: "InvalidProviderToken" });
      expect((await other.send()).outcome).toMatchObject({
        kind: "retryable",
        reason: "credentials",
        alarm: true,
      });
      expect(other.requests()).toBe(1);
    } finally {
      await other.stop();
    }
  });

  it("a key that stopped working is tried once on a new connection, and then no more", async () => {
    const other = await openApns();
    try {
      await other.send();
      await other.clock.advance(1_000);
      other.answerWith({ kind: "error", reason: "InvalidProviderToken" });
      for (let sent = 0; sent < 5; sent += 1) {
        expect((await other.send()).outcome).toMatchObject({ reason: "credentials", alarm: true });
        await other.clock.advance(1_000);
      }
      expect(other.requests()).toBe(1 + 2 + 4);
      expect(other.simulator.connections.total).toBe(2);
    } finally {
      await other.stop();
    }
  });

  it("an immediate repeat ends with the ten seconds of its attempt", async () => {
    const other = await openApns();
    try {
      await other.send();
      other.simulator.script.add(
        { answer: { kind: "error", reason: "Shutdown" }, delay: 6_000, times: 1 },
        { answer: { kind: "hang" } },
      );
      const startedMs = other.clock.monotonic();
      const ended = other.send();
      await until(() => other.requests() === 2);
      await other.clock.advance(6_000);
      await until(() => other.requests() === 3);
      await other.clock.advance(4_000);
      expect((await ended).outcome).toMatchObject({ kind: "retryable", reason: "timeout" });
      expect(other.clock.monotonic() - startedMs).toBe(10_000);
    } finally {
      await other.stop();
    }
  });

  it("an abort between answer and repeat ends it", async () => {
    const other = await openApns();
    try {
      await other.send();
      other.answerWith({ kind: "error", reason: "Shutdown" });
      const abort = new AbortController();
      const message = other.pushkin.render(other.push);
      if (!("body" in message)) throw new Error("not rendered");
      // No second connection within the first second: the repeat has to wait, and there the signal meets it.
      const ended = other.pushkin.attempt(message, { push: other.push, signal: abort.signal });
      await until(() => other.requests() === 2);
      abort.abort();
      expect((await ended).outcome.kind).toBe("retryable");
      expect(other.requests()).toBe(2);
    } finally {
      await other.stop();
    }
  });
});

describe("413: the payload without anything that can be left out (UA08)", () => {
  it("is sent once, with ids, counts and the alert's key", async () => {
    rig.answerWith(undefined);
    await rig.clock.advance(31_000);
    await rig.send();
    rig.simulator.recorder.clear();
    rig.simulator.script.add({ answer: { kind: "error", reason: "PayloadTooLarge" }, times: 1 });
    expect((await rig.send()).outcome.kind).toBe("delivered");
    expect(rig.arrived().map(({ payload }) => payload)).toEqual([
      expect.objectContaining({ event_id: "$e" }),
      {
        event_id: "$e",
        room_id: "!r:e",
        aps: { alert: { "loc-key": "MSG_FROM_USER_IN_ROOM_WITH_CONTENT" }, badge: 3 },
      },
    ]);
  });
});
