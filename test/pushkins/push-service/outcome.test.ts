import type { Outcome } from "../../../src/core/outcome.ts";
import {
  outcomeWithoutAnswer,
  serviceVerdict,
  type Reaction,
  type ServiceAnswer,
} from "../../../src/pushkins/push-service/outcome.ts";

const judge = (status: number, body = "", more: Partial<ServiceAnswer> = {}) =>
  serviceVerdict({ host: "push.example.net", isProven: false, status, body, ...more });

const dropped = (reason: string, alarm: boolean): object => ({
  kind: "dropped",
  reason,
  ...(alarm ? { alarm: true } : {}),
});
const credentials = { kind: "retryable", reason: "credentials", retryAfterMs: 30_000, alarm: true };
const held = { kind: "retryable", reason: "held", retryAfterMs: 30_000, alarm: true };
const mozilla = (code: number, errno: number): string =>
  JSON.stringify({ code, errno, error: "Some Error", message: "token 00ff is not right" });
const apple = (reason: string): string => JSON.stringify({ reason });
const OTHER_KEY =
  "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.";

/** webpush.md 4, row by row. */
const rows: readonly (readonly [
  status: number,
  body: string,
  outcome: object,
  reaction: Reaction,
  reason?: string,
])[] = [
  [200, "{}", { kind: "delivered" }, "done"],
  [201, "", { kind: "delivered" }, "done"],
  [202, "", { kind: "delivered" }, "done"],
  [204, "", { kind: "delivered" }, "done"],
  ...[301, 302, 303, 307, 308].map(
    (status) => [status, "", dropped("refused-by-upstream", false), "done"] as const,
  ),
  ...[101, 108, 110, 111, 112, 113].map(
    (errno) =>
      [400, mozilla(400, errno), dropped("refused-by-upstream", true), "done", `errno ${errno}`] as const,
  ),
  ...["BadTtl", "BadUrgency", "BadWebPushRequest"].map(
    (reason) => [400, apple(reason), dropped("refused-by-upstream", true), "done", reason] as const,
  ),
  [
    400,
    apple("BadWebPushTopic"),
    dropped("refused-by-upstream", true),
    "repeat-without-topic",
    "BadWebPushTopic",
  ],
  [
    400,
    "UnauthorizedRegistration\n",
    dropped("refused-by-upstream", true),
    "done",
    "UnauthorizedRegistration",
  ],
  [400, apple("VapidPkHashMismatch"), held, "done", "VapidPkHashMismatch"],
  [401, mozilla(401, 109), credentials, "renew-and-repeat", "errno 109"],
  [401, "", credentials, "renew-and-repeat"],
  [403, apple("BadJwtToken"), credentials, "done", "BadJwtToken"],
  [403, apple("BadVapidPublicKey"), credentials, "done", "BadVapidPublicKey"],
  [403, apple("VapidPkHashMismatch"), held, "done", "VapidPkHashMismatch"],
  [403, OTHER_KEY, held, "done"],
  [403, "<h1>Forbidden</h1>", credentials, "done"],
  [404, mozilla(404, 102), { kind: "rejected", reason: "unregistered" }, "done", "errno 102"],
  [404, "", { kind: "rejected", reason: "unregistered" }, "done"],
  ...[405, 406, 415, 402, 409, 418, 451, 499].map(
    (status) => [status, "", dropped("refused-by-upstream", true), "done"] as const,
  ),
  ...[103, 105, 106].map(
    (errno) =>
      [
        410,
        mozilla(410, errno),
        { kind: "rejected", reason: "unregistered" },
        "done",
        `errno ${errno}`,
      ] as const,
  ),
  [410, apple("Unregistered"), { kind: "rejected", reason: "unregistered" }, "done", "Unregistered"],
  [413, "", dropped("too-large", false), "shrink-and-repeat"],
  [429, "", { kind: "retryable", reason: "rate-limited", retryAfterMs: 10_000 }, "done"],
  ...[500, 501, 502, 503, 504, 520, 599].map(
    (status) => [status, "", { kind: "retryable", reason: "upstream-unavailable" }, "done"] as const,
  ),
  [503, mozilla(503, 201), { kind: "retryable", reason: "upstream-unavailable" }, "done", "errno 201"],
  [507, "", { kind: "retryable", reason: "rate-limited", retryAfterMs: 900_000 }, "done"],
];

