import { request as httpsRequest } from "node:https";
import { createCredentials } from "../../src/simulator/credentials.ts";
import { fcmErrors } from "../../src/simulator/fcm-errors.ts";
import { FcmSimulator } from "../../src/simulator/fcm.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { RawClient } from "./raw-client.ts";
import type { RawAnswer } from "./raw-client.ts";
import { DATA, GOAWAY, RST_STREAM, RudeClient } from "./rude-client.ts";

const clock = createFakeClock();
const credentials = createCredentials({ projectId: "demo-project" });
const PATH = "/v1/projects/demo-project/messages:send";

let fcm: FcmSimulator;
let client: RawClient;
let authorization: string;

beforeEach(async () => {
  fcm = await FcmSimulator.start({ credentials, clock, projects: ["1234567890"] });
  authorization = `Bearer ${fcm.oauth.issue()}`;
  client = await RawClient.connect(fcm.url, credentials);
});
afterEach(async () => {
  await client.close();
  await fcm.stop();
});

function send(
  message: unknown,
  headers: Record<string, string> = {},
  extra: object = {},
): Promise<RawAnswer> {
  const all = { ":path": PATH, authorization, "content-type": "application/json", ...headers };
  return client.request(all, JSON.stringify({ message, ...extra }));
}

const toPhone = (fields: object = {}): object => ({ token: "phone", ...fields });
const FCM_DETAIL = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest";

describe("a message that is all right", () => {
  it.each<[string, object]>([
    ["to a token", toPhone()],
    ["to an installation id", { fid: "abc" }],
    ["to a topic", { topic: "news" }],
    ["to a condition", { condition: "'a' in topics" }],
    [
      "with everything in snake case",
      toPhone({
        data: { a: "b" },
        android: { priority: "HIGH", ttl: "3600s", collapse_key: "k", direct_boot_ok: true },
        fcm_options: { analytics_label: "x" },
      }),
    ],
    [
      "with everything in camel case",
      toPhone({ android: { priority: "normal", ttl: "0s", collapseKey: "k" }, fcmOptions: {} }),
    ],
    ["with the longest ttl", toPhone({ android: { ttl: "2419200s" } })],
    ["with a fraction of a second", toPhone({ android: { ttl: "3.5s" } })],
    ["of 4096 bytes", toPhone({ data: { k: "v".repeat(4095) } })],
  ])("%s answers 200 with its name", async (_name, message) => {
    const answer = await send(message);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      name: expect.stringMatching(/^projects\/demo-project\/messages\/0:\d+%1$/),
    });
    expect(fcm.recorder.accepted.at(-1)?.payload).toEqual({ message });
  });

  it("is answered in two DATA frames, the second one empty", async () => {
    const rude = await RudeClient.connect(fcm.port, credentials.caPem);
    const head = {
      ":method": "POST",
      ":path": PATH,
      ":scheme": "https",
      ":authority": "localhost",
      authorization,
    };
    rude.open(1, head, JSON.stringify({ message: toPhone() }));
    await rude.ended(1);
    const sizes = rude.frames.filter((frame) => frame.type === DATA).map((frame) => frame.payload.length);
    expect(sizes).toEqual([expect.any(Number), 0]);
    expect(sizes[0]).toBeGreaterThan(40);
    rude.destroy();
  });

  it("needs an :authority", async () => {
    const rude = await RudeClient.connect(fcm.port, credentials.caPem);
    rude.open(1, { ":method": "POST", ":path": PATH, ":scheme": "https", authorization }, "{}");
    const reset = await rude.seen((frame) => frame.type === RST_STREAM);
    expect(reset.payload.readUInt32BE(0)).toBe(1);
    expect(fcm.recorder.counts.requests).toBe(0);
    rude.destroy();
  });

  it("takes the project by its number too", async () => {
    expect((await send(toPhone(), { ":path": "/v1/projects/1234567890/messages:send" })).status).toBe(200);
  });

  it("is only looked at with validate_only", async () => {
    const answer = await send(toPhone(), {}, { validate_only: true });
    expect(JSON.parse(answer.body)).toEqual({ name: "projects/demo-project/messages/fake_message_id" });
    expect(fcm.recorder.counts).toMatchObject({ requests: 1, accepted: 0 });
  });

  it("goes over HTTP/1.1 as well", async () => {
    const answer = await new Promise<{ version: string; status: number | undefined; body: string }>(
      (resolve, reject) => {
        const request = httpsRequest(
          `${fcm.url}${PATH}`,
          { method: "POST", ca: credentials.caPem, headers: { authorization } },
          (response) => {
            let body = "";
            response.setEncoding("utf8");
            response.on("data", (text: string) => (body += text));
            response.on("end", () =>
              resolve({ version: response.httpVersion, status: response.statusCode, body }),
            );
          },
        );
        request.on("error", reject);
        request.end(JSON.stringify({ message: toPhone() }));
      },
    );
    expect(answer).toMatchObject({
      version: "1.1",
      status: 200,
      body: expect.stringContaining("projects/demo-project"),
    });
    expect(fcm.recorder.counts.accepted).toBe(1);
  });
});

