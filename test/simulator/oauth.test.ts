import { createCredentials } from "../../src/simulator/credentials.ts";
import { FcmSimulator } from "../../src/simulator/fcm.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { assertion, jws, RawClient } from "./raw-client.ts";

const clock = createFakeClock();
const credentials = createCredentials();
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";

let fcm: FcmSimulator;
let client: RawClient;

beforeAll(async () => {
  fcm = await FcmSimulator.start({ credentials, clock, audiences: ["https://token.example"] });
  client = await RawClient.connect(fcm.url, credentials);
});
afterAll(async () => {
  await client.close();
  await fcm.stop();
});

async function exchange(
  jwt: string,
  grant = GRANT,
): Promise<{ status: number; body: Record<string, unknown>; retryAfter: unknown }> {
  const form = new URLSearchParams({ grant_type: grant, assertion: jwt }).toString();
  const answer = await client.request(
    { ":path": "/token", "content-type": "application/x-www-form-urlencoded" },
    form,
  );
  return { status: answer.status, body: JSON.parse(answer.body), retryAfter: answer.headers["retry-after"] };
}

const nowS = (): number => Math.floor(clock.now() / 1000);
const asserted = (claims: object = {}, header: object = {}): string =>
  assertion(credentials, fcm.tokenUri, clock.now(), claims, header);

describe("the token endpoint", () => {
  it.each<[string, object, object]>([
    ["with the file's key id", {}, {}],
    ["without a key id", {}, { kid: undefined }],
    ["for localhost", { aud: "localhost" }, {}],
    ["for Google's own address", { aud: "https://oauth2.googleapis.com/token" }, {}],
    ["for a further audience", { aud: "https://token.example" }, {}],
    ["with several scopes", { scope: "openid https://www.googleapis.com/auth/firebase.messaging" }, {}],
    ["of a clock four minutes ahead", { iat: nowS() + 240, exp: nowS() + 3840 }, {}],
  ])("gives an access token to a good assertion %s", async (_name, claims, header) => {
    const aud =
      "aud" in claims && claims.aud === "localhost" ? { aud: `https://localhost:${fcm.port}/token` } : {};
    const { status, body } = await exchange(asserted({ ...claims, ...aud }, header));
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.stringMatching(/^ya29\./),
      expires_in: 3599,
      token_type: "Bearer",
    });
    expect(fcm.oauth.stateOf(String(body["access_token"]))).toBe("good");
  });

  it.each<[string, () => string, string, RegExp]>([
    ["no JWT", () => "abc", "invalid_grant", /Signature/],
    [
      "another key's signature",
      () =>
        assertion(
          createCredentials(),
          fcm.tokenUri,
          clock.now(),
          { iss: credentials.serviceAccount("").client_email },
          { kid: credentials.serviceAccount("").private_key_id },
        ),
      "invalid_grant",
      /Signature/,
    ],
    ["an unknown key id", () => asserted({}, { kid: "0000" }), "invalid_grant", /Signature/],
    [
      "another algorithm",
      () => jws({ alg: "none" }, {}, () => Buffer.alloc(0)),
      "invalid_grant",
      /Signature/,
    ],
    [
      "changed claims",
      () => asserted().replace(/\.[^.]+\./, `.${Buffer.from("{}").toString("base64url")}.`),
      "invalid_grant",
      /Signature/,
    ],
    ["another issuer", () => asserted({ iss: "someone@example.com" }), "invalid_grant", /account not found/],
    ["another audience", () => asserted({ aud: "https://example.com/token" }), "invalid_grant", /audience/],
    ["no time", () => asserted({ iat: undefined }), "invalid_grant", /short-lived/],
    ["a life over an hour", () => asserted({ exp: nowS() + 3601 }), "invalid_grant", /short-lived/],
    ["an end before its start", () => asserted({ exp: nowS() - 1 }), "invalid_grant", /short-lived/],
    ["an old iat", () => asserted({ iat: nowS() - 600, exp: nowS() + 600 }), "invalid_grant", /short-lived/],
    [
      "an iat ahead",
      () => asserted({ iat: nowS() + 600, exp: nowS() + 1200 }),
      "invalid_grant",
      /short-lived/,
    ],
    ["another scope", () => asserted({ scope: "openid" }), "invalid_scope", /scope/],
    ["no scope", () => asserted({ scope: undefined }), "invalid_scope", /scope/],
  ])("refuses %s", async (_name, jwt, error, description) => {
    const { status, body } = await exchange(jwt());
    expect([status, body["error"]]).toEqual([400, error]);
    expect(body["error_description"]).toMatch(description);
  });

  it("refuses another grant type", async () => {
    expect((await exchange(asserted(), "password")).body["error"]).toBe("unsupported_grant_type");
  });

  it("fails as a script says, late if it says so, and counts its requests", async () => {
    const before = fcm.oauth.requests;
    fcm.script.add(
      {
        upstream: "oauth",
        times: 1,
        answer: { kind: "error", reason: "invalid_grant", message: "Invalid JWT Signature." },
      },
      {
        upstream: "oauth",
        times: 1,
        answer: { kind: "error", reason: "internal_failure", status: 500, retryAfter: "7" },
      },
      { upstream: "oauth", times: 1, delay: 2000 },
    );
    expect(await exchange(asserted())).toMatchObject({
      status: 400,
      body: { error: "invalid_grant", error_description: "Invalid JWT Signature." },
    });
    expect(await exchange(asserted())).toMatchObject({ status: 500, retryAfter: "7" });
    let late = false;
    const slow = exchange(asserted()).then((answer) => {
      late = true;
      return answer;
    });
    await fcm.recorder.waitUntil(
      (recorder) => recorder.counts.requests > 0 && fcm.oauth.requests === before + 3,
    );
    expect(late).toBe(false);
    await clock.advance(2000);
    expect((await slow).status).toBe(200);
  });

  it("says how long an access token lives", async () => {
    fcm.oauth.expiresInS = 5;
    const { body } = await exchange(asserted());
    expect(body["expires_in"]).toBe(5);
    await clock.advance(5000);
    expect(fcm.oauth.stateOf(String(body["access_token"]))).toBe("expired");
  });
});