describe("a push service's answer", () => {
  const named = rows.map(([status, body, outcome, reaction, reason]) => ({
    status,
    body,
    outcome,
    reaction,
    reason,
  }));
  it.each(named)("$status $body", ({ status, body, outcome, reaction, reason }) => {
    const answer = reason === undefined ? { status } : { status, reason };
    expect(judge(status, body)).toEqual({ outcome: { ...outcome, answer }, reaction });
  });

  it("404 and 410 alone reject, of all statuses and with whatever body", () => {
    const bodies = ["", apple("Unregistered"), mozilla(410, 103), "gone", "null", "[", OTHER_KEY];
    const rejecting = new Set<number>();
    for (let status = 200; status < 600; status += 1) {
      for (const body of bodies) {
        if (judge(status, body).outcome.kind === "rejected") rejecting.add(status);
      }
    }
    expect([...rejecting]).toEqual([404, 410]);
  });

  it.each([429, 500, 503, 507])("%i waits as long as it is told to", (status) => {
    expect(judge(status, "", { retryAfterMs: 120_000 }).outcome).toMatchObject({ retryAfterMs: 120_000 });
  });

  it("406 of Windows' service means that it is throttled", () => {
    expect(judge(406, "", { host: "wns2-par02p.notify.windows.com" }).outcome).toMatchObject({
      kind: "retryable",
      reason: "rate-limited",
    });
    expect(judge(406, "", { host: "evil-notify.windows.com.example" }).outcome.kind).toBe("dropped");
  });

  it.each([401, 403])(
    "%i where our credentials have been taken before is one subscription's matter",
    (status) => {
      // Else anybody could stop a service for all, with a subscription made with another key.
      expect(judge(status, "", { isProven: true }).outcome).toMatchObject(held);
    },
  );

  it("nothing of an answer's text gets into the outcome but a word that is known", () => {
    for (const body of [
      "secret-token",
      apple("secret-token"),
      JSON.stringify({ errno: "secret" }),
      mozilla(400, 5),
    ]) {
      expect(judge(400, body).outcome).toEqual({
        ...dropped("refused-by-upstream", true),
        answer: { status: 400 },
      });
    }
  });
});

describe("an endpoint that does not answer", () => {
  const cases: readonly (readonly [string, string | undefined, boolean, Partial<Outcome>])[] = [
    ["dns", "ENOTFOUND", false, { kind: "retryable", reason: "connect", retryAfterMs: 10_000 }],
    ["refused", "ECONNREFUSED", false, { kind: "retryable", reason: "connect", retryAfterMs: 10_000 }],
    ["unreachable", "EHOSTUNREACH", false, { kind: "retryable", reason: "connect", retryAfterMs: 10_000 }],
    ["tls", "CERT_HAS_EXPIRED", false, { kind: "retryable", reason: "connect", retryAfterMs: 10_000 }],
    ["reset", "ECONNRESET", false, { kind: "retryable", reason: "connect" }],
    ["reset", "ECONNRESET", true, { kind: "retryable", reason: "connection-lost" }],
    ["protocol", "HPE_HEADER_OVERFLOW", true, { kind: "retryable", reason: "connection-lost" }],
    ["timeout", undefined, false, { kind: "retryable", reason: "connect", retryAfterMs: 10_000 }],
    ["timeout", "aborted", false, { kind: "retryable", reason: "timeout" }],
    ["timeout", undefined, true, { kind: "retryable", reason: "timeout" }],
    ["local", "EMFILE", false, { kind: "retryable", reason: "connect", alarm: true }],
    ["proxy", "PROXY_407", false, { kind: "retryable", reason: "connect", alarm: true }],
  ];

  it.each(cases)("%s %s, request written: %s", (failureClass, detail, written, outcome) => {
    const failure = { class: failureClass as "dns", ...(detail === undefined ? {} : { detail }) };
    expect(outcomeWithoutAnswer(failure, written)).toMatchObject(outcome);
  });
});