describe("a message that is wrong", () => {
  it.each<[string, unknown, string, string]>([
    ["no message", undefined, "Invalid value at 'message'", "message"],
    ["no target", { data: {} }, "Recipient of the message is not set.", "message"],
    ["an empty token", { token: "" }, "Recipient of the message is not set.", "message"],
    ["two targets", { token: "a", topic: "b" }, "oneof", "message"],
    ["a token that is no string", { token: 5 }, "TYPE_STRING", "message.token"],
    [
      "a number in data",
      toPhone({ data: { a: "b", n: 12 } }),
      "Invalid value at 'message.data[1].value' (TYPE_STRING), 12",
      "message.data[1].value",
    ],
    [
      "an object in data",
      toPhone({ data: { n: { x: 1 } } }),
      '(TYPE_STRING), {"x":1}',
      "message.data[0].value",
    ],
    ["null in data", toPhone({ data: { n: null } }), "(TYPE_STRING), null", "message.data[0].value"],
    ["data that is a list", toPhone({ data: [] }), "Invalid value at 'message.data'", "message.data"],
    [
      "a number in Android's data",
      toPhone({ android: { data: { n: 1 } } }),
      "message.android.data[0].value",
      "message.android.data[0].value",
    ],
    [
      "the key from",
      toPhone({ data: { from: "x" } }),
      "Invalid data payload key: from",
      "message.data[0].key",
    ],
    [
      "the key message_type",
      toPhone({ data: { message_type: "x" } }),
      "Invalid data payload key: message_type",
      "message.data[0].key",
    ],
    [
      "a key with google",
      toPhone({ data: { "google.x": "x" } }),
      "Invalid data payload key: google.x",
      "message.data[0].key",
    ],
    ["the key gcm", toPhone({ data: { gcm: "x" } }), "Invalid data payload key: gcm", "message.data[0].key"],
    ["a ttl without unit", toPhone({ android: { ttl: "60" } }), "message.android.ttl", "message.android.ttl"],
    [
      "a ttl that is a number",
      toPhone({ android: { ttl: 60 } }),
      "message.android.ttl",
      "message.android.ttl",
    ],
    ["a negative ttl", toPhone({ android: { ttl: "-1s" } }), "message.android.ttl", "message.android.ttl"],
    [
      "a ttl over 28 days",
      toPhone({ android: { ttl: "2419201s" } }),
      "message.android.ttl",
      "message.android.ttl",
    ],
    [
      "an unknown priority",
      toPhone({ android: { priority: "urgent" } }),
      "message.android.priority",
      "message.android.priority",
    ],
    ["an unknown field", toPhone({ priority: "high" }), "Unknown name \"priority\" at 'message'", "message"],
    [
      "an unknown field for Android",
      toPhone({ android: { tag: "x" } }),
      "Unknown name \"tag\" at 'message.android'",
      "message.android",
    ],
  ])("with %s answers 400 and names the place", async (_name, message, text, field) => {
    const answer = await send(message);
    const { error } = JSON.parse(answer.body);
    expect([answer.status, error.code, error.status]).toEqual([400, 400, "INVALID_ARGUMENT"]);
    expect(error.message).toContain(text);
    const violations = error.details.find((detail: { "@type": string }) => detail["@type"] === BAD_REQUEST);
    expect(violations.fieldViolations[0].field).toBe(field);
    expect(fcm.recorder.counts.accepted).toBe(0);
  });

  it.each<[string, object]>([
    ["to a token over 4096 bytes", toPhone({ data: { k: "v".repeat(4096) } })],
    ["to a topic over 2048 bytes", { topic: "news", data: { k: "v".repeat(2048) } }],
    ["counted in bytes, not characters", toPhone({ data: { k: "é".repeat(2048) } })],
  ])("%s answers 400 without any details", async (_name, message) => {
    const answer = await send(message);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toEqual({
      error: { code: 400, message: "Request contains an invalid argument.", status: "INVALID_ARGUMENT" },
    });
  });

  it("that is not JSON answers 400", async () => {
    const answer = await client.request({ ":path": PATH, authorization }, "{");
    expect([answer.status, JSON.parse(answer.body).error.status]).toEqual([400, "INVALID_ARGUMENT"]);
  });
});

