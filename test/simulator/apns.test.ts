import { connect as connectTls } from "node:tls";
import { ApnsSimulator } from "../../src/simulator/apns.ts";
import { createApnsKey, createCredentials } from "../../src/simulator/credentials.ts";
import { Script } from "../../src/simulator/script.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { providerToken, RawClient } from "./raw-client.ts";

const clock = createFakeClock();
const credentials = createCredentials();
const TOKEN = "0a".repeat(32);
const UUID = "123e4567-e89b-12d3-a456-426655440000";
const ALERT = '{"aps":{"alert":"Hello"}}';
const otherTeam = createApnsKey();
const sameTeam = createApnsKey({ teamId: credentials.apnsKey.teamId });
const sandboxKey = createApnsKey({ environment: "sandbox" });
const scopedKey = createApnsKey({ topics: ["com.example.other"] });
const stranger = createApnsKey();
const usualToken = `bearer ${providerToken(credentials.apnsKey, clock.now())}`;

let apns: ApnsSimulator;
let client: RawClient;

beforeAll(async () => {
  apns = await ApnsSimulator.start({
    credentials,
    clock,
    script: new Script({ tokenPrefixes: true }),
    keys: [credentials.apnsKey, otherTeam, sameTeam, sandboxKey, scopedKey],
    topics: ["com.example.app", "com.example.other", "com.example.app.voip", "com.example.app.complication"],
  });
});
beforeEach(async () => {
  client = await RawClient.connect(apns.url, credentials);
});
afterEach(() => client.close());
afterAll(() => apns.stop());

type Headers = Record<string, string | string[]>;

function push(
  headers: Headers = {},
  body: string | Buffer = ALERT,
  on = client,
): Promise<{ status: number; body: string; headers: object }> {
  const defaults = {
    ":path": `/3/device/${TOKEN}`,
    authorization: usualToken,
    "apns-topic": "com.example.app",
    "apns-push-type": "alert",
  };
  const all = Object.fromEntries(
    Object.entries({ ...defaults, ...headers }).filter(([, value]) => value !== ""),
  );
  return on.request(all, body);
}

const bearer = (...args: Parameters<typeof providerToken>): Headers => ({
  authorization: `bearer ${providerToken(...args)}`,
});
const voip = { "apns-push-type": "voip", "apns-topic": "com.example.app.voip" };
const sized = (bytes: number): string => `{"aps":{},"x":"${"y".repeat(bytes - 17)}"}`;

describe("a request that is all right", () => {
  it.each<[string, Headers, string | Buffer]>([
    ["with the least", {}, ALERT],
    [
      "with every header",
      { "apns-id": UUID, "apns-expiration": "0", "apns-priority": "5", "apns-collapse-id": "c".repeat(64) },
      ALERT,
    ],
    ["with a late expiration", { "apns-expiration": "4294967295" }, ALERT],
    ["with priority 1", { "apns-priority": "1" }, ALERT],
    ["without a push type", { "apns-push-type": "" }, ALERT],
    ["with an upper-case token of one byte", { ":path": "/3/device/AB" }, ALERT],
    ["with a token of 80 bytes", { ":path": `/3/device/${"12".repeat(80)}` }, ALERT],
    [
      "in the background",
      { "apns-push-type": "background", "apns-priority": "5" },
      '{"aps":{"content-available":1}}',
    ],
    ["of 4096 bytes", {}, sized(4096)],
    ["of 5120 bytes for VoIP", voip, sized(5120)],
    [
      "of a key scoped to the topic",
      { ...bearer(scopedKey, clock.now()), "apns-topic": "com.example.other" },
      ALERT,
    ],
    ["with a token an hour old", bearer(credentials.apnsKey, clock.now() - 3_599_000), ALERT],
  ])("%s answers 200 with an apns-id and nothing else", async (_name, headers, body) => {
    const answer = await push(headers, body);
    expect([answer.status, answer.body]).toEqual([200, ""]);
    expect(answer.headers).toHaveProperty(
      "apns-id",
      headers["apns-id"] ?? expect.stringMatching(/^[0-9A-F-]{36}$/),
    );
    expect(answer.headers).not.toHaveProperty("apns-unique-id");
    expect(answer.headers).not.toHaveProperty("content-type");
  });
});

