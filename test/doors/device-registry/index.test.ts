import {
  alice,
  asAlice,
  asBob,
  basic,
  BUNDLE,
  CALLS,
  MESSAGES,
  startRegistry,
} from "../../support/registry-gateway.ts";

let gateway: Awaited<ReturnType<typeof startRegistry>>;
beforeEach(async () => {
  gateway = await startRegistry();
});
afterEach(() => gateway.stop());

type Headers = Readonly<Record<string, string>>;
const android = "APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx0123456789";
const iphone = `a6461732069737d42065496e${"0".repeat(35)}f39ad`;
const ipad = `a6281e62e55932df9ec72829${"1".repeat(35)}5e2d3`;
const application = `39JSDKGJ38.${BUNDLE}`;
const empty = { fcm: { device_tokens: [] }, apns: { device_tokens: {} } };

async function get(headers: Headers = asAlice): Promise<unknown> {
  const response = await fetch(`${gateway.origin}/api/push`, { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  return response.json();
}

async function post(body: unknown, headers: Headers = asAlice): Promise<readonly [number, unknown]> {
  const response = await fetch(`${gateway.origin}/api/push`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
  return [response.status, await response.json()];
}

const fcm = (token: unknown, action = "add"): object => ({ system: "fcm", action, device_token: token });
const apns = (token: unknown, more: object = {}): object => ({
  system: "apns",
  action: "add",
  device_token: token,
  application_id: application,
  ...more,
});
const done = [200, {}] as const;

/*
 * The API's own examples. Changes to what is printed: the elided middles of the tokens ("…", "…") are filled up to 64
 * hex digits; the missing commas after `"sandbox": false` and after the application id are supplied.
 */
describe("the API's examples", () => {
  it("add, list and delete", async () => {
    expect(await get()).toEqual(empty);
    const topic = { apns_topic: "de.cospace.app.voip" };
    expect(await post(fcm(android))).toEqual(done);
    expect(await post(fcm("Iausdj89apcoaSDdojfAsidfAs8d84-5621i0"))).toEqual(done);
    expect(
      await post({
        system: "apns",
        action: "add",
        device_token: iphone,
        sandbox: true,
        application_id: application,
      }),
    ).toEqual(done);
    expect(await post(apns(ipad, { sandbox: false, ...topic }))).toEqual(done);
    expect(await get()).toEqual({
      fcm: { device_tokens: [android, "Iausdj89apcoaSDdojfAsidfAs8d84-5621i0"] },
      apns: {
        device_tokens: {
          [iphone]: { application_id: application, sandbox: true },
          [ipad]: { application_id: application, sandbox: false, ...topic },
        },
      },
    });
    expect(await post(fcm(android, "delete"))).toEqual(done);
    expect(await post({ system: "apns", action: "delete", device_token: iphone })).toEqual(done);
    expect(await get()).toEqual({
      fcm: { device_tokens: ["Iausdj89apcoaSDdojfAsidfAs8d84-5621i0"] },
      apns: { device_tokens: { [ipad]: { application_id: application, sandbox: false, ...topic } } },
    });
  });

  it.each<[string, string]>([
    [
      "an elided token",
      '{ "system": "apns", "action": "delete", "device_token": "a6461732069737d42065496e...f39ad" }',
    ],
    [
      "a missing comma",
      '{ "system": "apns", "action": "add", "device_token": "a6461732069737d42065496e...f39ad", "sandbox": true, "application_id": "39JSDKGJ38.de.cospace.app" "apns_topic": "de.cospace.app.voip" }',
    ],
  ])("as printed, with %s, are invalid requests", async (_what, body) => {
    expect(await post(body)).toEqual([400, { status: "invalid-request", error: expect.any(String) }]);
  });
});

describe("adding and deleting", () => {
  it("again updates in place, and a token's case does not count", async () => {
    await post(apns(iphone, { sandbox: true, apns_topic: "de.cospace.app.voip" }));
    await post(apns(ipad));
    expect(await post(apns(iphone.toUpperCase()))).toEqual(done);
    expect(JSON.stringify(await get())).toBe(
      JSON.stringify({
        fcm: { device_tokens: [] },
        apns: {
          device_tokens: {
            [iphone]: { application_id: application, sandbox: false },
            [ipad]: { application_id: application, sandbox: false },
          },
        },
      }),
    );
    expect(await post({ system: "apns", action: "delete", device_token: iphone.toUpperCase() })).toEqual(
      done,
    );
    expect(Object.keys(((await get()) as typeof empty).apns.device_tokens)).toEqual([ipad]);
  });

  it("of what is unknown answers the same", async () => {
    expect(await post(fcm("never.seen", "delete"))).toEqual(done);
    expect(await post({ system: "apns", action: "delete", device_token: iphone })).toEqual(done);
  });

  it("takes the older dialect", async () => {
    expect(await post({ system: "gcm", action: "add", registration_id: android })).toEqual(done);
    expect(await get()).toMatchObject({ fcm: { device_tokens: [android] } });
    expect(await post({ system: "gcm", action: "delete", registration_id: android })).toEqual(done);
    expect(await get()).toEqual(empty);
  });

  it("takes null for what may be absent", async () => {
    expect(await post(apns(iphone, { sandbox: null, apns_topic: null }))).toEqual(done);
  });

  it("sees and deletes what the token reporter has stored, each token once", async () => {
    const query = `selector=S:1&token_msgs=${android}&appid_msgs=${MESSAGES}&token_calls=${ipad}&appid_calls=${CALLS}`;
    await fetch(`${gateway.origin}/token?${query}`, { headers: asAlice });
    await post(fcm(android));
    expect(await get()).toEqual({
      fcm: { device_tokens: [android] },
      apns: { device_tokens: { [ipad]: { application_id: CALLS, sandbox: false } } },
    });
    await post({ system: "apns", action: "delete", device_token: ipad });
    await post(fcm(android, "delete"));
    expect(await get()).toEqual(empty);
  });

  it("moves a token to whoever registers it, and one of two at once has it", async () => {
    await post(fcm(android));
    expect(await post(fcm(android), asBob)).toEqual(done);
    expect([await get(), await get(asBob)]).toEqual([empty, { ...empty, fcm: { device_tokens: [android] } }]);
    for (let i = 0; i < 10; i += 1) {
      await Promise.all([post(apns(iphone)), post(apns(iphone), asBob)]);
      const owners = [await get(), await get(asBob)].filter((each) => JSON.stringify(each).includes(iphone));
      expect(owners).toHaveLength(1);
    }
  });

  it("of another account's token answers the same and changes nothing", async () => {
    await post(fcm(android));
    await post(apns(iphone));
    const before = await get();
    expect(await post(fcm(android, "delete"), asBob)).toEqual(done);
    expect(await post({ system: "apns", action: "delete", device_token: iphone }, asBob)).toEqual(done);
    expect(await get()).toEqual(before);
    expect(await get(asBob)).toEqual(empty);
  });
});

describe("a refusal", () => {
  const invalid = (error: string): object => ({ status: "invalid-request", error });

  it.each<[string, unknown, object]>([
    [
      "an application id without its team",
      apns(iphone, { application_id: BUNDLE }),
      { status: "invalid-appid" },
    ],
    [
      "one whose separator is no dot",
      apns(iphone, { application_id: `39JSDKGJ38x${BUNDLE}` }),
      { status: "invalid-appid" },
    ],
    [
      "one that is too short",
      apns(iphone, { application_id: "39JSDKGJ38.abcd" }),
      { status: "invalid-appid" },
    ],
    ["one of a wrong type", apns(iphone, { application_id: 7 }), { status: "invalid-appid" }],
    ["none", apns(iphone, { application_id: undefined }), { status: "invalid-appid" }],
    ["one of null", apns(iphone, { application_id: null }), { status: "invalid-appid" }],
    [
      "one that nobody serves",
      apns(iphone, { application_id: "39JSDKGJ38.org.example.app" }),
      { status: "unknown-appid" },
    ],
    [
      "one of a Firebase app",
      apns(iphone, { application_id: `39JSDKGJ38.${MESSAGES}` }),
      { status: "unknown-appid" },
    ],
    ["a topic with a space", apns(iphone, { apns_topic: "de cospace" }), { status: "invalid-apns-topic" }],
    ["a topic of four characters", apns(iphone, { apns_topic: "a.bc" }), { status: "invalid-apns-topic" }],
    ["a topic that is no text", apns(iphone, { apns_topic: true }), { status: "invalid-apns-topic" }],
    ["a short token", apns("ab"), invalid("device_token has not the form that it must have")],
    ["a token with more", apns(`${iphone}\n`), invalid("device_token has not the form that it must have")],
    ["sandbox as text", apns(iphone, { sandbox: "true" }), invalid("sandbox must be of type boolean")],
    [
      "everything at once",
      { ...apns(7, { sandbox: 1, application_id: "x" }) },
      invalid(
        "device_token must be of type string; sandbox must be of type boolean; application_id has not the form that it must have",
      ),
    ],
    ["no token", fcm(undefined), invalid("device_token is missing")],
    ["an empty token", fcm(""), invalid("device_token must have at least 1 characters")],
    ["white space in a token", fcm("a b"), invalid("device_token has not the form that it must have")],
    ["a NUL in a token", fcm("a\0b"), invalid("device_token has not the form that it must have")],
    [
      "a token without an end",
      fcm("x".repeat(4097)),
      invalid("device_token must have at most 4096 characters"),
    ],
    ["another system", { system: "wns", action: "add" }, invalid("system must be one of apns, fcm, gcm")],
    ["another action", { system: "fcm", action: "list" }, invalid("action must be one of add, delete")],
    ["nothing", {}, invalid("system is missing; action is missing")],
    ["null", null, invalid("the body must be of type object")],
    ["a list", [], invalid("the body must be of type object")],
    ["no JSON", "{", invalid("The body is not JSON in UTF-8.")],
    ["an empty body", "", invalid("the body must be of type object")],
  ])("for %s", async (_what, body, expected) => {
    expect(await post(body)).toEqual([400, expected]);
    expect(await get()).toEqual(empty);
  });

  it("for a body of a type that browsers send to strangers", async () => {
    expect(await post(fcm(android), { ...asAlice, "content-type": "text/plain" })).toEqual([
      400,
      invalid("The body's Content-Type is missing or not the one that is taken here."),
    ]);
  });

  it("for another method names those that are served", async () => {
    const response = await fetch(`${gateway.origin}/api/push`, { method: "DELETE", headers: asAlice });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, POST"]);
  });

  it("for too large a body is 413", async () => {
    expect(await post(`"${"x".repeat(600_000)}"`)).toEqual([413, { error: "The body is too large." }]);
  });

  it("for FCM tokens where no Firebase app is named", async () => {
    await gateway.stop();
    gateway = await startRegistry({ fcm_app: undefined });
    expect(await post(fcm(android))).toEqual([400, invalid("no FCM app is served here")]);
  });
});

describe("who may", () => {
  it.each<[string, Headers]>([
    ["no credentials", {}],
    ["a wrong password", { authorization: basic(alice.username, "no") }],
    ["an unknown name", { authorization: basic("mallory", "no") }],
    ["a wrong token", { authorization: "Bearer no" }],
    ["a name in a header that nobody trusts", { "x-user-id": alice.id }],
  ])("not %s, all with the same answer", async (_what, headers) => {
    await post(fcm(android));
    for (const init of [
      { headers },
      { method: "POST", headers, body: JSON.stringify(fcm(android, "delete")) },
    ]) {
      const response = await fetch(`${gateway.origin}/api/push`, init);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe(
        'Basic realm="signalbox", charset="UTF-8", Bearer',
      );
      expect(await response.text()).toBe('{"error":"The credentials are missing or wrong."}');
    }
    expect(await get()).toMatchObject({ fcm: { device_tokens: [android] } });
  });

  it("a reverse proxy's word, from a trusted one alone", async () => {
    await gateway.stop();
    gateway = await startRegistry({ trusted_header: "X-User-Id", trusted_proxies: ["127.0.0.1"] });
    expect(await post(fcm(android), { "x-user-id": "user-7" })).toEqual(done);
    expect(await get({ "x-user-id": "user-7" })).toMatchObject({ fcm: { device_tokens: [android] } });
    expect(await get({ "x-user-id": "user-8" })).toEqual(empty);
    await gateway.stop();
    gateway = await startRegistry({ trusted_header: "X-User-Id", trusted_proxies: ["10.0.0.0/8"] });
    expect((await fetch(`${gateway.origin}/api/push`, { headers: { "x-user-id": "user-7" } })).status).toBe(
      401,
    );
  });
});