describe("address, credentials, project", () => {
  it.each<[string, Record<string, string>, number, string]>([
    ["a wrong path", { ":path": "/fcm/send" }, 404, "text/html"],
    ["another method", { ":method": "PUT" }, 404, "text/html"],
    ["another project", { ":path": "/v1/projects/other/messages:send" }, 404, "application/json"],
    ["another scheme", { authorization: "key=abc" }, 401, "application/json"],
    ["an unknown access token", { authorization: "Bearer ya29.unknown" }, 401, "application/json"],
  ])("%s", async (_name, headers, status, type) => {
    const answer = await send(toPhone(), headers);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toContain(type);
    expect(answer.body).not.toContain(FCM_DETAIL);
  });

  it("an access token is good until it expires, or all are revoked", async () => {
    const reason = async (): Promise<unknown> => {
      await client.close(); // its connection would reach its session_timeout
      client = await RawClient.connect(fcm.url, credentials);
      return JSON.parse((await send(toPhone())).body).error?.details[0].reason;
    };
    await clock.advance(3_598_000);
    expect(await reason()).toBeUndefined();
    await clock.advance(1000);
    expect(await reason()).toBe("ACCESS_TOKEN_EXPIRED");
    fcm.oauth.expiresInS = 5;
    authorization = `Bearer ${fcm.oauth.issue()}`;
    expect(await reason()).toBeUndefined();
    fcm.oauth.revokeAll();
    expect(await reason()).toBe("ACCESS_TOKEN_EXPIRED");
    authorization = `Bearer ${fcm.oauth.issue()}`;
    expect(await reason()).toBeUndefined();
  });
});

