import type { RetryReason, Settled } from "../../../src/core/outcome.ts";
import type { MatrixPush } from "../../../src/doors/matrix/parse.ts";
import { answerNotify } from "../../../src/doors/matrix/answer.ts";

const delivered: Settled = { kind: "delivered" };
const accepted: Settled = { kind: "accepted" };
const dropped: Settled = { kind: "dropped", reason: "expired" };
const rejected: Settled = { kind: "rejected", reason: "unregistered" };
const retryable = (reason: RetryReason, retryAfterMs?: number): Settled => ({
  kind: "retryable",
  reason,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

/** The answer when each device, keys a, b, c …, came to this. */
function answer(...settled: Settled[]): { status: number; body: unknown; retryAfter: string | undefined } {
  const devices = settled.map((_one, i) => ({ pushkey: "abcdef"[i] ?? "", push: i }));
  const pushes = settled.map(() => ({}) as MatrixPush);
  const { status, body, headers } = answerNotify({ pushes, devices }, settled);
  return { status, body: JSON.parse(body) as unknown, retryAfter: headers?.["Retry-After"] };
}

describe("the answer to a notify request", () => {
  it.each([
    ["delivered", [delivered], []],
    ["accepted by the outbox", [accepted], []],
    ["dropped", [dropped], []],
    ["rejected", [rejected], ["a"]],
    ["all of them, in the request's order", [delivered, rejected, accepted, dropped, rejected], ["b", "e"]],
  ])("%s is 200", (_title, settled, keys) => {
    expect(answer(...settled)).toEqual({ status: 200, body: { rejected: keys }, retryAfter: undefined });
  });

  it("does not name a pushkey that is alive in another of the request's apps", () => {
    const devices = [
      { pushkey: "shared", push: 0 },
      { pushkey: "shared", push: 1 },
      { pushkey: "dead", push: 2 },
    ];
    const pushes = devices.map(() => ({}) as MatrixPush);
    const { body } = answerNotify({ pushes, devices }, [delivered, rejected, rejected]);
    expect(JSON.parse(body)).toEqual({ rejected: ["dead"] });
  });

  it("names a pushkey once, devices refused at the door included, each as it was sent (21, 25)", () => {
    const devices = [
      { pushkey: "" },
      { pushkey: "dead", push: 0 },
      { pushkey: "dead", push: 0 },
      { pushkey: "dead", push: 1 },
      { pushkey: "\ud800" },
    ];
    const { status, body } = answerNotify({ pushes: [{} as MatrixPush, {} as MatrixPush], devices }, [
      rejected,
      rejected,
    ]);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ rejected: ["", "dead", "\ud800"] });
  });

  it.each([
    "connect",
    "connection-lost",
    "timeout",
    "upstream-unavailable",
    "rate-limited",
    "credentials",
    "held",
    "answer-window",
    "internal",
  ] as const)("%s among good ones is 502 without a list (26, 58, 59, 68)", (reason) => {
    const result = answer(delivered, retryable(reason), rejected);
    expect(result).toMatchObject({ status: 502, body: { errcode: "M_UNKNOWN" }, retryAfter: undefined });
    expect(result.body).not.toHaveProperty("rejected");
  });

  it.each(["overloaded", "shutting-down"] as const)("%s alone is 503 with a time (61)", (reason) => {
    expect(answer(delivered, retryable(reason))).toMatchObject({
      status: 503,
      body: { errcode: "M_UNKNOWN" },
      retryAfter: "5",
    });
  });

  it("an upstream's failure beside our own overload is 502", () => {
    expect(answer(retryable("overloaded"), retryable("timeout")).status).toBe(502);
    expect(answer(retryable("overloaded"), retryable("shutting-down")).status).toBe(503);
  });

  it.each([
    [[1, 2001], "3"],
    [[0], "1"],
    [[60_000, 1000], "60"],
  ])("Retry-After is the longest of %j ms in whole seconds", (times, seconds) => {
    expect(answer(...times.map((ms) => retryable("rate-limited", ms))).retryAfter).toBe(seconds);
    expect(answer(...times.map((ms) => retryable("overloaded", ms))).retryAfter).toBe(seconds);
  });

  it("a push without an outcome is not taken for handled", () => {
    const request = { pushes: [{} as MatrixPush], devices: [{ pushkey: "a", push: 0 }] };
    expect(answerNotify(request, []).status).toBe(502);
  });
});
