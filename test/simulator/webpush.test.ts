import { createPrivateKey, sign } from "node:crypto";
import { request } from "node:https";
import webPush from "web-push";
import { createCredentials, type Credentials } from "../../src/simulator/credentials.ts";
import { WebPushSimulator, type SimulatedSubscription } from "../../src/simulator/webpush.ts";
import { UnifiedPushSimulator } from "../../src/simulator/unifiedpush.ts";

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

let credentials: Credentials;
let service: WebPushSimulator;
const key = webPush.generateVAPIDKeys();

beforeAll(async () => {
  credentials = createCredentials();
  service = await WebPushSimulator.start({ credentials });
});
afterAll(() => service.stop());

/** A plain https client that has nothing in common with the gateway's. */
function send(
  url: string,
  headers: Record<string, string>,
  body: Buffer | string = "",
  method = "POST",
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, ca: credentials.caPem, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const vapid = (aud = service.url, sub = "mailto:ops@example.com"): string =>
  webPush.getVapidHeaders(aud, sub, key.publicKey, key.privateKey, "aes128gcm").Authorization;
const message = ({ keys }: SimulatedSubscription, text = '{"a":1}'): Buffer =>
  webPush.encrypt(keys.p256dh, keys.auth, text, "aes128gcm").cipherText;
const goodHeaders = (): Record<string, string> => ({
  ttl: "60",
  "content-encoding": "aes128gcm",
  authorization: vapid(),
});

/** A VAPID token with any claims, rightly signed. */
function token(claims: object, header: object = { typ: "JWT", alg: "ES256" }): string {
  const point = Buffer.from(key.publicKey, "base64url");
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: key.privateKey,
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
  };
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature = sign("sha256", Buffer.from(text), {
    key: createPrivateKey({ key: jwk, format: "jwk" }),
    dsaEncoding: "ieee-p1363",
  });
  return `vapid t=${text}.${signature.toString("base64url")}, k=${key.publicKey}`;
}

describe("the Web Push simulator", () => {
  it("takes a good message as RFC 8030 says, and its browser reads it", async () => {
    const subscription = service.subscribe();
    const reply = await send(subscription.endpoint, goodHeaders(), message(subscription, '{"text":"þ"}'));
    expect(reply.status).toBe(201);
    expect(reply.headers).toMatchObject({
      ttl: "60",
      location: expect.stringMatching(/^https:\/\/.+\/message\/.+/),
    });
    expect(subscription.messages).toMatchObject([{ text: '{"text":"þ"}', ttl: 60, urgency: "normal" }]);
    expect(service.recorder.accepted.at(-1)).toMatchObject({
      upstream: "webpush",
      token: subscription.id,
      payload: { text: "þ" },
    });
  });

  it("gives subscriptions to whoever asks", async () => {
    const reply = await send(
      `${service.url}/subscribe`,
      {},
      JSON.stringify({ applicationServerKey: key.publicKey }),
    );
    const { endpoint, keys } = JSON.parse(reply.body) as SimulatedSubscription;
    expect(reply.status).toBe(201);
    const { cipherText } = webPush.encrypt(keys.p256dh, keys.auth, "x", "aes128gcm");
    expect((await send(endpoint, goodHeaders(), cipherText)).status).toBe(201);
  });

  const nowS = Math.floor(Date.now() / 1_000);
  it.each<[string, (s: SimulatedSubscription) => Record<string, string>, number, number]>([
    ["no TTL", () => ({ ...goodHeaders(), ttl: "" }), 400, 111],
    ["a TTL that is no number", () => ({ ...goodHeaders(), ttl: "-1" }), 400, 111],
    ["an unknown Urgency", () => ({ ...goodHeaders(), urgency: "urgent" }), 400, 112],
    [
      "a Topic with padding",
      () => ({ ...goodHeaders(), topic: "v8DnloCPT8qEgHyLF2tKR-8JPeX-mg==" }),
      400,
      113,
    ],
    ["a Topic of 33 characters", () => ({ ...goodHeaders(), topic: "a".repeat(33) }), 400, 113],
    ["no Content-Encoding", () => ({ ...goodHeaders(), "content-encoding": "" }), 400, 110],
    ["the draft's encoding", () => ({ ...goodHeaders(), "content-encoding": "aesgcm" }), 400, 110],
    ["no VAPID", () => ({ ...goodHeaders(), authorization: "" }), 401, 109],
    [
      "VAPID for another service",
      () => ({ ...goodHeaders(), authorization: vapid("https://other.example") }),
      401,
      109,
    ],
    [
      "VAPID that has ended",
      () => ({
        ...goodHeaders(),
        authorization: token({ aud: service.url, exp: nowS - 1, sub: "mailto:a@b.c" }),
      }),
      401,
      109,
    ],
    [
      "VAPID for more than a day",
      () => ({
        ...goodHeaders(),
        authorization: token({ aud: service.url, exp: nowS + 86_500, sub: "mailto:a@b.c" }),
      }),
      401,
      109,
    ],
    [
      "VAPID without a contact",
      () => ({ ...goodHeaders(), authorization: token({ aud: service.url, exp: nowS + 60 }) }),
      401,
      109,
    ],
    [
      "VAPID with a signature that does not hold",
      () => ({
        ...goodHeaders(),
        authorization: vapid().replace(/\.[^.,]{20}([^.,]*, k=)/, `.${"A".repeat(20)}$1`),
      }),
      401,
      109,
    ],
    [
      "VAPID that is not signed",
      () => ({
        ...goodHeaders(),
        authorization: token({ aud: service.url, exp: nowS + 60, sub: "mailto:a@b.c" }, { alg: "none" }),
      }),
      401,
      109,
    ],
  ])("refuses %s", async (_what, headers, status, errno) => {
    const subscription = service.subscribe();
    const reply = await send(subscription.endpoint, headers(subscription), message(subscription));
    expect([reply.status, JSON.parse(reply.body).errno]).toEqual([status, errno]);
    expect(subscription.messages).toEqual([]);
  });

  it("refuses a body over 4096 bytes, one that its browser could not read, and one of several records", async () => {
    const subscription = service.subscribe();
    const other = service.subscribe();
    const statusOf = async (body: Buffer): Promise<number> =>
      (await send(subscription.endpoint, goodHeaders(), body)).status;
    expect(await statusOf(message(subscription, "x".repeat(3_993)))).toBe(201);
    expect(await statusOf(message(subscription, "x".repeat(3_994)))).toBe(413);
    expect(await statusOf(message(other))).toBe(400);
    expect(await statusOf(Buffer.from("plain text, in truth a good deal of it"))).toBe(400);
  });

  it("refuses another key than the subscription's", async () => {
    const subscription = service.subscribe({ applicationServerKey: webPush.generateVAPIDKeys().publicKey });
    expect((await send(subscription.endpoint, goodHeaders(), message(subscription))).status).toBe(401);
  });

  it("refuses what is gone, unknown, or not a push", async () => {
    const subscription = service.subscribe();
    subscription.state = "gone";
    expect((await send(subscription.endpoint, goodHeaders(), message(subscription))).status).toBe(410);
    expect((await send(`${service.url}/send/unknown`, goodHeaders(), message(subscription))).status).toBe(
      404,
    );
    expect((await send(`${service.url}/`, goodHeaders(), "")).status).toBe(404);
    expect((await send(subscription.endpoint, goodHeaders(), "", "PUT")).status).toBe(405);
  });

  it("speaks as Apple's and Google's services do", async () => {
    const apple = await WebPushSimulator.start({ credentials, dialect: "apple" });
    const google = await WebPushSimulator.start({ credentials, dialect: "google" });
    const ask = (at: WebPushSimulator, headers: Record<string, string>): Promise<Reply> => {
      const subscription = at.subscribe();
      const authorization = vapid(at.url);
      return send(
        subscription.endpoint,
        { ...goodHeaders(), authorization, ...headers },
        message(subscription),
      );
    };
    try {
      // Apple decodes the Topic: 13 characters are no base64.
      expect(await ask(apple, { topic: "a".repeat(13) })).toMatchObject({
        status: 400,
        body: '{"reason":"BadWebPushTopic"}',
      });
      expect((await ask(google, { topic: "a".repeat(13) })).status).toBe(201);
      expect(await ask(apple, { authorization: "" })).toMatchObject({
        status: 403,
        body: '{"reason":"BadJwtToken"}',
      });
      expect(await ask(google, { authorization: "" })).toMatchObject({
        status: 401,
        body: "UnauthorizedRegistration\n",
      });
    } finally {
      await apple.stop();
      await google.stop();
    }
  });
});