describe("registration tokens", () => {
  it.each([
    ["dead", 404, "NOT_FOUND", "UNREGISTERED"],
    ["foreign", 403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"],
    ["malformed", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
  ] as const)("a %s one", async (state, status, code, errorCode) => {
    fcm.setDevice("phone", state);
    const answer = await send(toPhone());
    const { error } = JSON.parse(answer.body);
    expect([answer.status, error.status]).toEqual([status, code]);
    expect(error.details[0]).toEqual({ "@type": FCM_DETAIL, errorCode });
    fcm.setDevice("phone", "alive");
    expect((await send(toPhone())).status).toBe(200);
  });

  it("every error of the table has the documented shape", async () => {
    for (const [reason, expected] of Object.entries(fcmErrors)) {
      fcm.script.add({ times: 1, answer: { kind: "error", reason, retryAfter: "soon" } });
      const answer = await send(toPhone());
      const { error } = JSON.parse(answer.body);
      expect(error).toEqual({
        code: answer.status,
        message: expected.message,
        status: expected.code,
        ...(expected.details === undefined ? {} : { details: expected.details }),
      });
      expect(answer.headers["retry-after"]).toBe("soon");
    }
    expect(fcm.recorder.counts.accepted).toBe(0);
  });
});

describe("rates and strictness", () => {
  it("of one device and of the project answer 429, each in its own form; strict tokens must be known", async () => {
    const strict = await FcmSimulator.start({
      credentials,
      clock,
      strictTokens: true,
      deviceRate: { count: 1, windowMs: 60_000 },
      projectRate: { count: 2, windowMs: 60_000 },
    });
    const other = await RawClient.connect(strict.url, credentials);
    const bearer = `Bearer ${strict.oauth.issue()}`;
    const post = async (token: string): Promise<string> =>
      (await other.request({ ":path": PATH, authorization: bearer }, JSON.stringify({ message: { token } })))
        .body;
    for (const token of ["a", "b", "c"]) strict.setDevice(token, "alive");
    expect(await post("unknown")).toContain("message.token");
    expect(await post("a")).toContain("projects/");
    expect(await post("a")).toContain("QuotaFailure");
    expect(await post("b")).toContain("projects/");
    expect(await post("c")).toContain("RATE_LIMIT_EXCEEDED");
    await other.close();
    await strict.stop();
  });
});

describe("connection habits", () => {
  const message = JSON.stringify({ message: { token: "phone" } });

  it("allows 100 streams", async () => {
    expect(client.limits).toEqual([100]);
    fcm.script.add({ answer: { kind: "hang" } });
    const headers = { ":path": PATH, authorization };
    for (let i = 0; i < 101; i += 1) void client.request(headers, message);
    await fcm.recorder.waitUntil((recorder) => recorder.counts.requests === 100);
    await new Promise((resolve) => client.session.ping(resolve));
    expect(fcm.recorder.counts.requests).toBe(100);
  });

  it("says GOAWAY 1 to a client that opens more than it allows", async () => {
    const rude = await RudeClient.connect(fcm.port, credentials.caPem);
    for (let i = 0; i < 101; i += 1)
      rude.open(i * 2 + 1, { ":method": "POST", ":path": "/", ":scheme": "https" });
    const goaway = await rude.seen((frame) => frame.type === GOAWAY);
    expect(goaway.payload.readUInt32BE(4)).toBe(1);
    rude.destroy();
  });

  it("three PINGs without a request between: GOAWAY too_many_pings", async () => {
    const ping = (): void => void client.session.ping(() => {});
    ping();
    ping();
    await send(toPhone());
    ping();
    ping();
    await send(toPhone());
    expect(client.goaways).toEqual([]);
    ping();
    ping();
    ping();
    await client.closed;
    expect(client.goaways[0]).toMatchObject({ code: 11, data: "too_many_pings" });
  });

  it("idle for 4 minutes: GOAWAY session_timeout", async () => {
    await clock.advance(200_000);
    await client.request({ ":path": PATH, authorization }, message);
    await clock.advance(239_000);
    await client.request({ ":path": PATH, authorization }, message);
    expect(client.goaways).toEqual([]);
    await clock.advance(240_000);
    await client.closed;
    expect(client.goaways[0]).toMatchObject({ code: 0, data: "session_timeout" });
  });

  it("an hour old: GOAWAY max_age", async () => {
    for (let minutes = 0; minutes < 60; minutes += 3) {
      expect(client.goaways).toEqual([]);
      expect(
        (await client.request({ ":path": PATH, authorization: `Bearer ${fcm.oauth.issue()}` }, message))
          .status,
      ).toBe(200);
      await clock.advance(180_000);
    }
    await client.closed;
    expect(client.goaways[0]).toMatchObject({ code: 0, data: "max_age" });
  });
});
