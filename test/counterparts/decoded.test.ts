import { createECDH, createPublicKey, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import {
  ANDROID,
  IOS,
  iosPushkey,
  message,
  startGateway,
  type RunningGateway,
} from "../support/with-gateway.ts";

/*
 * What our pushkins send, read by libraries that nobody here wrote: tokens by jsonwebtoken, messages by http_ece.
 * Neither ships types.
 */
const require = createRequire(import.meta.url);
/** A library that another one brings with it. */
const ofPackage = (owner: string, name: string): unknown => createRequire(require.resolve(owner))(name);
const jwt = ofPackage("@parse/node-apn", "jsonwebtoken") as {
  verify(
    token: string,
    key: string,
    options: { algorithms: readonly string[]; complete: true; issuer?: string; audience?: string | RegExp },
  ): { header: Record<string, unknown>; payload: Record<string, unknown> };
};
const ece = ofPackage("web-push", "http_ece") as {
  decrypt(body: Buffer, options: object): Buffer;
};

const WEB = "com.example.web";
let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await startGateway({
    config: { outbound: { allow_addresses: ["127.0.0.0/8", "::1/128"] } },
    apps: (_base, files) => ({
      [WEB]: {
        type: "webpush",
        vapid_private_key: files.vapidKey,
        vapid_contact_email: "operator@example.com",
        ca_file: files.ca,
      },
    }),
  });
});
afterAll(() => gateway.stop());

const nowS = (): number => Date.now() / 1_000;

describe("jsonwebtoken", () => {
  it("verifies the provider token that Apple is shown", async () => {
    await gateway.notify(message([{ app_id: IOS, pushkey: iosPushkey("a1"), data: {} }]));
    const sent = gateway.simulators.recorder.accepted.find(({ upstream }) => upstream === "apns");
    const { apnsKey } = gateway.simulators.credentials;
    const publicKey = createPublicKey(apnsKey.keyPem).export({ type: "spki", format: "pem" }).toString();
    const [scheme, token = ""] = (sent?.headers["authorization"] ?? "").split(" ");
    const { header, payload } = jwt.verify(token, publicKey, {
      algorithms: ["ES256"],
      complete: true,
      issuer: apnsKey.teamId,
    });
    expect(scheme).toBe("bearer");
    expect(header["kid"]).toBe(apnsKey.keyId);
    expect(Math.abs(Number(payload["iat"]) - nowS())).toBeLessThan(60);
  });

  it("verifies the assertion that Google is shown", async () => {
    await gateway.notify(message([{ app_id: ANDROID, pushkey: "phone", data: {} }]));
    const asked = gateway.simulators.recorder.requests.find(({ upstream }) => upstream === "oauth");
    const form = new URLSearchParams(asked?.body ?? "");
    const { payload } = jwt.verify(
      form.get("assertion") ?? "",
      gateway.simulators.credentials.serviceAccountPublicKey,
      { algorithms: ["RS256"], complete: true },
    );
    expect(form.get("grant_type")).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
    expect(payload["scope"]).toBe("https://www.googleapis.com/auth/firebase.messaging");
    expect(Number(payload["exp"]) - Number(payload["iat"])).toBeLessThanOrEqual(3_600);
    const sent = gateway.simulators.recorder.accepted.find(({ upstream }) => upstream === "fcm");
    expect(sent?.headers["authorization"]).toMatch(/^Bearer ya29\./);
  });

  it("verifies the VAPID token that a push service is shown, and http_ece reads the message", async () => {
    const browser = createECDH("prime256v1");
    const p256dh = browser.generateKeys("base64url");
    const auth = randomBytes(16).toString("base64url");
    const subscription = gateway.simulators.webPush.subscribe({ keys: { p256dh, auth } });
    const data = { endpoint: subscription.endpoint, auth };
    const event = message([{ app_id: WEB, pushkey: p256dh, data }]) as { event_id: string };
    expect(await gateway.notify(event)).toMatchObject({ status: 200, body: { rejected: [] } });

    const sent = gateway.simulators.recorder.accepted.find(({ upstream }) => upstream === "webpush");
    const [, token = "", key = ""] =
      /^vapid t=([^,]+), ?k=(.+)$/.exec(sent?.headers["authorization"] ?? "") ?? [];
    const point = Buffer.from(key, "base64url");
    const jwk = {
      kty: "EC",
      crv: "P-256",
      x: point.subarray(1, 33).toString("base64url"),
      y: point.subarray(33).toString("base64url"),
    };
    const pem = createPublicKey({ key: jwk, format: "jwk" })
      .export({ type: "spki", format: "pem" })
      .toString();
    const { payload } = jwt.verify(token, pem, {
      algorithms: ["ES256"],
      complete: true,
      audience: new URL(subscription.endpoint).origin,
    });
    expect(payload["sub"]).toBe("mailto:operator@example.com");
    expect(Number(payload["exp"])).toBeLessThanOrEqual(nowS() + 86_400);

    const [received] = subscription.messages;
    const text = ece.decrypt(received?.body ?? Buffer.alloc(0), {
      version: "aes128gcm",
      privateKey: browser,
      authSecret: auth,
    });
    expect(JSON.parse(text.toString("utf8"))).toMatchObject({
      event_id: event.event_id,
      content: { body: "hello" },
    });
  });
});