describe("a request that is wrong", () => {
  it.each<[number, string, string, Headers, (string | Buffer)?]>([
    [405, "MethodNotAllowed", "PUT", { ":method": "PUT" }],
    [404, "BadPath", "another path", { ":path": "/2/device/aa" }],
    [400, "MissingDeviceToken", "an empty token", { ":path": "/3/device/" }],
    [400, "MissingDeviceToken", "no token", { ":path": "/3/device" }],
    [400, "BadDeviceToken", "an odd number of digits", { ":path": "/3/device/abc" }],
    [400, "BadDeviceToken", "a base64 token", { ":path": "/3/device/q80=" }],
    [400, "BadDeviceToken", "a query", { ":path": `/3/device/${TOKEN}?a` }],
    [400, "DuplicateHeaders", "a header twice", { "apns-priority": ["10", "5"] }],
    [400, "BadMessageId", "an id that is no UUID", { "apns-id": "1234" }],
    [400, "BadExpirationDate", "a fraction", { "apns-expiration": "1.5" }],
    [400, "BadExpirationDate", "a negative time", { "apns-expiration": "-1" }],
    [400, "BadExpirationDate", "milliseconds", { "apns-expiration": "1795200000000" }],
    [400, "BadPriority", "priority 7", { "apns-priority": "7" }],
    [400, "InvalidPushType", "an unknown push type", { "apns-push-type": "message" }],
    [400, "BadCollapseId", "65 bytes", { "apns-collapse-id": "c".repeat(65) }],
    [400, "MissingTopic", "no topic", { "apns-topic": "" }],
    [400, "BadTopic", "a topic with a space", { "apns-topic": "com.example app" }],
    [403, "MissingProviderToken", "no authorization", { authorization: "" }],
    [403, "InvalidProviderToken", "another scheme", { authorization: "basic abc" }],
    [403, "InvalidProviderToken", "no JWT", { authorization: "bearer abc" }],
    [403, "InvalidProviderToken", "an unknown key", bearer(stranger, clock.now())],
    [
      403,
      "InvalidProviderToken",
      "another key's signature",
      bearer({ ...stranger, keyId: credentials.apnsKey.keyId }, clock.now()),
    ],
    [
      403,
      "InvalidProviderToken",
      "another algorithm",
      bearer(credentials.apnsKey, clock.now(), {}, { alg: "none" }),
    ],
    [
      403,
      "InvalidProviderToken",
      "another team",
      bearer(credentials.apnsKey, clock.now(), { iss: "ABCDEFGHIJ" }),
    ],
    [403, "InvalidProviderToken", "no iat", bearer(credentials.apnsKey, clock.now(), { iat: "now" })],
    [403, "InvalidProviderToken", "a time far ahead", bearer(credentials.apnsKey, clock.now() + 3_700_000)],
    [
      403,
      "ExpiredProviderToken",
      "a token over an hour old",
      bearer(credentials.apnsKey, clock.now() - 3_602_000),
    ],
    [403, "BadEnvironmentKeyIdInToken", "a sandbox key", bearer(sandboxKey, clock.now())],
    [400, "TopicDisallowed", "a topic that is not the team's", { "apns-topic": "com.example.stranger" }],
    [400, "TopicDisallowed", "a topic that is not the key's", bearer(scopedKey, clock.now())],
    [400, "BadTopic", "VoIP without its suffix", { "apns-push-type": "voip" }],
    [400, "BadTopic", "an alert with VoIP's suffix", { "apns-topic": "com.example.app.voip" }],
    [400, "BadPriority", "background at 10", { "apns-push-type": "background", "apns-priority": "10" }],
    [400, "BadPriority", "background at the default", { "apns-push-type": "background" }],
    [400, "PayloadEmpty", "no body", {}, ""],
    [413, "PayloadTooLarge", "4097 bytes", {}, sized(4097)],
    [413, "PayloadTooLarge", "5121 bytes of VoIP", voip, sized(5121)],
    [413, "PayloadTooLarge", "a megabyte", {}, sized(1_000_000)],
    [400, "PayloadEmpty", "a body that is not JSON", {}, "hello"],
    [400, "PayloadEmpty", "a body that is no object", {}, "[]"],
  ])("answers %i %s to %s", async (status, reason, _what, headers, body = ALERT) => {
    const before = apns.recorder.counts.accepted;
    const answer = await push(headers, body);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, { reason }]);
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "apns-id": expect.stringMatching(/^[0-9a-f-]{36}$/i),
    });
    expect(apns.recorder.counts.accepted).toBe(before);
    expect(apns.recorder.requests.at(-1)?.answer).toEqual({ kind: "reply", status, reason });
  });

  it("the earlier fault in Apple's order is the one named", async () => {
    const answer = await push(
      { ":path": "/3/device/deadbeef", "apns-id": "x", "apns-priority": "9", authorization: "" },
      "",
    );
    expect(JSON.parse(answer.body)).toEqual({ reason: "BadMessageId" });
  });
});