describe("the UnifiedPush simulator", () => {
  let server: UnifiedPushSimulator;
  beforeAll(async () => (server = await UnifiedPushSimulator.start({ credentials })));
  afterAll(() => server.stop());
  const headers = { ttl: "60", "content-encoding": "aes128gcm" };

  it("takes plain and encrypted messages, and hands them to the app", async () => {
    const plain = server.register();
    expect((await send(plain.endpoint, headers, '{"notification":{}}')).status).toBe(200);
    expect(plain.messages).toMatchObject([{ text: '{"notification":{}}' }]);
    const encrypted = server.register({ encrypted: true });
    const { p256dh = "", auth = "" } = encrypted.keys ?? {};
    const { cipherText } = webPush.encrypt(p256dh, auth, "secret", "aes128gcm");
    expect((await send(encrypted.endpoint, headers, cipherText)).status).toBe(200);
    expect(encrypted.messages).toMatchObject([{ text: "secret" }]);
    expect((await send(encrypted.endpoint, headers, "plain")).status).toBe(400);
  });

  it("refuses what today's servers refuse", async () => {
    const endpoint = server.register();
    const statusOf = async (change: Record<string, string>, body: Buffer | string = "x"): Promise<number> =>
      (await send(endpoint.endpoint, { ...headers, ...change }, body)).status;
    expect(await statusOf({ ttl: "" })).toBe(400);
    expect(await statusOf({ "content-encoding": "" })).toBe(400);
    expect(await statusOf({}, "")).toBe(400);
    expect(await statusOf({}, Buffer.alloc(4_096, "x"))).toBe(200);
    expect(await statusOf({}, Buffer.alloc(4_097, "x"))).toBe(413);
    endpoint.state = "nobody";
    expect(await statusOf({})).toBe(507);
    expect((await send(`${server.url}/upunknown?up=1`, headers, "x")).status).toBe(404);
  });

  it("says what it is to whoever looks, and registers whoever asks", async () => {
    const discovery = await send(`${server.url}/_matrix/push/v1/notify`, {}, "", "GET");
    expect([discovery.status, JSON.parse(discovery.body)]).toEqual([
      200,
      { unifiedpush: { gateway: "matrix" } },
    ]);
    const registered = JSON.parse((await send(`${server.url}/register`, {}, '{"encrypted":true}')).body);
    expect(registered).toMatchObject({
      endpoint: expect.any(String),
      p256dh: expect.any(String),
      auth: expect.any(String),
    });
  });
});
