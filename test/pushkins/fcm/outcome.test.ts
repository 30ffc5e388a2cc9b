import type { Outcome } from "../../../src/core/outcome.ts";
import { fcmVerdict } from "../../../src/pushkins/fcm/outcome.ts";
import { badRequest, fcmDetail, fcmErrors } from "../../../src/simulator/fcm-errors.ts";
import type { Answer } from "../../../src/simulator/script.ts";
import { startFcm, type FcmRig } from "./fcm-fixture.ts";

let rig: FcmRig;
beforeEach(async () => {
  rig = await startFcm();
});
afterEach(() => rig.stop());

const html = (status: number, headers: Record<string, string> = {}): Answer => ({
  kind: "raw",
  status,
  headers,
});
const json = (status: number, error: object): Answer => ({
  kind: "raw",
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ error: { code: status, ...error } }),
});
const known = (reason: string, retryAfter?: string): Answer => ({
  kind: "error",
  reason,
  ...(retryAfter === undefined ? {} : { retryAfter }),
});
/** An error with FCM's own code and a field that it blames. */
const blaming = (field: string, message = "Request contains an invalid argument."): Answer =>
  json(400, {
    status: "INVALID_ARGUMENT",
    message,
    details: [fcmDetail("INVALID_ARGUMENT"), badRequest(field, "x")],
  });

const answer = (status: number, reason?: string) => ({
  answer: { status, ...(reason === undefined ? {} : { reason }) },
});
const dropped = (status: number, reason?: string): Outcome => ({
  kind: "dropped",
  reason: "refused-by-upstream",
  alarm: true,
  ...answer(status, reason),
});
const credentials = (status: number, reason?: string): Outcome => ({
  kind: "retryable",
  reason: "credentials",
  retryAfterMs: 30_000,
  alarm: true,
  ...answer(status, reason),
});
const badToken = (status: number, reason: string): Outcome => ({
  kind: "rejected",
  reason: "bad-token",
  guarded: true,
  ...answer(status, reason),
});
const unavailable = (status: number, reason?: string, retryAfterMs = 10_000): Outcome => ({
  kind: "retryable",
  reason: "upstream-unavailable",
  retryAfterMs,
  ...answer(status, reason),
});
const limited = (reason: string | undefined, retryAfterMs: number): Outcome => ({
  kind: "retryable",
  reason: "rate-limited",
  retryAfterMs,
  ...answer(429, reason),
});

/** Name, FCM's answer, what it comes to; pushes seen and access tokens fetched are 1 and 1 unless said. */
type Row = [name: string, answer: Answer, outcome: Outcome, seen?: number];