describe("device tokens", () => {
  it("those that begin with dead answer 410 with the time in ms", async () => {
    const answer = await push({ ":path": "/3/device/deadbeef", "apns-id": UUID });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      410,
      { reason: "Unregistered", timestamp: clock.now() },
    ]);
    expect(answer.headers).toMatchObject({ "apns-id": UUID });
  });

  it.each<[string, Parameters<ApnsSimulator["setDevice"]>[1], number, object]>([
    ["of the other environment", { environment: "sandbox" }, 400, { reason: "BadDeviceToken" }],
    ["of this environment", { environment: "production" }, 200, {}],
    ["of another topic", { topics: ["com.example.other"] }, 400, { reason: "DeviceTokenNotForTopic" }],
    [
      "that died",
      { state: "unregistered", diedAtMs: 1234567890123 },
      410,
      { reason: "Unregistered", timestamp: 1234567890123 },
    ],
    ["that expired", { state: "expired", diedAtMs: 5 }, 410, { reason: "ExpiredToken", timestamp: 5 }],
    ["that lives again", { state: "alive" }, 200, {}],
  ])("one %s is answered so", async (_name, device, status, body) => {
    apns.setDevice("AA11", device);
    const answer = await push({ ":path": "/3/device/aa11" });
    expect([answer.status, JSON.parse(answer.body || "{}")]).toEqual([status, body]);
  });

  it("unknown ones are bad when tokens are strict; too many to one answer 429; the sandbox names its log entry", async () => {
    const strict = await ApnsSimulator.start({
      credentials,
      clock,
      strictTokens: true,
      environment: "sandbox",
      deviceRate: { count: 2, windowMs: 1000 },
    });
    const other = await RawClient.connect(strict.url, credentials);
    try {
      expect(JSON.parse((await push({}, ALERT, other)).body)).toEqual({ reason: "BadDeviceToken" });
      strict.setDevice(TOKEN, {});
      const first = await push({}, ALERT, other);
      expect(first.headers).toHaveProperty("apns-unique-id");
      expect([first.status, (await push({}, ALERT, other)).status]).toEqual([200, 200]);
      const third = await push({}, ALERT, other);
      expect([third.status, JSON.parse(third.body)]).toEqual([429, { reason: "TooManyRequests" }]);
      await clock.advance(1000);
      expect((await push({}, ALERT, other)).status).toBe(200);
    } finally {
      await other.close();
      await strict.stop();
    }
  });
});