const rows: Row[] = [
  // Tokens (fcm.md 4 and 5).
  [
    "404 UNREGISTERED rejects, unguarded",
    known("UNREGISTERED"),
    { kind: "rejected", reason: "unregistered", ...answer(404, "UNREGISTERED") },
  ],
  [
    "404 UNREGISTERED with another message",
    { kind: "error", reason: "UNREGISTERED", message: "NotRegistered" },
    { kind: "rejected", reason: "unregistered", ...answer(404, "UNREGISTERED") },
  ],
  ["400 that blames message.token", known("INVALID_TOKEN"), badToken(400, "INVALID_ARGUMENT")],
  ["400 that blames message.fid", blaming("message.fid"), badToken(400, "INVALID_ARGUMENT")],
  [
    "400 whose text says that it is no token",
    known("INVALID_TOKEN_MESSAGE"),
    badToken(400, "INVALID_ARGUMENT"),
  ],
  [
    "400 whose text says so beside a violation elsewhere: the first sign counts",
    blaming("message", "The registration token is not a valid FCM registration token"),
    badToken(400, "INVALID_ARGUMENT"),
  ],
  [
    "403 SENDER_ID_MISMATCH",
    known("SENDER_ID_MISMATCH"),
    {
      kind: "rejected",
      reason: "token-of-another-app",
      guarded: true,
      ...answer(403, "SENDER_ID_MISMATCH"),
    },
  ],
  // The payload.
  ["400 that blames data", blaming("message.data[0].value"), dropped(400, "INVALID_ARGUMENT")],
  [
    "400 that blames data, without FCM's own code",
    json(400, { status: "INVALID_ARGUMENT", details: [badRequest("message.data[0].value", "12")] }),
    dropped(400, "INVALID_ARGUMENT"),
  ],
  ["400 that blames nothing", known("INVALID_ARGUMENT"), dropped(400, "INVALID_ARGUMENT")],
  ["400 without a recipient", known("RECIPIENT_NOT_SET"), dropped(400, "INVALID_ARGUMENT")],
  [
    "400 with a violation that names no field",
    blaming("", "Invalid JSON payload received."),
    dropped(400, "INVALID_ARGUMENT"),
  ],
  [
    "400 that blames a field that only begins like the token",
    blaming("message.tokens"),
    dropped(400, "INVALID_ARGUMENT"),
  ],
  // Our credentials.
  ["401 expired", known("ACCESS_TOKEN_EXPIRED"), credentials(401, "UNAUTHENTICATED"), 2],
  ["401 of another type", known("ACCESS_TOKEN_TYPE_UNSUPPORTED"), credentials(401, "UNAUTHENTICATED"), 2],
  ["401 missing", known("CREDENTIALS_MISSING"), credentials(401, "UNAUTHENTICATED"), 2],
  ["401 as HTML", html(401), credentials(401), 2],
  [
    "401 THIRD_PARTY_AUTH_ERROR is not refreshed",
    known("THIRD_PARTY_AUTH_ERROR"),
    credentials(401, "THIRD_PARTY_AUTH_ERROR"),
  ],
  [
    "401 THIRD_PARTY_AUTH_ERROR with the misleading text",
    { kind: "error", reason: "THIRD_PARTY_AUTH_ERROR", message: "Expected OAuth 2 access token" },
    credentials(401, "THIRD_PARTY_AUTH_ERROR"),
  ],
  ["403 API disabled", known("SERVICE_DISABLED"), credentials(403, "PERMISSION_DENIED")],
  ["403 role missing", known("IAM_PERMISSION_DENIED"), credentials(403, "PERMISSION_DENIED")],
  ["403 wrong project", known("CONSUMER_INVALID"), credentials(403, "PERMISSION_DENIED")],
  ["403 as HTML", html(403), credentials(403)],
  ["404 without FCM's detail", known("NOT_FOUND"), credentials(404, "NOT_FOUND")],
  ["404 as HTML", html(404), credentials(404)],
  // Rates.
  ["429 QUOTA_EXCEEDED", known("QUOTA_EXCEEDED"), limited("QUOTA_EXCEEDED", 60_000)],
  ["429 as real bodies have it", known("RATE_LIMIT_EXCEEDED"), limited("RESOURCE_EXHAUSTED", 60_000)],
  ["429 of a device", known("DEVICE_RATE_EXCEEDED"), limited("QUOTA_EXCEEDED", 60_000)],
  ["429 as HTML", html(429), limited(undefined, 60_000)],
  ["429, Retry-After 90", known("QUOTA_EXCEEDED", "90"), limited("QUOTA_EXCEEDED", 90_000)],
  ["429, Retry-After 3", known("QUOTA_EXCEEDED", "3"), limited("QUOTA_EXCEEDED", 10_000)],
  ["429, Retry-After 1e9", known("QUOTA_EXCEEDED", "1e9"), limited("QUOTA_EXCEEDED", 3_600_000)],
  ["429, Retry-After -5", known("QUOTA_EXCEEDED", "-5"), limited("QUOTA_EXCEEDED", 10_000)],
  ["429, Retry-After garbage", known("QUOTA_EXCEEDED", "soon"), limited("QUOTA_EXCEEDED", 60_000)],
  // FCM's trouble.
  ["500 INTERNAL", known("INTERNAL"), unavailable(500, "INTERNAL")],
  ["503 UNAVAILABLE", known("UNAVAILABLE"), unavailable(503, "UNAVAILABLE")],
  ["503, Retry-After 45", known("UNAVAILABLE", "45"), unavailable(503, "UNAVAILABLE", 45_000)],
  ["503, Retry-After 0", known("UNAVAILABLE", "0"), unavailable(503, "UNAVAILABLE")],
  ["503, Retry-After garbage", known("UNAVAILABLE", "soon"), unavailable(503, "UNAVAILABLE")],
  ["502 as HTML", html(502), unavailable(502)],
  ["504 as HTML, Retry-After 30", html(504, { "retry-after": "30" }), unavailable(504, undefined, 30_000)],
  ["503 with nothing in it", { kind: "raw", status: 503, body: "" }, unavailable(503)],
  ["a 5xx that nobody knows", html(599), unavailable(599)],
  [
    "500 with an error code that nobody knows",
    { kind: "error", reason: "BRAND_NEW", status: 500 },
    unavailable(500, "BRAND_NEW"),
  ],
  [
    "500 UNSPECIFIED_ERROR",
    { kind: "error", reason: "UNSPECIFIED_ERROR", status: 500 },
    unavailable(500, "UNSPECIFIED_ERROR"),
  ],
  ["a redirection", html(302, { location: "https://127.0.0.1:1/" }), unavailable(302)],
  // Unknown.
  ["400 UNSPECIFIED_ERROR", known("UNSPECIFIED_ERROR"), dropped(400, "UNSPECIFIED_ERROR")],
  ["400 with a code that nobody knows", known("BRAND_NEW"), dropped(400, "BRAND_NEW")],
  [
    "403 with a code that nobody knows",
    { kind: "error", reason: "BRAND_NEW", status: 403 },
    dropped(403, "BRAND_NEW"),
  ],
  [
    "404 with a code that nobody knows",
    { kind: "error", reason: "BRAND_NEW", status: 404 },
    dropped(404, "BRAND_NEW"),
  ],
  ["a 4xx that nobody knows", html(418), dropped(418)],
  ["400 with nothing in it", { kind: "raw", status: 400, body: "" }, dropped(400)],
  [
    "UNREGISTERED with another status than 404",
    { kind: "error", reason: "UNREGISTERED", status: 400 },
    dropped(400, "UNREGISTERED"),
  ],
];

describe("what FCM's answers come to (fcm.md 4 and 5)", () => {
  it.each<Row>(rows)("%s", async (_name, said, expected, seen = 1) => {
    rig.answerWith(said);
    expect(await rig.outcome()).toEqual(expected);
    // A renewed access token goes with a second push, and with nothing else.
    expect([rig.requests(), rig.simulator.oauth.requests]).toEqual([seen, seen]);
  });

  it("200 is delivered, under FCM's name for it", async () => {
    expect(await rig.outcome()).toEqual({
      kind: "delivered",
      upstreamId: expect.stringMatching(/^projects\/demo-project\/messages\//),
      answer: { status: 200 },
    });
  });

  it.each(["", "<html></html>", "[]", '{"name":5}'])(
    "200 with %j in it is delivered all the same",
    async (body) => {
      rig.answerWith({ kind: "raw", status: 200, body });
      expect(await rig.outcome()).toEqual({ kind: "delivered", answer: { status: 200 } });
    },
  );

  it("an HTTP date is counted from now", async () => {
    rig.answerWith(known("UNAVAILABLE", new Date(rig.clock.now() + 120_000).toUTCString()));
    const outcome = await rig.outcome();
    if (outcome.kind !== "retryable") throw new Error(outcome.kind);
    expect(outcome.retryAfterMs).toBeGreaterThan(118_000);
    expect(outcome.retryAfterMs).toBeLessThanOrEqual(120_000);
  });

  it("a date that is over asks for the least", async () => {
    rig.answerWith(known("UNAVAILABLE", new Date(rig.clock.now() - 120_000).toUTCString()));
    expect(await rig.outcome()).toMatchObject({ retryAfterMs: 10_000 });
  });
});

describe("a rejection", () => {
  const never = [200, 201, 301, 400, 401, 403, 404, 405, 409, 410, 429, 500, 502, 503];
  const mayReject = new Set([
    "404 UNREGISTERED",
    "403 SENDER_ID_MISMATCH",
    "400 INVALID_TOKEN",
    "400 INVALID_TOKEN_MESSAGE",
  ]);

  it("is nothing but a row of the table, whatever status comes with whatever error", () => {
    const rejected: string[] = [];
    for (const status of never) {
      for (const [name, { message, code, details }] of Object.entries(fcmErrors)) {
        const body = JSON.stringify({ error: { code: status, message, status: code, details } });
        if (fcmVerdict({ status, body }).outcome.kind === "rejected") rejected.push(`${status} ${name}`);
      }
    }
    expect(new Set(rejected)).toEqual(mayReject);
  });

  it("never comes of a body of another shape", () => {
    const bodies = [
      "null",
      "[]",
      '"UNREGISTERED"',
      '{"error":"UNREGISTERED"}',
      '{"error":{"details":"UNREGISTERED"}}',
      '{"error":{"status":"UNREGISTERED"}}',
      '{"error":{"details":[null,5,{"@type":7,"errorCode":"UNREGISTERED"}]}}',
      '{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","errorCode":"UNREGISTERED"}]}}',
      '{"error":{"status":"INVALID_ARGUMENT","details":[{"@type":"x/google.rpc.BadRequest","fieldViolations":{"field":"message.token"}}]}}',
      "[".repeat(5000),
    ];
    for (const status of [400, 401, 403, 404, 410, 500])
      for (const body of bodies) expect(fcmVerdict({ status, body }).outcome.kind).not.toBe("rejected");
  });

  it("carries nothing of the answer's text but words in capitals", () => {
    const body = JSON.stringify({
      error: { status: "token abc123", message: "abc123", details: [fcmDetail("abc123")] },
    });
    expect(fcmVerdict({ status: 400, body }).outcome).toEqual(dropped(400));
  });
});

describe("no answer", () => {
  it.each<[string, Answer]>([
    ["a reset stream", { kind: "reset", code: 2 }],
    ["a cut connection", { kind: "close" }],
  ])("%s: FCM may have taken it", async (_name, said) => {
    rig.answerWith(said);
    expect(await rig.outcome()).toMatchObject({ kind: "retryable", reason: "connection-lost" });
    expect(rig.requests()).toBe(1);
  });
});