describe("the connection", () => {
  it("allows one stream until the first valid provider token, then a thousand", async () => {
    expect(client.limits).toEqual([1]);
    await push({ authorization: "bearer abc" });
    expect(client.limits).toEqual([1]);
    await push({}, "");
    await push();
    expect(client.limits).toEqual([1, 1000]);
  });

  it("is for HTTP/2 alone", async () => {
    const outcome = await new Promise<string>((resolve) => {
      const socket = connectTls({
        port: apns.port,
        host: "127.0.0.1",
        ca: credentials.caPem,
        ALPNProtocols: ["http/1.1"],
      });
      socket.once("secureConnect", () => resolve("accepted"));
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "?"));
    });
    expect(outcome).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
    const silent = connectTls({ port: apns.port, host: "127.0.0.1", ca: credentials.caPem });
    silent.on("error", () => {});
    await new Promise((resolve) => silent.once("close", resolve));
    expect(silent.alpnProtocol).toBe(false);
  });

  it("keeps to the first team and key", async () => {
    expect((await push()).status).toBe(200);
    expect(JSON.parse((await push(bearer(sameTeam, clock.now()))).body)).toEqual({
      reason: "UnrelatedKeyIdInToken",
    });
    expect(JSON.parse((await push(bearer(otherTeam, clock.now()))).body)).toEqual({
      reason: "InvalidProviderToken",
    });
    expect((await push(bearer(otherTeam, clock.now()), ALERT)).status).toBe(403);
  });

  it("takes a new provider token after 20 minutes, not sooner, and is useless in between", async () => {
    const first = bearer(credentials.apnsKey, clock.now());
    expect((await push(first)).status).toBe(200);
    await clock.advance(20 * 60_000 - 1000);
    expect((await push(first)).status).toBe(200);
    const early = await push(bearer(credentials.apnsKey, clock.now()));
    expect([early.status, JSON.parse(early.body)]).toEqual([429, { reason: "TooManyProviderTokenUpdates" }]);
    expect((await push(first)).status).toBe(429);
    await clock.advance(1000);
    const second = bearer(credentials.apnsKey, clock.now());
    expect((await push(second)).status).toBe(200);
    expect((await push(first)).status).toBe(429);
  });

  it("never recovers from an expired provider token", async () => {
    const old = bearer(credentials.apnsKey, clock.now() - 3_700_000);
    expect(JSON.parse((await push(old)).body)).toEqual({ reason: "ExpiredProviderToken" });
    expect(JSON.parse((await push()).body)).toEqual({ reason: "ExpiredProviderToken" });
    const fresh = await RawClient.connect(apns.url, credentials);
    expect((await push({}, ALERT, fresh)).status).toBe(200);
    await fresh.close();
  });

  it("refuses a revoked key", async () => {
    const key = createApnsKey();
    apns.addKey(key);
    const authorization = bearer(key, clock.now());
    expect((await push(authorization)).status).toBe(200);
    apns.removeKey(key.keyId);
    expect(JSON.parse((await push(authorization)).body)).toEqual({ reason: "InvalidProviderToken" });
  });
});

describe("certificate authentication", () => {
  const noToken = { authorization: "" };
  const connectWith = (topics: string[], environments: ("production" | "sandbox")[]): Promise<RawClient> =>
    RawClient.connect(apns.url, credentials, credentials.issueApnsCertificate({ topics, environments }));

  it("allows a thousand streams at once and needs no header for its only topic", async () => {
    const certified = await connectWith(["com.example.app"], ["production"]);
    expect(certified.limits).toEqual([1000]);
    expect((await push({ ...noToken, "apns-topic": "" }, ALERT, certified)).status).toBe(200);
    expect(apns.recorder.accepted.at(-1)?.topic).toBe("com.example.app");
    expect((await push({ authorization: "bearer nonsense" }, ALERT, certified)).status).toBe(200);
    const other = await push({ ...noToken, "apns-topic": "com.example.other" }, ALERT, certified);
    expect(JSON.parse(other.body)).toEqual({ reason: "TopicDisallowed" });
    await certified.close();
  });

  it("needs the topic when it has several", async () => {
    const certified = await connectWith(["com.example.app", "com.example.app.voip"], ["production"]);
    expect(JSON.parse((await push({ ...noToken, "apns-topic": "" }, ALERT, certified)).body)).toEqual({
      reason: "MissingTopic",
    });
    expect((await push({ ...noToken, ...voip }, ALERT, certified)).status).toBe(200);
    await certified.close();
  });

  it("refuses one of the other environment, and one of another authority", async () => {
    const sandbox = await connectWith(["com.example.app"], ["sandbox"]);
    expect(JSON.parse((await push(noToken, ALERT, sandbox)).body)).toEqual({
      reason: "BadCertificateEnvironment",
    });
    await sandbox.close();
    const foreign = createCredentials().issueApnsCertificate({
      topics: ["com.example.app"],
      environments: ["production"],
    });
    const untrusted = await RawClient.connect(apns.url, credentials, foreign);
    expect(untrusted.limits).toEqual([1]);
    expect(JSON.parse((await push({}, ALERT, untrusted)).body)).toEqual({ reason: "BadCertificate" });
    await untrusted.close();
  });
});

describe("the record", () => {
  it("has headers, body and payload of an accepted push", async () => {
    await push({ "apns-id": UUID, "apns-collapse-id": "room" });
    expect(apns.recorder.accepted.at(-1)).toMatchObject({
      upstream: "apns",
      method: "POST",
      token: TOKEN,
      topic: "com.example.app",
      headers: { "apns-id": UUID, "apns-collapse-id": "room", "apns-push-type": "alert" },
      body: ALERT,
      payload: { aps: { alert: "Hello" } },
      answer: { kind: "reply", status: 200 },
      accepted: true,
      atMs: clock.now(),
    });
  });
});
